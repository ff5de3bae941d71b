"""Platforms by name."""

from __future__ import annotations

import os
import re

from drupe.errors import SpecError
from drupe.platform.base import Platform

NAMES = ("um", "um-strict")
VARIABLE = "DRUPE_PLATFORM"

_IMAGE_PLATFORM = re.compile(r"linux/(amd64|x86_64)(/v[1-4])?")


def default_platform() -> str:
    """What runs a container's kernel where nobody says; the environment's choice, or ``um``."""
    return os.environ.get(VARIABLE) or "um"


def choose_platform(name: str | None) -> Platform:
    """What is to run a container's kernel; the platform of an image, which docker means, is none.

    Raises:
        SpecError: there is no such platform, or no image of it can run here.
    """
    if name is not None and "/" in name:
        check_image_platform(name)
        name = None
    return find_platform(name or default_platform())


def check_image_platform(name: str) -> None:
    """Raises SpecError for the platform of an image that cannot run here."""
    if not _IMAGE_PLATFORM.fullmatch(name):
        raise SpecError(
            f"failed to use platform '{name}': containers run programs for linux/amd64",
            hint=f"leave it out; drupe's own --platform is one of {', '.join(NAMES)}",
        )


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
