"""The host processes of a container: its kernel, all that descends from it, and its network."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from drupe.container.record import Record
from drupe.net import passt
from drupe.store.liveness import ProcessId

NETWORK = "network.json"
"""The file that says which process is the container's network."""

_PROC = Path("/proc")


def network_process(record: Record) -> ProcessId | None:
    """The process that is a container's user-mode network, if it has one that is there.

    Raises:
        HostError, StateError: its file cannot be read, or is spoilt.
    """
    return passt.process_of(record.path(NETWORK))


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
