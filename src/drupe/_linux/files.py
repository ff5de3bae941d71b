"""File descriptors. Source: close_range(2)."""

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
