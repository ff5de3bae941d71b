"""The drupe that is measured: the one beside this python."""

from __future__ import annotations

import sys
from pathlib import Path


class NoLauncherError(Exception):
    """There is no drupe to measure."""


def find_launcher() -> str:
    """Its path.

    Raises:
        NoLauncherError: there is none.
    """
    path = Path(sys.executable).with_name("drupe")
    if not path.exists():
        raise NoLauncherError("there is no drupe beside this python: run 'make setup'")
    return str(path)
