"""Mounts. Source: mount(2), open_tree(2), move_mount(2), mount_setattr(2), pivot_root(2)."""

from __future__ import annotations

import ctypes
import os

from drupe._linux.libc import check, libc

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000
MNT_DETACH = 0x2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 0x1
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_SYS_PIVOT_ROOT = 155
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_MOUNT_SETATTR = 442


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mounts a file system, or changes a mount."""
    done = libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() if options else None,
    )
    check(done, target)


def unmount(target: str, flags: int = 0) -> None:
    """Takes a mount away."""
    check(libc.umount2(os.fsencode(target), flags), target)


def open_tree(descriptor: int, *, recursive: bool) -> int:
    """Clones the mount that an open file or directory lies on, rooted there; returns its fd."""
    flags = _OPEN_TREE_CLONE | _AT_EMPTY_PATH | os.O_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    return check(libc.syscall(_SYS_OPEN_TREE, descriptor, b"", flags), "open_tree")


def move_mount(tree: int, target: str) -> None:
    """Attaches a cloned mount at ``target``."""
    done = libc.syscall(
        _SYS_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH
    )
    check(done, target)


def set_attributes(tree: int, attributes: int, *, recursive: bool) -> None:
    """Adds MOUNT_ATTR_* to a cloned mount and, if asked, to all mounts below it."""
    attr = _MountAttr(attr_set=attributes)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    done = libc.syscall(
        _SYS_MOUNT_SETATTR, tree, b"", flags, ctypes.byref(attr), ctypes.sizeof(attr)
    )
    check(done, "mount_setattr")


def pivot_root(new_root: str) -> None:
    """Makes ``new_root`` the root and takes the old one away."""
    os.chdir(new_root)
    check(libc.syscall(_SYS_PIVOT_ROOT, b".", b"."), new_root)
    unmount(".", MNT_DETACH)
    os.chdir("/")
