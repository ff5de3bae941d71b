"""How a container is stopped: a signal, and the time until SIGKILL."""

from __future__ import annotations

import signal
from typing import NamedTuple

from drupe.errors import SpecError

GRACE_S = 10.0
"""Between the signal and SIGKILL, where nobody says: as docker."""


class Stopping(NamedTuple):
    """What ``stop`` does to a container.

    Attributes:
        signal: to the main process.
        grace_s: seconds until SIGKILL.
    """

    signal: int = signal.SIGTERM.value
    grace_s: float = GRACE_S


def parse_signal(text: str) -> int:
    """A signal's number from TERM, SIGTERM, RTMIN+3 or 15.

    Raises:
        SpecError: no such signal.
    """
    name = text.upper().removeprefix("SIG")
    if name.isdecimal() and 1 <= int(name) <= signal.NSIG - 1:
        return int(name)
    base, plus, offset = name.partition("+")
    if plus and base == "RTMIN" and offset.isdecimal() and int(offset) <= 30:
        return signal.SIGRTMIN + int(offset)
    if f"SIG{name}" in signal.Signals.__members__:
        return signal.Signals[f"SIG{name}"].value
    raise SpecError(f"failed to use signal '{text}': no such signal", hint="TERM, SIGTERM or 15")


def check_grace(seconds: float) -> float:
    """Seconds of grace, a day at most.

    Raises:
        SpecError: out of bounds, or not a number.
    """
    if not 0 <= seconds <= 86_400:
        raise SpecError(f"failed to use time '{seconds}': not a number of seconds, 0 to 86400")
    return seconds
