"""One container of the runtime: its directory, and the state that this tells."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from drupe.container.record import Condition, Record, State
from drupe.errors import HostError, StateError
from drupe.oci.bundle import BundleConfig, read_bundle
from drupe.runtime.groups import groups_at
from drupe.store.atomic import read_json, write_bytes, write_json
from drupe.store.lock import locked
from drupe.store.schema import decode, encode

_STATUS = {
    State.CREATED: "created",
    State.RUNNING: "running",
    State.RESTARTING: "running",
    State.PAUSED: "paused",
    State.EXITED: "stopped",
    State.DEAD: "stopped",
}


class Facts(NamedTuple):
    """What never changes of a container.

    Attributes:
        version: of the specification that its config.json names.
        bundle: absolute path.
        rootfs: absolute path.
        created: RFC 3339.
        owner: user id of whoever made it.
        machine: its machine's name, 64 hexadecimal digits.
        memory_bytes: its kernel's memory.
        annotations: as in config.json.
        groups: controller → directory of its control group on the host.
    """

    version: str
    bundle: str
    rootfs: str
    created: str
    owner: int
    machine: str
    memory_bytes: int
    annotations: dict[str, str]
    groups: dict[str, str] = {}  # noqa: RUF012 (never changed)


class Container:
    """A container, by its directory.

    Attributes:
        id: as the engine calls it.
        record: its files.
    """

    def __init__(self, directory: Path) -> None:
        self.id = directory.name
        self.record = Record(directory)
        self._directory = directory

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds its lock for the block.

        Raises:
            StateError: it is gone.
        """
        try:
            with locked(self._directory / "lock"):
                if not self._directory.is_dir():
                    raise StateError("container does not exist")
                yield
        except HostError as error:
            if self._directory.is_dir():
                raise
            raise StateError("container does not exist") from error

    def write(self, facts: Facts, config: bytes) -> None:
        """Writes what it is, and its config.json as it is now."""
        write_bytes(self._directory / "bundle.json", config, sync=False)
        write_json(self._directory / "state.json", encode(facts), sync=False)

    @property
    def facts(self) -> Facts:
        """What never changes.

        Raises:
            StateError: ``create`` did not get so far, or the file is spoilt.
        """
        try:
            return decode(Facts, read_json(self._directory / "state.json"), "a container")
        except FileNotFoundError as error:
            raise StateError("container does not exist") from error

    @property
    def config(self) -> BundleConfig:
        """Its config.json as it was when it was made."""
        data = (self._directory / "bundle.json").read_bytes()
        return read_bundle(data, "config.json")

    def mark_whole(self) -> None:
        """Says that it is made."""
        write_bytes(self._directory / "whole", b"", sync=False)

    @property
    def is_whole(self) -> bool:
        """Whether ``create`` came to its end."""
        return (self._directory / "whole").exists()

    def condition(self) -> Condition:
        """The state of its machine, once one whose main process has ended is gone, too."""
        return self.record.settled_condition()

    def status(self) -> str:
        """creating, created, running, paused or stopped."""
        if not self.is_whole:
            with locked(self._directory / "lock", wait=False) as free:
                return "stopped" if free and not self.is_whole else "creating"
        return _STATUS[self.condition().state]

    def state(self, status: str | None = None, pid: int | None = None) -> dict[str, Any]:
        """The state as the specification has it, for hooks; the pid is that of a host process."""
        facts = self.facts
        condition = self.condition()
        state: dict[str, Any] = {
            "ociVersion": facts.version,
            "id": self.id,
            "pid": pid or condition.pid or 0,
            "status": status or self.status(),
            "bundle": facts.bundle,
        }
        if facts.annotations:
            state["annotations"] = facts.annotations
        return state

    def require(self, message: str, *wanted: str) -> str:
        """Its status, which must be one of those.

        Raises:
            StateError: it is not; says ``message``.
        """
        status = self.status()
        if status not in wanted:
            raise StateError(message)
        return status

    def end(self) -> None:
        """Ends its machine at once."""
        process = self.record.process()
        if process is not None:
            process.kill()

    def remove(self) -> None:
        """Ends its machine, and takes it off the disk with all that is held for it.

        The caller holds its lock.
        """
        with suppress(StateError):  # its files are spoilt
            self.end()
        with suppress(StateError, HostError):  # others may have gone into one
            groups_at(self.facts.groups).remove()
        # All files lie in it flat; the lock goes last.
        (self._directory / "whole").unlink(missing_ok=True)
        for path in set(self._directory.iterdir()) - {self._directory / "lock"}:
            path.unlink(missing_ok=True)
        (self._directory / "lock").unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            self._directory.rmdir()


def now() -> str:
    """The time as RFC 3339 has it, in nanoseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"


def annotation(annotations: Mapping[str, str], name: str) -> str | None:
    """One of drupe's own annotations, or None."""
    return annotations.get(f"run.drupe.{name}")
