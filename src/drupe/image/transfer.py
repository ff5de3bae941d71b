"""Several blobs at a time, to or from a registry; an interrupt ends all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Protocol, TypeVar

from drupe.registry.client import Client

AT_ONCE = 3
"""Blobs at a time: as many as docker and podman fetch; more rarely helps a link."""

T = TypeVar("T")


class Gauge(Protocol):
    """Is told how one thing goes on."""

    def advance(self, count_bytes: int, total_bytes: int | None = None) -> None:
        """So many more bytes."""

    def step(self, state: str) -> None:
        """What is done now."""

    def end(self, state: str = "done") -> None:
        """The last word."""


Observer = Callable[[str, int | None], Gauge]
"""Makes a gauge for something that begins: its name, and its size in bytes if known."""


class _Silent:
    def advance(self, count_bytes: int, total_bytes: int | None = None) -> None:
        pass

    def step(self, state: str) -> None:
        pass

    def end(self, state: str = "done") -> None:
        pass


def unobserved(_: str, __: int | None) -> Gauge:
    """Gauges that nobody looks at."""
    return _Silent()


def for_all(client: Client, items: Iterable[T], act: Callable[[T], None]) -> None:
    """Acts on all items, some at a time; the first error ends the others, and is raised.

    Raises:
        DrupeError: the first one.
    """
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="blob")
    futures = [pool.submit(act, item) for item in items]
    try:
        done, rest = wait(futures, return_when=FIRST_EXCEPTION)
        failed = [future for future in done if future.exception() is not None]
        if failed or rest:
            client.cut()
        for future in failed:
            future.result()
    except BaseException as error:
        client.cut()
        # One may wait for another command's lock, which an interrupt does not end.
        pool.shutdown(wait=not isinstance(error, KeyboardInterrupt), cancel_futures=True)
        raise
    pool.shutdown()
