"""Giving up privileges. Source: capabilities(7), prctl(2), personality(2)."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Collection

from drupe._linux.libc import check, libc

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x2008_0522
_ADDR_NO_RANDOMIZE = 0x004_0000


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def die_with_parent(signal: int) -> None:
    """Asks for ``signal`` when the parent ends; 0 takes that back."""
    _prctl(_PR_SET_PDEATHSIG, signal)


def set_no_new_privs() -> None:
    """Lets no execve() grant privileges, now and ever after."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


CAP_DAC_OVERRIDE = 1
CAP_FOWNER = 3
"""Source: linux/capability.h."""


def drop_capabilities(kept: Collection[int] = ()) -> None:
    """Empties all capability sets but for ``kept``; so that no execve() refills them, for good."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in set(range(64)) - set(kept):
        try:
            _prctl(_PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno != errno.EINVAL:  # past the last one that this kernel knows
                raise
    header = _CapHeader(version=_CAPABILITY_VERSION_3, pid=0)
    data = (_CapData * 2)()
    data[0].effective = data[0].permitted = sum(1 << capability for capability in kept)
    check(libc.capset(ctypes.byref(header), ctypes.byref(data)), "capset")


def disable_address_randomization() -> None:
    """Gives programs executed from here on the same addresses each time."""
    check(libc.personality(ctypes.c_ulong(_ADDR_NO_RANDOMIZE)), "personality")


def _prctl(option: int, first: int) -> None:
    zero = ctypes.c_ulong(0)
    done = libc.prctl(ctypes.c_int(option), ctypes.c_ulong(first), zero, zero, zero)
    check(done, f"prctl {option}")
