"""``start``: has the program of a container that was created run."""

from __future__ import annotations

from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed
from drupe.runtime.starting import start
from drupe.runtime.words import one

OPTIONS: tuple[Option, ...] = ()


def main(home: Home, given: Parsed) -> int:
    """Starts it."""
    start(home.find(one(given)))
    return 0
