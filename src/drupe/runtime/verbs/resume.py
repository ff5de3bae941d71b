"""``resume``: has a container go on that was paused."""

from __future__ import annotations

from drupe.container.pausing import unpause
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed
from drupe.runtime.words import one

OPTIONS: tuple[Option, ...] = ()


def main(home: Home, given: Parsed) -> int:
    """Has it go on."""
    container = home.find(one(given))
    container.require("container not paused", "paused")
    unpause(container.record)
    return 0
