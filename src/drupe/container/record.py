"""One container's directory: its files, and the state that they tell.

The directory is the whole truth; nothing is remembered elsewhere:

    config.json   the specification, written once
    process.json  which host process is its machine, written before that runs
    status        lines from the guest: "running", "exited CODE SIGNAL TIME"
    log           output of the main process, from the guest
    console       messages of the container kernel
    control       the control socket
    lock          held by whoever changes the container
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from drupe.container.liveness import ProcessId
from drupe.container.spec import ContainerSpec
from drupe.errors import NotFoundError, StateError
from drupe.store.atomic import read_json, write_json
from drupe.store.schema import decode, encode

_STATUS_TAIL_BYTES = 4096
_CONSOLE_TAIL_BYTES = 16384
_EXITED = r"exited (\d{1,3}) (\d{1,2}) (\d{1,12})\.(\d{9})"

KILLED_STATUS = 137
"""Exit status of a container whose kernel ended without a word: as if by SIGKILL."""


class State(StrEnum):
    """Where a container is in its life."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    DEAD = "dead"


class Condition(NamedTuple):
    """The state of a container at one moment.

    Attributes:
        state: dead: its kernel ended without a word.
        pid: host process of its kernel while it lives, else None.
        status: exit status as a shell counts it, once it has ended.
        ended_ns: when the main process ended, since the epoch, if known.
    """

    state: State
    pid: int | None = None
    status: int | None = None
    ended_ns: int | None = None


class Record:
    """A container on disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._spec: ContainerSpec | None = None

    @property
    def id(self) -> str:
        """The container's id."""
        return self.directory.name

    @property
    def spec(self) -> ContainerSpec:
        """What it is made of.

        Raises:
            NotFoundError: it is gone.
            StateError: its file is not whole.
        """
        if self._spec is None:
            try:
                self._spec = decode(
                    ContainerSpec, read_json(self.directory / "config.json"), "a container"
                )
            except FileNotFoundError as error:
                raise NotFoundError(f"failed to find container '{self.id[:12]}': gone") from error
        return self._spec

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.directory / "control"

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Keeps its files for the block, though it may end: ``Store.sweep`` leaves it alone."""
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_SH)
            yield
        finally:
            os.close(directory)

    def is_attended(self) -> bool:
        """Whether anybody is in ``attended()``."""
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(directory)
        return False

    def write_spec(self, spec: ContainerSpec) -> None:
        """Writes the specification, once."""
        write_json(self.directory / "config.json", encode(spec), sync=False)
        self._spec = spec

    def write_process(self, pid: int) -> None:
        """Writes which process is its machine."""
        write_json(self.directory / "process.json", ProcessId.of(pid)._asdict(), sync=False)

    def process(self) -> ProcessId | None:
        """The machine's process, dead or alive; None before there was one."""
        try:
            value = read_json(self.directory / "process.json")
            return ProcessId(value["pid"], value["start_time"], value["boot_id"])
        except FileNotFoundError:
            return None
        except KeyError as error:
            raise StateError(f"failed to read container '{self.id[:12]}': no {error}") from error

    def condition(self) -> Condition:
        """The state as of now."""
        process = self.process()
        # Alive or not is asked first: what was written before the end can be read after it.
        alive = process is not None and process.alive()
        lines = self._tail("status", _STATUS_TAIL_BYTES).splitlines()
        if process is None:
            return Condition(State.CREATED)
        if alive:
            state = State.RUNNING if lines else State.CREATED
            return Condition(state, pid=process.pid)
        match = re.fullmatch(_EXITED, lines[-1]) if lines else None
        if match is None or int(match[1]) > 255 or int(match[2]) > 64:
            return Condition(State.DEAD, status=KILLED_STATUS)
        code, number, seconds, nanoseconds = map(int, match.groups())
        status = 128 + number if number else code
        ended_ns = seconds * 1_000_000_000 + nanoseconds
        return Condition(State.EXITED, status=status, ended_ns=ended_ns)

    def console_tail(self) -> str:
        """The last lines of the container kernel's messages, made printable."""
        text = self._tail("console", _CONSOLE_TAIL_BYTES)
        return "".join(c for c in text if c.isprintable() or c == "\n").strip()

    def _tail(self, name: str, size: int) -> str:
        """The end of a file that the guest writes: bounded, and no link is followed."""
        try:
            descriptor = os.open(self.directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        with os.fdopen(descriptor, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size).decode("utf-8", "replace")
