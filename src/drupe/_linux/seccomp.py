"""Loading a seccomp filter. Source: seccomp(2)."""

from __future__ import annotations

import ctypes

from drupe._linux.libc import check, libc

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_INSTRUCTION_BYTES = 8


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def load_filter(program: bytes) -> None:
    """Puts a classic BPF program over the calling process, for good; needs no_new_privs."""
    fprog = _Program(len=len(program) // _INSTRUCTION_BYTES, filter=program)
    done = libc.prctl(
        ctypes.c_int(_PR_SET_SECCOMP),
        ctypes.c_ulong(_SECCOMP_MODE_FILTER),
        ctypes.byref(fprog),
        ctypes.c_ulong(0),
        ctypes.c_ulong(0),
    )
    check(done, "seccomp filter")
