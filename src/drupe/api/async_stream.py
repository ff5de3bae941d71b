"""A process in a container, as it runs, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Self

from drupe.api import engine
from drupe.api.options import check_signal
from drupe.api.results import Output
from drupe.api.stream import check_window, closed, no_input
from drupe.api.threads import in_thread
from drupe.errors import StateError
from drupe.guest.channel import Channel


class ExecStream:
    """A process in a container: ``async for`` over it gives its output, as it comes.

    Each item is ("stdout" or "stderr", bytes); a process on a terminal has only the former. Use it
    with ``async with``: leaving the block ends a process that still runs (SIGHUP, and SIGKILL soon
    after, to its process group). It belongs to the event loop that made it.

    Cancelling a step of the iteration loses no output; cancelling ``write`` leaves what was to be
    written queued. Nothing is read while nobody waits for anything, so a process whose output is
    not taken is held up. Time limits: ``asyncio.timeout``.

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
        self._loop = asyncio.get_running_loop()
        self._waiters: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]:
        return self

    async def __anext__(self) -> tuple[str, bytes]:
        channel = self._channel
        await self._until(lambda: bool(channel.output) or channel.ended)
        if channel.output:
            return channel.output.popleft()
        await self._status()
        raise StopAsyncIteration

    @property
    def exit_status(self) -> int | None:
        """As a shell counts it, once the process is known to have ended, else None."""
        return self._channel.exit_status

    async def write(self, data: bytes) -> None:
        """Passes input to the process; returns when it is on its way.

        Output that comes meanwhile is kept in memory, so that this never waits for a reader.

        Raises:
            StateError: the process gets no input, or has ended.
        """
        self._check_input()
        self._open().write(data)
        await self._until(lambda: self._channel.drained)
        if self._channel.ended:
            raise StateError(f"failed to write to '{self.command[0]}': it has ended")

    async def close_stdin(self) -> None:
        """Ends the process's input, after what was written."""
        self._check_input()
        self._open().end_input()
        await self._until(lambda: self._channel.drained)

    async def signal(self, number: int) -> None:
        """Sends a signal to the process; nothing happens if it has ended.

        Raises:
            ValueError: no such signal.
        """
        self._open().send_signal(check_signal(number))
        await self._until(lambda: not self._channel.wants_write)

    async def resize(self, rows: int, columns: int) -> None:
        """Tells the process a new size of its terminal.

        Raises:
            ValueError: no such size.
        """
        check_window(rows, columns)
        self._open().send_window(rows, columns)
        await self._until(lambda: not self._channel.wants_write)

    async def wait(self) -> int:
        """Waits until the process has ended; returns its exit status.

        Its output is kept in memory meanwhile and can be iterated over afterwards.

        Raises:
            GuestError: the container ended under it.
        """
        await self._until(lambda: self._channel.ended)
        return await self._status()

    def close(self) -> None:
        """Ends the process if it still runs; may be called more than once."""
        if self._closed:
            return
        self._closed = True
        if not self._channel.ended:
            self._channel.error = closed(self.command)
        self._watch()
        self._connected.close()
        self._wake()

    async def complete(
        self,
        data: bytes | None,
        output: Output,
        timeout: float | None,  # noqa: ASYNC109 (the error has the output)
    ) -> int:
        """Passes input, takes all output, waits for the end; returns the exit status.

        Raises:
            TimedOutError: not ended in time; with the output so far.
            GuestError: the container ended under it.
        """
        channel = self._channel
        if data is not None:
            channel.write(data)
            channel.end_input()
        try:
            async with asyncio.timeout(timeout) as limit:
                while True:
                    while channel.output:
                        output.take(*channel.output.popleft())
                    if channel.ended:
                        return await self._status()
                    await self._until(lambda: bool(channel.output) or channel.ended)
        except TimeoutError:
            if not limit.expired():
                raise
            channel.send_signal(9)
            raise output.timed_out(self.command, timeout or 0.0) from None

    async def _until(self, reached: Callable[[], bool]) -> None:
        """Moves bytes until something is so."""
        while not reached():
            waiter = self._loop.create_future()
            self._waiters.add(waiter)
            self._watch()
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
                self._watch()

    def _watch(self) -> None:
        """Has the event loop look at the session while somebody waits."""
        if self._closed and self._channel.fileno() < 0:
            return
        waited = bool(self._waiters) and not self._channel.ended
        if waited:
            self._loop.add_reader(self._channel.fileno(), self._on_readable)
        else:
            self._loop.remove_reader(self._channel.fileno())
        if waited and self._channel.wants_write:
            self._loop.add_writer(self._channel.fileno(), self._on_writable)
        else:
            self._loop.remove_writer(self._channel.fileno())

    def _on_readable(self) -> None:
        self._channel.receive()
        self._channel.flush()
        self._wake()

    def _on_writable(self) -> None:
        self._channel.flush()
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _open(self) -> Channel:
        if self._closed:
            raise closed(self.command)
        return self._channel

    def _check_input(self) -> None:
        if not self._stdin:
            raise no_input(self.command)

    async def _status(self) -> int:
        if self._channel.exit_status is not None:
            return self._channel.exit_status
        error = self._channel.error
        assert error is not None  # noqa: S101 (one of the two ends it)
        raise await in_thread(lambda: engine.lost(self._connected.record, error))
