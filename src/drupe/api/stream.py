"""A process in a container, as it runs."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from io import FileIO
from typing import Self

from drupe.api import engine
from drupe.api.options import check_signal
from drupe.api.results import Output
from drupe.errors import DrupeError, StateError, TimedOutError
from drupe.guest.channel import Channel

_WINDOW_MAX = 65_535


class ExecStream:
    """A process in a container: iterate over it for its output, as it comes.

    Each item is ("stdout" or "stderr", bytes); a process on a terminal has only the former. Use it
    as a context manager: leaving the block ends a process that still runs (SIGHUP, and SIGKILL
    soon after, to its process group).

    One thread may write while another one reads, and any thread may signal. Nothing is read while
    nobody waits for anything, so a process whose output is not taken is held up.

    Attributes:
        command: the program and its arguments.
    """

    def __init__(self, connected: engine.Connected, *, stdin: bool) -> None:
        """Use ``Container.exec(stream=True)``."""
        self.command = connected.command
        self._connected = connected
        self._channel = Channel(connected.session)
        self._stdin = stdin
        self._closed = False
        self._reading = False
        self._changed = threading.Condition()
        # Wakes the thread that waits for the session, to have it look again.
        self._wakeup = FileIO(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK), "r+")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return self

    def __next__(self) -> tuple[str, bytes]:
        channel = self._channel
        self._until(lambda: bool(channel.output) or channel.ended, None)
        with self._changed:
            if channel.output:
                return channel.output.popleft()
        if channel.error is not None:
            raise engine.lost(self._connected.record, channel.error)
        raise StopIteration

    @property
    def exit_status(self) -> int | None:
        """As a shell counts it, once the process is known to have ended, else None."""
        return self._channel.exit_status

    def write(self, data: bytes) -> None:
        """Passes input to the process; returns when it is on its way.

        Output that comes meanwhile is kept in memory, so that this never waits for a reader.

        Raises:
            StateError: the process gets no input, or has ended.
        """
        self._check_input()
        with self._changed:
            self._open().write(data)
            self._wake()
        self._until(lambda: self._channel.drained, None)
        if self._channel.ended:
            raise StateError(f"failed to write to '{self.command[0]}': it has ended")

    def close_stdin(self) -> None:
        """Ends the process's input, after what was written."""
        self._check_input()
        with self._changed:
            self._open().end_input()
            self._wake()

    def signal(self, number: int) -> None:
        """Sends a signal to the process; nothing happens if it has ended.

        Raises:
            ValueError: no such signal.
        """
        check_signal(number)
        with self._changed:
            self._open().send_signal(number)
            self._wake()

    def resize(self, rows: int, columns: int) -> None:
        """Tells the process a new size of its terminal.

        Raises:
            ValueError: no such size.
        """
        check_window(rows, columns)
        with self._changed:
            self._open().send_window(rows, columns)
            self._wake()

    def wait(self, timeout: float | None = None) -> int:
        """Waits until the process has ended; returns its exit status.

        Its output is kept in memory meanwhile and can be iterated over afterwards.

        Args:
            timeout: seconds.

        Raises:
            TimedOutError: it has not ended in time; it goes on.
            GuestError: the container ended under it.
        """
        if not self._until(lambda: self._channel.ended, timeout):
            raise TimedOutError(
                f"failed to wait for '{self.command[0]}': not ended in {timeout:g} s",
                timeout or 0.0,
            )
        return self._status()

    def close(self) -> None:
        """Ends the process if it still runs; may be called more than once."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            if not self._channel.ended:
                self._channel.error = closed(self.command)
            self._connected.close()
            self._wake()
            while self._reading:
                self._changed.wait()
            self._wakeup.close()

    def complete(self, data: bytes | None, output: Output, timeout: float | None) -> int:
        """Passes input, takes all output, waits for the end; returns the exit status.

        Raises:
            TimedOutError: not ended in time; with the output so far.
            GuestError: the container ended under it.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        channel = self._channel
        if data is not None:
            channel.write(data)
            channel.end_input()
        while True:
            while channel.output:
                output.take(*channel.output.popleft())
            if channel.ended:
                return self._status()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._until(lambda: bool(channel.output) or channel.ended, left):
                channel.send_signal(9)
                raise output.timed_out(self.command, timeout or 0.0)

    def _until(self, reached: Callable[[], bool], timeout: float | None) -> bool:
        """Moves bytes until something is so; whether it came to be in time.

        Of several threads that wait, one reads and the others wait for it.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not reached():
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                if self._reading:
                    self._changed.wait(left)
                else:
                    self._step(left)
            return True

    def _step(self, timeout: float | None) -> None:
        """Waits for the session with the lock let go, then moves what there is."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN | select.POLLOUT * self._channel.wants_write)
        poll.register(self._wakeup, select.POLLIN)
        self._reading = True
        self._changed.release()
        try:
            ready = poll.poll(None if timeout is None else timeout * 1000)
        finally:
            self._changed.acquire()
            self._reading = False
            self._changed.notify_all()
        if self._closed:
            return
        for descriptor, _ in ready:
            if descriptor == self._wakeup.fileno():
                os.eventfd_read(descriptor)
            else:
                self._channel.receive()
        self._channel.flush()

    def _wake(self) -> None:
        if self._reading:
            os.eventfd_write(self._wakeup.fileno(), 1)

    def _open(self) -> Channel:
        if self._closed:
            raise closed(self.command)
        return self._channel

    def _check_input(self) -> None:
        if not self._stdin:
            raise no_input(self.command)

    def _status(self) -> int:
        if self._channel.exit_status is not None:
            return self._channel.exit_status
        assert self._channel.error is not None  # noqa: S101 (one of the two ends it)
        raise engine.lost(self._connected.record, self._channel.error)


def check_window(rows: int, columns: int) -> None:
    """Raises ValueError for a size that no terminal has."""
    if not (0 < rows <= _WINDOW_MAX and 0 < columns <= _WINDOW_MAX):
        raise ValueError(f"a terminal of {rows} rows, {columns} columns")


def closed(command: tuple[str, ...]) -> DrupeError:
    """The error for a stream after ``close``."""
    return StateError(f"failed to follow '{command[0]}': its stream was closed")


def no_input(command: tuple[str, ...]) -> DrupeError:
    """The error for input to a process that reads /dev/null."""
    return StateError(
        f"failed to write to '{command[0]}': it gets no input", hint="start it with stdin=True"
    )
