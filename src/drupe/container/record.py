"""One container's directory: its files, and the state that they tell.

The directory is the whole truth; nothing is remembered elsewhere:

    config.json   the specification; only its name ever changes
    whole         empty; there once the container is made: what lacks it was left unfinished
    process.json  its newest run: which host process is its machine, written before that runs
    status        lines from the guest, of all runs: see ``drupe.container.status``
    log           output of the main process, from the guest, of all runs
    console       messages of the container kernel, of all runs
    control       the control socket
    groups.json   its machine's control groups on the host
    lock          held by whoever changes the container

What a run has appended to ``status`` and ``console`` begins where process.json says. So a start
that is killed before that file is written has changed nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from drupe.container.spec import ContainerSpec
from drupe.container.status import Health, parse_status
from drupe.errors import NotFoundError
from drupe.store.atomic import read_json, write_bytes, write_json
from drupe.store.liveness import STOPPED, ProcessId
from drupe.store.schema import decode, encode

_STATUS_TAIL_BYTES = 4096
_LAST_WRITES_TIMEOUT_S = 30.0
_CONSOLE_TAIL_BYTES = 16384

KILLED_STATUS = 137
"""Exit status of a container whose kernel ended without a word: as if by SIGKILL."""


class State(StrEnum):
    """Where a container is in its life."""

    CREATED = "created"
    RUNNING = "running"
    RESTARTING = "restarting"
    PAUSED = "paused"
    EXITED = "exited"
    DEAD = "dead"


class Condition(NamedTuple):
    """The state of a container at one moment.

    Attributes:
        state: dead: its kernel ended without a word.
        pid: host process of its kernel while it lives, else None.
        status: exit status of the main process as a shell counts it, once that has ended.
        started_ns: when the newest run was started, since the epoch.
        ended_ns: when the main process ended, since the epoch, if known.
        restarts: of the main process in the newest run, by its restart policy.
        health: what its checks tell; None: it has none, or does not run.
    """

    state: State
    pid: int | None = None
    status: int | None = None
    started_ns: int | None = None
    ended_ns: int | None = None
    restarts: int = 0
    health: Health | None = None

    @property
    def ended(self) -> bool:
        """Whether it has run, and does no longer."""
        return self.state in {State.EXITED, State.DEAD}


class Run(NamedTuple):
    """One run of a container: a start, and all that came of it.

    Attributes:
        process: its machine's.
        started_ns: when that was started, since the epoch.
        status_offset: where its lines begin in ``status``.
        console_offset: where its messages begin in ``console``.
    """

    process: ProcessId
    started_ns: int
    status_offset: int
    console_offset: int


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

    def path(self, name: str) -> Path:
        """Where a file of its newest run lies: control, status, log, console."""
        return self.directory / name

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.path("control")

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
        """Writes the specification."""
        write_json(self.directory / "config.json", encode(spec), sync=False)
        self._spec = spec

    def read_spec(self) -> ContainerSpec:
        """What it is made of, read again: somebody else may have renamed it."""
        self._spec = None
        return self.spec

    @property
    def is_whole(self) -> bool:
        """Whether the command that made it came to its end."""
        return (self.directory / "whole").exists()

    def mark_whole(self) -> None:
        """Says that the container is made, and stays.

        Raises:
            HostError: the disk refused.
        """
        write_bytes(self.directory / "whole", b"", sync=False)

    def begin_run(self, pid: int) -> None:
        """Writes which process is its machine from now on."""
        run = Run(ProcessId.of(pid), time.time_ns(), self._size("status"), self._size("console"))
        write_json(self.directory / "process.json", encode(run), sync=False)

    def undo_run(self, before: Run | None) -> None:
        """Makes the run ``before`` the newest one again: the one after it came to nothing."""
        run = self.run()
        if run is None or run == before:
            return
        with suppress(FileNotFoundError):
            os.truncate(self.directory / "status", run.status_offset)
        if before is None:
            (self.directory / "process.json").unlink()
        else:
            write_json(self.directory / "process.json", encode(before), sync=False)

    def run(self) -> Run | None:
        """The newest run; None before the first one.

        Raises:
            StateError: its file is not whole.
        """
        try:
            value = read_json(self.directory / "process.json")
        except FileNotFoundError:
            return None
        return decode(Run, value, f"the newest run of container '{self.id[:12]}'")

    def process(self) -> ProcessId | None:
        """The process of the newest run's machine, dead or alive; None before there was one."""
        run = self.run()
        return None if run is None else run.process

    def condition(self) -> Condition:
        """The state as of now."""
        run = self.run()
        return Condition(State.CREATED) if run is None else self.condition_of(run)

    def settled_condition(self) -> Condition:
        """The state, once a machine whose main process has ended is gone, too."""
        run = self.run()
        if run is not None and run.process.alive():
            lines = self._tail("status", _STATUS_TAIL_BYTES, run.status_offset).splitlines()
            said = parse_status(lines[-1]) if lines else None
            if said is not None and said.word == "exited":
                run.process.wait(_LAST_WRITES_TIMEOUT_S)
        return self.condition()

    def condition_of(self, run: Run, end: int | None = None) -> Condition:
        """The state that a run is in, or ended in; ``end``: where its lines end in ``status``."""
        # Alive or not is asked first: what was written before the end can be read after it.
        letter = run.process.letter()
        lines = self._tail("status", _STATUS_TAIL_BYTES, run.status_offset, end).splitlines()
        said = parse_status(lines[-1]) if lines else None
        restarts = 0 if said is None else said.restarts
        if letter is None:
            if said is None or said.word != "exited":
                return Condition(State.DEAD, None, KILLED_STATUS, run.started_ns, restarts=restarts)
            return Condition(
                State.EXITED, None, said.status, run.started_ns, said.ended_ns, restarts
            )
        waiting = not lines or (said is not None and said.word == "created")
        state = State.CREATED if waiting else State.RUNNING
        now = Condition(
            State.PAUSED if letter == STOPPED else state,
            run.process.pid,
            started_ns=run.started_ns,
            restarts=restarts,
        )
        if said is not None and said.word == "restarting":
            return now._replace(state=State.RESTARTING, status=said.status, ended_ns=said.ended_ns)
        return now if said is None else now._replace(health=said.health)

    def console_tail(self) -> str:
        """The last lines of the container kernel's messages, made printable."""
        run = self.run()
        start = 0 if run is None else run.console_offset
        text = self._tail("console", _CONSOLE_TAIL_BYTES, start)
        return "".join(c for c in text if c.isprintable() or c == "\n").strip()

    def _size(self, name: str) -> int:
        try:
            return self.path(name).stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            return 0

    def _tail(self, name: str, size: int, start: int, end: int | None = None) -> str:
        """The end of a part of a file that the guest writes: bounded, and no link is followed."""
        try:
            descriptor = os.open(self.path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        with os.fdopen(descriptor, "rb") as file:
            if end is None:
                end = os.fstat(file.fileno()).st_size
            start = max(start, end - size)
            file.seek(start)
            return file.read(max(0, end - start)).decode("utf-8", "replace")
