"""What a finished command leaves: its status and its output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from drupe.errors import ExitStatusError, TimedOutError

Sink: TypeAlias = Callable[[bytes], object]
"""Gets each piece of a stream as it comes, such as ``sys.stdout.buffer.write``."""


@dataclass(frozen=True, slots=True)
class CompletedExec:
    """A command that has ended in a container.

    Attributes:
        command: the program and its arguments.
        exit_status: as a shell counts it: 128 + N for signal N.
        stdout: what it wrote to standard output; empty if that went to a sink.
        stderr: the same of standard error.
    """

    command: tuple[str, ...]
    exit_status: int
    stdout: bytes
    stderr: bytes

    def check(self) -> None:
        """Raises ExitStatusError unless the exit status is 0."""
        if self.exit_status:
            raise ExitStatusError(self.command, self.exit_status, self.stdout, self.stderr)


@dataclass(frozen=True, slots=True)
class CompletedRun(CompletedExec):
    """A container whose main process has ended.

    Attributes:
        id: of the container; it is gone unless ``remove=False`` was given.
        name: the same.
    """

    id: str
    name: str


class Output:
    """Both streams of a command: kept, or passed on to sinks."""

    def __init__(self, stdout: Sink | None, stderr: Sink | None) -> None:
        self._kept: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._sinks: dict[str, Sink] = {
            "stdout": stdout or self._kept["stdout"].append,
            "stderr": stderr or self._kept["stderr"].append,
        }

    def take(self, stream: str, data: bytes) -> None:
        """A piece of one of them."""
        self._sinks[stream](data)

    @property
    def stdout(self) -> bytes:
        """What was kept of standard output."""
        return b"".join(self._kept["stdout"])

    @property
    def stderr(self) -> bytes:
        """What was kept of standard error."""
        return b"".join(self._kept["stderr"])

    def completed(self, command: tuple[str, ...], exit_status: int) -> CompletedExec:
        """The result of ``exec``."""
        return CompletedExec(command, exit_status, self.stdout, self.stderr)

    def timed_out(self, command: tuple[str, ...], timeout_s: float) -> TimedOutError:
        """The error for a command that took too long."""
        return TimedOutError(
            f"failed to run '{command[0]}' in a container: not ended in {timeout_s:g} s",
            timeout_s,
            self.stdout,
            self.stderr,
        )
