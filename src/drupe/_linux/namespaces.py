"""Namespaces: leaving the host's, and mapping user ids into a new one. Source: namespaces(7)."""

from __future__ import annotations

import ctypes
import os

from drupe._linux.libc import check, libc

CLONE_NEWNS = 0x0002_0000
CLONE_NEWCGROUP = 0x0200_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

IdMap = list[tuple[int, int, int]]
"""Rows of (first id inside, first id outside, count)."""


def unshare(flags: int) -> None:
    """Puts the calling process into new namespaces (its children, for CLONE_NEWPID)."""
    check(libc.unshare(ctypes.c_int(flags)), "unshare")


def enter(path: str) -> None:
    """Puts the calling process into the namespace that a file of /proc or a mount stands for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        check(libc.setns(ctypes.c_int(descriptor), ctypes.c_int(0)), path)
    finally:
        os.close(descriptor)


def write_id_maps(pid: int, uids: IdMap, gids: IdMap, *, deny_setgroups: bool) -> None:
    """Maps the ids of the user namespace of ``pid``. Source: user_namespaces(7)."""
    if deny_setgroups:
        _write(f"/proc/{pid}/setgroups", "deny")
    for name, rows in (("uid_map", uids), ("gid_map", gids)):
        _write(f"/proc/{pid}/{name}", "".join(f"{a} {b} {c}\n" for a, b, c in rows))


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)
