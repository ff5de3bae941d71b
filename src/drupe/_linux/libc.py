"""The C library, and how its errors become OSError."""

from __future__ import annotations

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: object) -> int:
    """Returns ``result``, or raises the OSError that errno tells of, naming ``what``."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(what))
    return result
