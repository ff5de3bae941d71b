"""``drupe.events`` and its twin for asyncio: what happens to containers, as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from drupe.api import engine
from drupe.api.threads import in_thread
from drupe.container import events as container_events
from drupe.container.events import Event, Watcher


def events(*, since: float | None = None, until: float | None = None) -> Iterator[Event]:
    """What happens to the containers of this user, from now on.

    It is seen by looking up to ten times a second: a container that comes and goes between two
    looks is missed.

    Args:
        since: seconds since the epoch: begin with what the containers that there are have seen
            since then, in their newest run.
        until: the same: end then; None: never.
    """
    store = engine.open_store()
    return container_events.events(store, since_ns=_ns(since), until_ns=_ns(until))


async def async_events(
    *, since: float | None = None, until: float | None = None
) -> AsyncIterator[Event]:
    """What happens to the containers of this user: ``drupe.events``."""
    store = await in_thread(engine.open_store)
    watcher = await in_thread(lambda: Watcher(store))
    if since is not None:
        for event in watcher.history():
            if since * 1e9 <= event.time_ns and (until is None or event.time_ns < until * 1e9):
                yield event
    while until is None or time.time() < until:
        await asyncio.sleep(watcher.pause_s)
        for event in await in_thread(watcher.poll):
            yield event


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1e9)
