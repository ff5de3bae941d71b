"""``pause``: stops a container where it is."""

from __future__ import annotations

from drupe.container.pausing import pause
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed
from drupe.runtime.words import one

OPTIONS: tuple[Option, ...] = ()


def main(home: Home, given: Parsed) -> int:
    """Pauses it."""
    container = home.find(one(given))
    container.require("container not running", "running")
    pause(container.record)
    return 0
