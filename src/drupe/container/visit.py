"""Reaching a container's files, whether it runs or not.

One that does not run is visited: its machine is started with its layer and its volumes, but without
a main process, for as long as the caller needs it. Nothing of that is told: for everybody else the
container is as it was, and who wants to start or remove it waits for its lock. The machine ends
with the session that began it, and so with its visitor, whatever happens to that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drupe.container.holdings import end_network
from drupe.container.machine import await_boot, start_machine
from drupe.container.record import Record, Run
from drupe.container.spec import ContainerSpec
from drupe.container.start import look_up_again
from drupe.container.storage import DISK
from drupe.container.store import Store
from drupe.errors import BootError, GuestError, StateError
from drupe.guest.session import request, stop_frames
from drupe.net.config import Mode, Network
from drupe.platform.base import Platform
from drupe.platform.registry import find_platform
from drupe.store.liveness import ProcessId

_END_S = 30.0
_FILES = ("control", "status", "console")
_SIGKILL = 9


class _Visit(Record):
    """The container while it is visited: its files lie beside those of its runs."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.directory)
        self._run: Run | None = None

    def path(self, name: str) -> Path:
        return self.directory / f"visit.{name}"

    def begin_run(self, pid: int) -> None:
        self._run = Run(ProcessId.of(pid), time.time_ns(), 0, 0)

    def run(self) -> Run | None:
        return self._run

    def clear(self) -> None:
        for name in _FILES:
            self.path(name).unlink(missing_ok=True)


@contextmanager
def reached(store: Store, record: Record, *, platform: Platform | None = None) -> Iterator[Record]:
    """The container, for the services of ``container.service``: as it runs, or visited.

    Raises:
        StateError: it does not run, and what it writes is in memory.
        NotFoundError: it is gone, or its kernel or its image.
        HostError, BootError, GuestError: its machine cannot be started.
    """
    if record.condition().pid is None:
        with store.held(record):
            if record.condition().pid is None:  # nobody has started it meanwhile
                spec = look_up_again(record.read_spec())
                with _visited(record, spec, platform) as visit:
                    yield visit
                return
    yield record


@contextmanager
def _visited(record: Record, spec: ContainerSpec, platform: Platform | None) -> Iterator[Record]:
    if spec.storage.layer != DISK:
        raise StateError(
            f"failed to reach files of container '{spec.name}': it does not run, and what it "
            "writes is in memory",
            hint=f"start it: 'drupe start {spec.name}'",
        )
    visit = _Visit(record)
    visit.clear()
    try:
        alone = spec._replace(log=False, network=_alone(spec.network))
        session = start_machine(visit, alone, platform or find_platform(spec.platform))
        try:
            await_boot(visit, session)
            yield visit
        finally:
            # What was written is on the disk once it has powered off.
            with suppress(GuestError, BootError, OSError):
                request(visit.control, stop_frames(_SIGKILL, 0), timeout_s=_END_S)
            session.close()
    finally:
        process = visit.process()
        if process is not None and not process.wait(_END_S):
            process.kill()
        end_network(visit)
        visit.clear()


def _alone(network: Network) -> Network:
    """A network that nobody notices, with the same files in /etc: what those hide stays hidden."""
    mode = Mode.USER if network.mode is Mode.USER else Mode.NONE
    return Network(mode, dns=network.dns, hosts=network.hosts)
