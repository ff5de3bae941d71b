"""What the host holds for a container beside its machine: control groups, a user-mode network.

Both end with the machine as a rule; released here is what did not.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from drupe.container import bounds
from drupe.container.processes import NETWORK
from drupe.container.record import Record
from drupe.net import passt


def release(record: Record) -> None:
    """Gives back what is held for a machine that has ended; the caller holds the container's lock.

    Raises:
        HostError: processes are left in a control group.
    """
    end_network(record)
    bounds.release(record)


def end_network(record: Record) -> None:
    """Ends the network of a machine that has ended, where it has not by itself."""
    passt.end(record.path(NETWORK))


def release_ended(record: Record) -> None:
    """The same, if the machine has ended and nobody else is at it."""
    held = (record.path(NETWORK), bounds.groups_file(record))
    if not any(path.exists() for path in held):
        return
    with suppress(FileNotFoundError, BlockingIOError):
        lock = os.open(record.directory / "lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if record.condition().pid is None:
                release(record)
        finally:
            os.close(lock)
