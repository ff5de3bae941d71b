"""Platforms by name."""

from __future__ import annotations

import os

from drupe.errors import SpecError
from drupe.platform.base import Platform

NAMES = ("um", "um-strict")
VARIABLE = "DRUPE_PLATFORM"


def default_platform() -> str:
    """What runs a container's kernel where nobody says; the environment's choice, or ``um``."""
    return os.environ.get(VARIABLE) or "um"


def find_platform(name: str) -> Platform:
    """The platform of that name.

    Raises:
        SpecError: there is none.
    """
    if name == "um":
        from drupe.platform.um import UserMode

        return UserMode()
    if name == "um-strict":
        from drupe.platform.um import UserModeStrict

        return UserModeStrict()
    raise SpecError(
        f"failed to find platform '{name}': no such platform", hint=f"one of: {', '.join(NAMES)}"
    )
