"""File descriptors and what they are open for. Source: close_range(2), fallocate(2)."""

from __future__ import annotations

import ctypes

from drupe._linux.libc import check, libc

_SYS_CLOSE_RANGE = 436


def close_range(first: int, last: int) -> None:
    """Closes every descriptor from ``first`` to ``last``; none where ``last`` is less."""
    if first <= last:
        done = libc.syscall(_SYS_CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(last), 0)
        check(done, "close_range")


def close_from(first: int) -> None:
    """Closes every descriptor from ``first`` on."""
    close_range(first, 0xFFFF_FFFF)


def punch_hole(descriptor: int, offset: int, length: int) -> None:
    """Gives a part of a file back to the disk; it reads as zeros from then on.

    Source: fallocate(2), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE.
    """
    where = ctypes.c_int64(offset), ctypes.c_int64(length)
    check(libc.fallocate(descriptor, 3, *where), "fallocate")
