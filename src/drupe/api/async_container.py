"""``drupe.aio.Container``: a container that goes on by itself, for asyncio."""

from __future__ import annotations

import asyncio
import os
import signal as signals
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Literal, Self, Unpack, overload

from drupe.api import engine
from drupe.api.async_control import AsyncControl
from drupe.api.async_files import FileSystem, called
from drupe.api.async_image import Image
from drupe.api.async_stream import ExecStream
from drupe.api.engine import Moment
from drupe.api.options import (
    ContainerOptions,
    build_request,
    check_input,
    check_seconds,
    check_signal,
    option_name,
)
from drupe.api.results import CompletedExec, Output, Sink
from drupe.api.stream import check_window
from drupe.api.threads import in_thread
from drupe.api.view import WINDOW
from drupe.container import lifecycle, start
from drupe.container.files import Change
from drupe.container.log import Entry, LogReader
from drupe.errors import TimedOutError

_LOG_ENTRIES = 1000
"""Read at once from a log."""
_LOG_POLL_S = 0.1


class Container(AsyncControl):
    """A container, by ``Container.run``, ``create``, ``get`` or ``list_containers``.

    ``drupe.Container`` for asyncio: arguments, results and errors are the same. Used with ``async
    with``, one that was made here is stopped and removed at the end of the block; when the end
    of the block is cancelled, at once.
    """

    @classmethod
    async def run(
        cls,
        image: str | None = None,
        command: Sequence[str] = (),
        *,
        remove: bool = False,
        stdin: bool = False,
        tty: bool = False,
        **options: Unpack[ContainerOptions],
    ) -> Container:
        """Starts a container that goes on by itself: ``drupe.Container.run``.

        When cancelled, nothing of it stays.
        """
        request = build_request(image, command, options, remove=remove, stdin=stdin, tty=tty)
        name = option_name(options)
        store = await in_thread(engine.open_store)
        launch = engine.Launch(store, request, name)
        record = await in_thread(
            launch.detached,
            abort=launch.call_off,
            undo=lambda late: engine.remove(store, late),
        )
        return cls(store, record, owned=True)

    @classmethod
    async def create(
        cls,
        image: str | None = None,
        command: Sequence[str] = (),
        *,
        remove: bool = False,
        stdin: bool = False,
        tty: bool = False,
        **options: Unpack[ContainerOptions],
    ) -> Container:
        """Makes a container that ``start`` starts: ``drupe.Container.create``."""
        request = build_request(image, command, options, remove=remove, stdin=stdin, tty=tty)
        name = option_name(options)
        store = await in_thread(engine.open_store)
        launch = engine.Launch(store, request, name)
        record = await in_thread(launch.created, undo=lambda late: engine.remove(store, late))
        return cls(store, record, owned=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._owned:
            await in_thread(
                lambda: engine.stop_and_remove(self._store, self._record),
                abort=lambda: engine.end_machine(self._record),
            )

    async def start(self) -> None:
        """Starts the container: ``drupe.Container.start``. When cancelled, it is ended."""
        await self._until_started(lambda: start.ensure_started(self._store, self._record))

    async def restart(self, grace: float | None = None, *, signal: int | None = None) -> None:
        """Starts the container again: ``drupe.Container.restart``. When cancelled, it is ended."""
        check_seconds("grace", grace)
        number = None if signal is None else check_signal(signal)
        await self._until_started(
            lambda: start.restart(self._store, self._record, signal=number, grace_s=grace)
        )

    async def _until_started(self, call: Callable[[], None]) -> None:
        await in_thread(
            call,
            abort=lambda: engine.end_machine(self._record),
            undo=lambda _: engine.end_machine(self._record),
        )

    async def rename(self, name: str) -> None:
        """Gives the container another name: ``drupe.Container.rename``."""
        await in_thread(lambda: self._store.rename(self._record, name))

    @overload
    async def exec(
        self,
        command: Sequence[str],
        *,
        stream: Literal[False] = False,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
        user: str | None = None,
        input: bytes | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (as in drupe.Container)
        check: bool = False,
        stdout: Sink | None = None,
        stderr: Sink | None = None,
    ) -> CompletedExec: ...

    @overload
    async def exec(
        self,
        command: Sequence[str],
        *,
        stream: Literal[True],
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
        user: str | None = None,
        stdin: bool = False,
        tty: bool = False,
        window: tuple[int, int] = WINDOW,
    ) -> ExecStream: ...

    async def exec(
        self, command: Sequence[str], *, stream: bool = False, **options: Any
    ) -> CompletedExec | ExecStream:
        """Runs a further command in the container: ``drupe.Container.exec``.

        When cancelled, the command is ended.
        """
        if stream:
            return await self._exec_stream(command, **options)
        return await self._exec(command, **options)

    async def _exec(
        self,
        command: Sequence[str],
        *,
        input: bytes | None = None,  # noqa: A002 (as in drupe.Container)
        timeout: float | None = None,  # noqa: ASYNC109 (as in drupe.Container)
        check: bool = False,
        stdout: Sink | None = None,
        stderr: Sink | None = None,
        **options: Any,
    ) -> CompletedExec:
        data, output = check_input(input), Output(stdout, stderr)
        check_seconds("timeout", timeout)
        async with await self._exec_stream(command, stdin=data is not None, **options) as stream:
            status = await stream.complete(data, output, timeout)
        result = output.completed(stream.command, status)
        if check:
            result.check()
        return result

    async def _exec_stream(
        self,
        command: Sequence[str],
        *,
        stdin: bool = False,
        tty: bool = False,
        window: tuple[int, int] = WINDOW,
        **options: Any,
    ) -> ExecStream:
        check_window(*window)
        terminal = window if tty else None
        connected = await in_thread(
            lambda: engine.exec_process(
                self._record, command, stdin=stdin, terminal=terminal, **options
            ),
            undo=lambda late: late.close(),
        )
        return ExecStream(connected, stdin=stdin or tty)

    async def reattach(self) -> ExecStream:
        """Takes up the main process, as it runs: ``drupe.Container.reattach``."""
        connected = await in_thread(
            lambda: engine.reattach(self._record), undo=lambda late: late.close()
        )
        return ExecStream(connected, stdin=self._record.spec.stdin)

    @property
    def fs(self) -> FileSystem:
        """Its files."""
        return FileSystem(self._store, self._record)

    async def diff(self) -> list[Change]:
        """What the container has changed above its image: ``drupe.Container.diff``."""
        return await called(lambda: engine.diff(self._store, self._record))

    async def export(self, sink: Sink) -> None:
        """All files of the container, as a tar: ``drupe.Container.export``.

        ``sink`` is called in another thread.
        """
        await called(lambda: engine.export(self._store, self._record, sink))

    async def commit(
        self,
        name: str | None = None,
        *,
        changes: Sequence[str] = (),
        author: str = "",
        message: str = "",
    ) -> Image:
        """Makes an image of the container: ``drupe.Container.commit``."""
        words = {"author": author, "message": message}
        return Image(
            await called(lambda: engine.commit(self._store, self._record, name, changes, **words))
        )

    async def logs(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> AsyncIterator[Entry]:
        """What the main process wrote, line by line: ``drupe.Container.logs``."""
        part = engine.part_of_log(self._record, tail, since, until)
        process = self._record.process() if follow else None
        with LogReader(self._record, part) as reader:
            entries = await in_thread(reader.entries)
            while True:
                # What was written before the end is read after the end was seen.
                ended = process is None or part.over or not process.alive()
                while batch := await in_thread(partial(_some, entries)):
                    for entry in batch:
                        yield entry
                if ended:
                    return
                await asyncio.sleep(_LOG_POLL_S)
                entries = reader.entries()

    async def wait(self, timeout: float | None = None) -> int:  # noqa: ASYNC109 (as in drupe.Container)
        """Waits until the container has ended: ``drupe.Container.wait``."""
        check_seconds("timeout", timeout)
        run = self._record.run()
        descriptor = None if run is None else run.process.open()
        if descriptor is not None and not await _readable(descriptor, timeout):
            raise TimedOutError(
                f"failed to wait for container '{self.name}': not ended in {timeout:g} s",
                timeout or 0.0,
            )
        return engine.wait(self._record, 0.0, run)

    async def stop(self, grace: float | None = None, *, signal: int | None = None) -> int | None:
        """Ends the container in order: ``drupe.Container.stop``. When cancelled, at once."""
        check_seconds("grace", grace)
        number = None if signal is None else check_signal(signal)
        condition = await in_thread(
            lambda: lifecycle.stop(self._record, signal=number, grace_s=grace),
            abort=lambda: engine.end_machine(self._record),
        )
        return condition.status

    async def kill(self, signal: int = signals.SIGKILL) -> None:
        """Sends a signal to the main process: ``drupe.Container.kill``."""
        check_signal(signal)
        await in_thread(lambda: lifecycle.kill(self._record, signal))

    async def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Removes the container: ``drupe.Container.remove``."""
        await in_thread(lambda: self._store.remove(self._record, force=force, volumes=volumes))


async def get(name_or_id: str) -> Container:
    """A container by name, id, or the beginning of its id: ``drupe.get``."""
    store = await in_thread(engine.open_store)
    return Container(store, await in_thread(lambda: engine.find(store, name_or_id)))


async def list_containers(*, all: bool = False) -> list[Container]:  # noqa: A002 (as in drupe)
    """The containers of this user, the oldest first: ``drupe.list_containers``."""
    store = await in_thread(engine.open_store)
    found = await in_thread(lambda: engine.records(store, ended=all))
    return [Container(store, record) for record in found]


def _some(entries: Iterator[Entry]) -> list[Entry]:
    return list(islice(entries, _LOG_ENTRIES))


async def _readable(descriptor: int, timeout: float | None) -> bool:  # noqa: ASYNC109
    """Waits until a pidfd tells the end of its process; whether it did in time. Closes it."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        async with asyncio.timeout(timeout) as limit:
            await readable.wait()
    except TimeoutError:
        if not limit.expired():
            raise
        return False
    else:
        return True
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
