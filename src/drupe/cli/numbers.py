"""Numbers: seconds and counts as they are given on a command line, amounts as they are shown."""

from __future__ import annotations

import re

from drupe.errors import SpecError


def parse_seconds(text: str) -> float:
    """Seconds, a day at most.

    Raises:
        SpecError: not a number of seconds.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise SpecError(f"failed to use time '{text}': not a number of seconds, 0 to 86400")
    return seconds


def parse_count(text: str) -> int:
    """A number of lines.

    Raises:
        SpecError: not a number, or one of more than 15 digits.
    """
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise SpecError(f"failed to use tail '{text}': not a number of lines", hint="N or 'all'")
    return int(text)


def megabytes(count: int) -> str:
    """An amount for people."""
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


def mebibytes(count: int) -> str:
    """An amount of memory for people."""
    size, units = float(count), ["B", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.4g} {units[0]}"
