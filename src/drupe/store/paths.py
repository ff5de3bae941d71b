"""Where things are kept: the XDG base directories.

Source: XDG Base Directory Specification 0.8.
"""

from __future__ import annotations

import os
from pathlib import Path

from drupe.errors import HostError


def data_home() -> Path:
    """Kernels and images of this user: ``$XDG_DATA_HOME/drupe``."""
    return _home("XDG_DATA_HOME", ".local/share") / "drupe"


def data_dirs() -> list[Path]:
    """Where kernels and images are looked up: this user's, then the system's, read only."""
    system = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    rest = [Path(entry) / "drupe" for entry in system.split(":") if entry.startswith("/")]
    return [data_home(), *rest]


def state_home() -> Path:
    """Containers: ``$XDG_STATE_HOME/drupe``."""
    return _home("XDG_STATE_HOME", ".local/state") / "drupe"


def cache_home() -> Path:
    """What can be made again: sources, build trees: ``$XDG_CACHE_HOME/drupe``."""
    return _home("XDG_CACHE_HOME", ".cache") / "drupe"


def private_dir(path: Path) -> Path:
    """Makes a directory and its parents, each that is missing with mode 0700; returns it.

    Raises:
        HostError: it cannot be made, or is something else.
    """
    try:
        # Not mkdir(parents=True): it gives the parents whatever mode the umask leaves.
        for directory in (*reversed(path.parents), path):
            if not directory.is_dir():
                directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise HostError(
            f"failed to make directory '{path}': {error.strerror}",
            hint="set XDG_STATE_HOME, XDG_DATA_HOME and XDG_CACHE_HOME to directories of yours",
        ) from error
    return path


def _home(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    if value.startswith("/"):
        return Path(value)
    home = os.environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 (no exception)
    if not home.startswith("/"):
        raise HostError(
            f"failed to find '{variable}': there is no home directory",
            hint=f"set HOME or {variable}",
        )
    return Path(home) / default
