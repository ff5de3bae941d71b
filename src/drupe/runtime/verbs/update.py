"""``update``: changes a container's limits."""

from __future__ import annotations

import sys

from drupe.container.processes import machine_processes
from drupe.errors import SpecError, StateError
from drupe.guest.protocol import LIMIT, LimitKind, Type, encode
from drupe.guest.session import request
from drupe.oci.document import Fields, parse_object
from drupe.oci.linux import Resources, read_resources
from drupe.runtime import log
from drupe.runtime.container import Container
from drupe.runtime.groups import bounds_of, groups_at, place
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed
from drupe.runtime.words import one

OPTIONS: tuple[Option, ...] = (
    Option("resources", "r"),
    Option("pids-limit"),
    Option("memory"),
    Option("memory-swap"),
    Option("memory-reservation", ignored=True),
    Option("kernel-memory", ignored=True),
    Option("kernel-memory-tcp", ignored=True),
    Option("cpu-share"),
    Option("cpu-quota"),
    Option("cpu-period"),
    Option("cpu-rt-period", ignored=True),
    Option("cpu-rt-runtime", ignored=True),
    Option("cpuset-cpus"),
    Option("cpuset-mems", ignored=True),
    Option("blkio-weight", ignored=True),
    Option("l3-cache-schema", ignored=True),
    Option("mem-bw-schema", ignored=True),
)

_ANSWER_TIMEOUT_S = 30.0


def main(home: Home, given: Parsed) -> int:
    """Changes what can be changed; what cannot is told in the log."""
    container = home.find(one(given))
    wanted = _resources(given)
    with container.held():
        status = container.status()
        if status not in {"created", "running"}:
            raise StateError(f"cannot update a {status} container")
        _update(container, wanted)
    return 0


def _resources(given: Parsed) -> Resources:
    path = given.text("resources")
    if path:
        if path == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:  # noqa: PTH123 (such as /dev/fd/3)
                data = file.read()
        return read_resources(Fields(parse_object(data, f"'{path}'"), f"'{path}'"))
    said = {name: given.number(name) or None for name in ("pids-limit", "memory", "memory-swap",
            "cpu-share", "cpu-quota", "cpu-period")}  # fmt: skip
    return Resources(
        memory_bytes=said["memory"],
        swap_bytes=said["memory-swap"],
        pids=said["pids-limit"],
        cpu_shares=said["cpu-share"],
        cpu_quota_us=said["cpu-quota"],
        cpu_period_us=said["cpu-period"],
        cpus=given.text("cpuset-cpus"),
    )


def _update(container: Container, wanted: Resources) -> None:
    if wanted.memory_bytes is not None and wanted.memory_bytes > container.facts.memory_bytes:
        raise SpecError(
            f"failed to update memory to {wanted.memory_bytes} bytes: the container's kernel keeps "
            f"the {container.facts.memory_bytes} that it was started with"
        )
    if wanted.pids is not None:
        most = max(0, wanted.pids)
        frame = encode(Type.LIMIT, LIMIT.pack(LimitKind.PIDS, 0, most))
        request(container.record.control, frame, timeout_s=_ANSWER_TIMEOUT_S)
    pid = container.condition().pid
    for process in machine_processes(pid) if wanted.cpus and pid is not None else ():
        place(process, wanted.cpus)
    facts = container.facts
    said = wanted.cpu_shares or wanted.cpu_quota_us
    if said and not facts.groups:
        log.warning("the container has no control group of the host: nothing bounds its processor")
    elif said or wanted.pids is not None:
        groups_at(facts.groups).set(bounds_of(wanted, facts.memory_bytes))
