"""What happens to containers, seen by looking at them: nobody has to be told, nothing to be kept.

The state on disk says when a container was made, started and ended, and the host's kernel how its
process is; who looks twice sees what changed in between. A container that comes and goes between
two looks is missed, one that is started and ends in between is not.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from drupe.container.life import parse_duration
from drupe.container.record import Condition, State
from drupe.container.spec import ContainerSpec
from drupe.container.store import Store
from drupe.errors import NotFoundError, SpecError, StateError

_PERIOD_S = 0.1
"""Between two looks, at least: a pause leaves no trace that could be waited for."""
_REST = 9
"""How often the time that a look takes is rested: many containers take a tenth of a processor."""


class Event(NamedTuple):
    """Something that happened to a container.

    Attributes:
        time_ns: since the epoch; when it was seen, where nothing says when it was.
        action: create, start, restart, die, pause, unpause, health_status, rename, destroy.
        id: the container's.
        name: its name, after it.
        image: what it runs; empty: a directory.
        labels: its notes.
        details: more, by action: exit_status, restarts, health, old_name.
    """

    time_ns: int
    action: str
    id: str
    name: str
    image: str
    labels: Mapping[str, str]
    details: Mapping[str, str]


class _Seen(NamedTuple):
    """A container at one look."""

    spec: ContainerSpec
    condition: Condition

    def event(self, action: str, time_ns: int | None, **details: object) -> Event:
        told = {name: str(value) for name, value in details.items()}
        spec = self.spec
        when = time.time_ns() if time_ns is None else time_ns
        return Event(when, action, spec.id, spec.name, spec.image_name, spec.labels, told)


class Watcher:
    """Looks at all containers again and again.

    Attributes:
        pause_s: how long to wait before the next look.
    """

    def __init__(self, store: Store) -> None:
        """What is there now is known; it is no event."""
        self._store = store
        self.pause_s = _PERIOD_S
        self._seen = self._look()

    def history(self) -> list[Event]:
        """What the containers that there are say of their newest run, and of how they were made."""
        events = [event for seen in self._seen.values() for event in _since_birth(seen)]
        return sorted(events, key=lambda event: event.time_ns)

    def poll(self) -> list[Event]:
        """What happened since the last look."""
        before, self._seen = self._seen, self._look()
        events = [seen.event("destroy", None) for i, seen in before.items() if i not in self._seen]
        for identity, now in self._seen.items():
            then = before.get(identity)
            events += _since_birth(now) if then is None else _between(then, now)
        return sorted(events, key=lambda event: event.time_ns)

    def _look(self) -> dict[str, _Seen]:
        begun_s = time.monotonic()
        seen = {}
        for record in self._store.list():
            with suppress(NotFoundError, StateError):
                if record.is_whole:
                    seen[record.id] = _Seen(record.spec, record.condition())
        self.pause_s = max(_PERIOD_S, _REST * (time.monotonic() - begun_s))
        return seen


def events(
    store: Store, *, since_ns: int | None = None, until_ns: int | None = None
) -> Iterator[Event]:
    """What happens to containers from now on, or from ``since_ns`` to ``until_ns``."""
    watcher = Watcher(store)
    if since_ns is not None:
        for event in watcher.history():
            if since_ns <= event.time_ns and (until_ns is None or event.time_ns < until_ns):
                yield event
    while until_ns is None or time.time_ns() < until_ns:
        time.sleep(watcher.pause_s)
        yield from watcher.poll()


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch from RFC 3339, seconds since the epoch, or how long ago: 10m.

    Raises:
        SpecError: none of these.
    """
    if re.fullmatch(r"\d{9,12}(\.\d{1,9})?", text):
        return int(float(text) * 1e9)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return time.time_ns() - int(parse_duration("time", text) * 1e9)
        except SpecError as error:
            raise SpecError(
                f"failed to use time '{text}': not a time",
                hint="2026-11-26T03:00:00Z, seconds since the epoch, or how long ago: 10m",
            ) from error
    if moment.tzinfo is None:
        moment = moment.astimezone()
    return int(moment.astimezone(UTC).timestamp() * 1e9)


def _since_birth(now: _Seen) -> list[Event]:
    spec, condition = now
    events = [now.event("create", spec.created_ns)]
    if condition.started_ns is not None:
        events.append(now.event("start", condition.started_ns))
    return events + _end(now) + _pause(State.RUNNING, now)


def _between(then: _Seen, now: _Seen) -> list[Event]:
    events = []
    if then.spec.name != now.spec.name:
        events.append(now.event("rename", None, old_name=then.spec.name))
    before, after = then.condition, now.condition
    if before.started_ns != after.started_ns:
        if before.pid is not None:  # ended and started again between two looks
            events.append(now.event("die", None))
        events.append(now.event("start", after.started_ns))
        before = Condition(State.RUNNING, 0)
    events += [
        now.event("restart", None, restarts=count)
        for count in range(before.restarts + 1, after.restarts + 1)
    ]
    if after.health is not None and after.health != before.health:
        events.append(now.event("health_status", None, health=after.health.status))
    if before.pid is not None:
        events += _end(now)
    return events + _pause(before.state, now)


def _end(now: _Seen) -> list[Event]:
    condition = now.condition
    if not condition.ended:
        return []
    return [now.event("die", condition.ended_ns, exit_status=condition.status)]


def _pause(before: State, now: _Seen) -> list[Event]:
    paused = now.condition.state is State.PAUSED
    if (before is State.PAUSED) == paused or now.condition.pid is None:
        return []
    return [now.event("pause" if paused else "unpause", None)]
