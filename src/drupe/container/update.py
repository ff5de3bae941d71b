"""Changes of a container's limits and restart policy, while it runs and for its later runs."""

from __future__ import annotations

from typing import NamedTuple

from drupe.container import bounds
from drupe.container.life import Restart, parse_restart
from drupe.container.lifecycle import ANSWER_TIMEOUT_S, reachable
from drupe.container.limits import Limits, check_cpu_shares, check_pids, parse_cpus, parse_cpuset
from drupe.container.machine import guest_care
from drupe.container.record import Record
from drupe.container.spec import ContainerSpec
from drupe.container.store import Store
from drupe.guest.protocol import LIMIT, LimitKind, Type, encode
from drupe.guest.session import request


class Changes(NamedTuple):
    """What shall be otherwise, in docker's notation; None: as it is.

    Attributes:
        cpus: processors' worth of time.
        cpu_shares: weight against others.
        cpuset_cpus: processors of the host to run on.
        pids_limit: processes and threads; 0 or less: no limit.
        restart: the restart policy.
    """

    cpus: str | None = None
    cpu_shares: int | None = None
    cpuset_cpus: str | None = None
    pids_limit: int | None = None
    restart: str | None = None


def update(store: Store, record: Record, changes: Changes) -> None:
    """Changes a container; one that runs at once.

    Raises:
        SpecError: a change is none.
        HostError: this host grants no control group for it.
        NotFoundError: it was removed.
    """
    with store.held(record):
        spec = record.read_spec()
        wanted = spec._replace(
            limits=_limits(spec.limits, changes),
            restart=spec.restart if changes.restart is None else _restart(spec, changes.restart),
        )
        if wanted == spec:
            return
        pid = record.condition().pid
        if pid is not None:
            bounds.change(record, wanted, pid)
            _tell(record, spec, wanted)
        record.write_spec(wanted)


def _limits(now: Limits, changes: Changes) -> Limits:
    cpus, shares, cpuset, pids, _ = changes
    return Limits(
        now.cpus if cpus is None else parse_cpus(cpus),
        now.cpu_shares if shares is None else check_cpu_shares(shares),
        now.cpuset if cpuset is None else parse_cpuset(cpuset),
        now.pids if pids is None else check_pids(pids),
    )


def _restart(spec: ContainerSpec, text: str) -> Restart:
    restart = parse_restart(text)
    restart.check(remove=spec.remove)
    return restart


def _tell(record: Record, before: ContainerSpec, wanted: ContainerSpec) -> None:
    """Tells the guest's init what is its affair."""
    frames = []
    if wanted.limits.pids != before.limits.pids:
        frames.append(encode(Type.LIMIT, LIMIT.pack(LimitKind.PIDS, 0, wanted.limits.pids)))
    if wanted.restart != before.restart:
        frames.append(guest_care(wanted).restart_frame())
    for frame in frames:
        with reachable(record):
            request(record.control, frame, timeout_s=ANSWER_TIMEOUT_S)
