"""``drupe.aio.run``: a command in a container of its own, to its end, for asyncio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from drupe.api import engine
from drupe.api.async_stream import ExecStream
from drupe.api.options import ContainerOptions, check_input
from drupe.api.results import CompletedRun, Output, Sink
from drupe.api.run import Wanted, completed
from drupe.api.threads import in_thread


async def run(
    image: str | None = None,
    command: Sequence[str] = (),
    *,
    remove: bool = True,
    input: bytes | None = None,  # noqa: A002 (as in drupe.run)
    timeout: float | None = None,  # noqa: ASYNC109 (as in drupe.run; the error has the output)
    check: bool = False,
    stdout: Sink | None = None,
    stderr: Sink | None = None,
    **options: Unpack[ContainerOptions],
) -> CompletedRun:
    """Runs a command in a new container, to its end: ``drupe.run`` for asyncio.

    Arguments, result and errors are those of ``drupe.run``; ``stdout`` and ``stderr`` are ordinary
    functions and are called in the event loop. When cancelled, the container is ended, and removed
    unless ``remove`` is False, before this returns.
    """
    wanted = Wanted.of(
        image, command, options, remove=remove, data=check_input(input), timeout=timeout
    )
    output = Output(stdout, stderr)
    store = await in_thread(engine.open_store)
    launch = engine.Launch(store, wanted.request, wanted.name)

    def undo(late: engine.Connected) -> None:
        late.close()
        engine.discard(store, late)

    started = await in_thread(launch.attached, abort=launch.call_off, undo=undo)
    try:
        async with ExecStream(started, stdin=wanted.request.stdin) as stream:
            status = await stream.complete(wanted.data, output, wanted.timeout)
    except BaseException:
        await in_thread(lambda: engine.discard(store, started))
        raise
    await in_thread(
        lambda: engine.finish(store, started),
        abort=lambda: engine.end_machine(started.record),
    )
    return completed(started.record, output, status, check=check)
