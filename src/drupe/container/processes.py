"""The host processes of a container's machine: its kernel, and all that descends from it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def machine_processes(pid: int) -> list[int]:
    """A machine's first process, and its descendants, as of now; parents before children.

    Those that end meanwhile are left out, those that begin may be.
    """
    found = [pid]
    for parent in found:
        found.extend(_children(parent))
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        for task in (_PROC / str(pid) / "task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread of it
                found += map(int, (task / "children").read_text().split())
    return found
