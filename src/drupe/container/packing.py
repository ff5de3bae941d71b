"""From files of this host to a tar stream, for a guest."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from tarfile import PAX_FORMAT, TarInfo

from drupe.errors import HostError

_PIECE_BYTES = 1 << 17
_BLOCK_BYTES = 512
_TYPES = {
    stat.S_IFREG: b"0",
    stat.S_IFLNK: b"2",
    stat.S_IFCHR: b"3",
    stat.S_IFBLK: b"4",
    stat.S_IFDIR: b"5",
    stat.S_IFIFO: b"6",
}
_ATTRIBUTES = ("user.", "security.capability")
"""Beginnings of the names of extended attributes that go along."""


def pack(path: str, name: str) -> Iterator[bytes]:
    """The stream of a file or a tree, which is called ``name`` in it; in pieces.

    Sockets are left out. A file that is cut short meanwhile is filled up with zeros.

    Raises:
        HostError: something cannot be read.
    """
    seen: dict[tuple[int, int], str] = {}
    waiting = [(path, name)]
    while waiting:
        at, called = waiting.pop()
        try:
            yield from _entry(at, called, seen)
            if os.path.isdir(at) and not os.path.islink(at):  # noqa: PTH112, PTH114 (many times)
                names = sorted(os.listdir(at), reverse=True)  # noqa: PTH208
                waiting += [(f"{at}/{inner}", f"{called}/{inner}") for inner in names]
        except OSError as error:
            raise HostError(f"failed to read '{at}': {error.strerror}") from error
    yield bytes(2 * _BLOCK_BYTES)


def _entry(path: str, name: str, seen: dict[tuple[int, int], str]) -> Iterator[bytes]:
    found = os.lstat(path)
    kind = _TYPES.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        return
    info = TarInfo(name)
    info.type = kind
    info.mode = stat.S_IMODE(found.st_mode)
    info.uid, info.gid = found.st_uid, found.st_gid
    seconds, nanoseconds = divmod(found.st_mtime_ns, 1_000_000_000)
    info.mtime = max(0, seconds)
    records = _attributes(path)
    if nanoseconds or seconds < 0:
        records["mtime"] = _decimal(found.st_mtime_ns)
    info.pax_headers = records
    if kind == b"2":
        info.linkname = os.readlink(path)  # noqa: PTH115 (a path as it is)
    elif kind in b"34":
        info.devmajor, info.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
    if kind != b"5" and found.st_nlink > 1:
        first = seen.setdefault((found.st_dev, found.st_ino), name)
        if first != name:
            info.type, info.linkname = b"1", first
    if info.type != b"0":
        yield _header(info)
        return
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (a path as it is)
        info.size = os.fstat(file.fileno()).st_size
        yield _header(info)
        left = info.size
        while left:
            piece = file.read(min(left, _PIECE_BYTES)) or bytes(min(left, _PIECE_BYTES))
            left -= len(piece)
            yield piece
        yield bytes(-info.size % _BLOCK_BYTES)


def _header(info: TarInfo) -> bytes:
    return info.tobuf(PAX_FORMAT, "utf-8", "surrogateescape")


def _decimal(ns: int) -> str:
    sign = "-" if ns < 0 else ""
    seconds, rest = divmod(abs(ns), 1_000_000_000)
    return f"{sign}{seconds}.{rest:09}"


def _attributes(path: str) -> dict[str, str]:
    found = {}
    with suppress(OSError):  # a file system without them
        for name in os.listxattr(path, follow_symlinks=False):
            if name.startswith(_ATTRIBUTES):
                value = os.getxattr(path, name, follow_symlinks=False)
                found[f"SCHILY.xattr.{name}"] = value.decode("utf-8", "surrogateescape")
    return found
