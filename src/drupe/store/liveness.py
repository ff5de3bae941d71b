"""Whether a host process is still the one that was started, in spite of reused process ids."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path
from typing import NamedTuple

_STAT_STATE = 0
_STAT_START_TIME = 19
STOPPED = "T"
"""The letter of a process that was stopped by a signal."""
"""Fields of /proc/PID/stat after the name, counted from 0. Source: proc(5)."""


class ProcessId(NamedTuple):
    """A process for good: its number, when it started (clock ticks since boot), and which boot."""

    pid: int
    start_time: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The identity of a process that is running now.

        Raises:
            ProcessLookupError: it is not.
        """
        fields = _stat(pid)
        if fields is None:
            raise ProcessLookupError(pid)
        return cls(pid, int(fields[_STAT_START_TIME]), _boot_id())

    def open(self) -> int | None:
        """A pidfd of it, or None where it has ended."""
        return self._open()[0]

    def letter(self) -> str | None:
        """The letter of its state, as in /proc/PID/stat; None where it has ended."""
        descriptor, letter = self._open()
        if descriptor is not None:
            os.close(descriptor)
        return letter

    def alive(self) -> bool:
        """Whether it is still running."""
        return self.letter() is not None

    def _open(self) -> tuple[int | None, str | None]:
        if self.boot_id != _boot_id():
            return None, None
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None, None
        # The descriptor pins whoever has the number now: compare after opening.
        fields = _stat(self.pid)
        ended = fields is None or fields[_STAT_STATE] in {"Z", "X"}
        if fields is None or ended or int(fields[_STAT_START_TIME]) != self.start_time:
            os.close(descriptor)
            return None, None
        return descriptor, fields[_STAT_STATE]

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until it has ended; whether it has."""
        descriptor = self.open()
        if descriptor is None:
            return True
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))
        finally:
            os.close(descriptor)

    def kill(self) -> None:
        """Ends it at once, and waits for that."""
        descriptor = self.open()
        if descriptor is None:
            return
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
