"""File descriptors and how they are opened. Source: close_range(2), fallocate(2), openat2(2)."""

from __future__ import annotations

import ctypes
import os

from drupe._linux.libc import check, libc

_SYS_CLOSE_RANGE = 436
_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_in_root(root: int, path: str, flags: int) -> int:
    """Opens what ``path`` is where the directory ``root`` is the root, whatever links there say."""
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    done = libc.syscall(
        _SYS_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)
    )
    return check(done, path)


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
