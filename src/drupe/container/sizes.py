"""Sizes in docker's notation."""

from __future__ import annotations

import re

from drupe.errors import SpecError


def parse_size(what: str, text: str) -> int:
    """Bytes from docker's notation: a number with b, k, m or g.

    Raises:
        SpecError: not such a number.
    """
    match = re.fullmatch(r"(\d{1,15})([kmg]?)b?", text.lower())
    if match is None:
        raise SpecError(
            f"failed to use {what} '{text}': not a size", hint="a number with b, k, m or g: 512m"
        )
    return int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[match[2]]
