"""Tables, JSON, times: how verbs print."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from drupe.container.record import Condition, State
from drupe.container.store import Store


def open_store() -> Store:
    """The user's containers; what dead commands left behind is cleaned up first, and told."""
    store = Store()
    for line in store.sweep():
        print(f"drupe: {line}", file=sys.stderr)
    return store


def print_json(value: object) -> None:
    """JSON, as people read it."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Left-aligned columns; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("   ".join(cells).rstrip())


def ago(then_ns: int) -> str:
    """How long ago, in one unit."""
    seconds = max(0, time.time_ns() - then_ns) // 1_000_000_000
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return f"{seconds} second{'' if seconds == 1 else 's'} ago"


def status_text(condition: Condition) -> str:
    """What ``ps`` shows of a container's state."""
    when = ago(condition.ended_ns) if condition.ended_ns is not None else ""
    if condition.state in {State.RUNNING, State.PAUSED}:
        up = f"Up {ago(condition.started_ns or time.time_ns()).removesuffix(' ago')}"
        if condition.state is State.PAUSED:
            return f"{up} (Paused)"
        if condition.health is None:
            return up
        health = condition.health.status
        return f"{up} ({'health: starting' if health == 'starting' else health})"
    if condition.state is State.RESTARTING:
        return f"Restarting ({condition.status}) {when}"
    if condition.state is State.EXITED:
        return f"Exited ({condition.status}) {when}".rstrip()
    if condition.state is State.DEAD:
        return f"Dead ({condition.status}): its kernel ended without a word"
    return "Created"
