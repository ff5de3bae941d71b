"""The words of a command line that are no options: containers, signals."""

from __future__ import annotations

import signal

from drupe.errors import SpecError
from drupe.runtime.options import Parsed

_NUMBER_MOST = 64


def one(given: Parsed) -> str:
    """The one word that a verb takes, a container's id.

    Raises:
        SpecError: there are none or several.
    """
    if len(given.rest) != 1:
        raise SpecError("exactly one argument is needed: the container's id")
    return given.rest[0]


def parse_signal(text: str) -> int:
    """A signal by number, or by name with or without SIG.

    Raises:
        SpecError: there is none.
    """
    if text.isascii() and text.isdigit() and 0 < int(text) <= _NUMBER_MOST:
        return int(text)
    name = f"SIG{text.upper().removeprefix('SIG')}"
    known: signal.Signals | None = getattr(signal.Signals, name, None)
    if known is None:
        raise SpecError(f'unknown signal "{text}"')
    return int(known)
