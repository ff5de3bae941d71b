"""How much of the disk files take: blocks, not sizes, so that holes count nothing."""

from __future__ import annotations

import os
from pathlib import Path

_BLOCK_BYTES = 512
"""What st_blocks counts, whatever the file system's own blocks are. Source: stat(2)."""


def taken_bytes(path: Path) -> int:
    """Bytes on the disk of a file, or of all below a directory; several names count once.

    What goes meanwhile, or cannot be read, counts nothing.
    """
    seen: set[tuple[int, int]] = set()
    total = 0
    waiting = [str(path)]
    while waiting:
        at = waiting.pop()
        try:
            told = os.lstat(at)
            if (told.st_dev, told.st_ino) in seen:
                continue
            seen.add((told.st_dev, told.st_ino))
            total += told.st_blocks * _BLOCK_BYTES
            if os.path.isdir(at) and not os.path.islink(at):  # noqa: PTH112, PTH114 (many)
                waiting += [entry.path for entry in os.scandir(at)]
        except OSError:
            continue
    return total
