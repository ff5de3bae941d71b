"""Blocking calls in threads, for asyncio: a call that was begun is always brought to an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


async def in_thread(
    call: Callable[[], T],
    *,
    abort: Callable[[], object] | None = None,
    undo: Callable[[T], object] | None = None,
) -> T:
    """Makes a blocking call in a thread of its own.

    When cancelled, it still waits for the call to end, so that nobody works on behind the caller's
    back.

    Args:
        call: what is called.
        abort: called, in another thread, when cancelled: makes ``call`` end soon.
        undo: called, in another thread, with the result of a call that was cancelled too late.
    """
    result = _start(call)
    try:
        await asyncio.wait([result])
        return result.result()
    except asyncio.CancelledError:
        if abort is not None:
            await _ended(_start(abort))
        await _ended(result)
        if undo is not None and result.exception() is None:
            value = result.result()
            await _ended(_start(lambda: undo(value)))
        raise


def _start(call: Callable[[], T]) -> asyncio.Future[T]:
    """A call in a thread of its own; its result, as a future that nobody cancels."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="drupe")
    future = asyncio.get_running_loop().run_in_executor(executor, call)
    executor.shutdown(wait=False)
    return future


async def _ended(future: asyncio.Future[T]) -> None:
    """Waits for a future, whatever happens to the caller; its error is left in it."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    future.exception()  # so that asyncio does not report it as missed
