"""The host processes of a container's machine: its kernel, and all that descends from it."""

from __future__ import annotations

from collections.abc import Iterator
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


def _children(pid: int) -> Iterator[int]:
    for task in (_PROC / str(pid)).glob("task/*"):
        try:
            text = (task / "children").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield from map(int, text.split())
