"""What a tar archive says of one file, and how much of that is believed."""

from __future__ import annotations

import stat

PATH_MOST = 4096
NAME_MOST = 255
TARGET_MOST = 4095
ID_MOST = 0xFFFF_FFFE

KIND_OF = {
    b"0": stat.S_IFREG,
    b"\0": stat.S_IFREG,
    b"7": stat.S_IFREG,
    b"S": stat.S_IFREG,
    b"2": stat.S_IFLNK,
    b"3": stat.S_IFCHR,
    b"4": stat.S_IFBLK,
    b"5": stat.S_IFDIR,
    b"6": stat.S_IFIFO,
}
"""Type flags of files → their kind in a mode; a hard link (b"1") has none of its own."""


class Entry:
    """One file in an archive.

    Attributes:
        path: as it is written there: bytes, since it need not be UTF-8.
        kind: ``stat.S_IF...``; 0: a hard link.
        mode: permissions, with set-id and sticky bits.
        uid, gid: its owner.
        mtime_ns: since the epoch; may be negative.
        size: bytes of a regular file.
        target: of a symbolic or hard link.
        device: (major, minor).
        xattrs: name → value, or None.
        segments: (offset, length) of what is not a hole in a sparse file, or None.
        stored: bytes that follow in the archive; ``size`` unless it is sparse.
    """

    __slots__ = (
        "device",
        "gid",
        "kind",
        "mode",
        "mtime_ns",
        "path",
        "segments",
        "size",
        "stored",
        "target",
        "uid",
        "xattrs",
    )

    def __init__(
        self,
        path: bytes,
        kind: int,
        *,
        mode: int = 0o755,
        uid: int = 0,
        gid: int = 0,
        mtime_ns: int = 0,
        size: int = 0,
        target: bytes = b"",
        device: tuple[int, int] = (0, 0),
        xattrs: dict[bytes, bytes] | None = None,
    ) -> None:
        self.path = path
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.mtime_ns = mtime_ns
        self.size = size
        self.stored = size
        self.target = target
        self.device = device
        self.xattrs = xattrs
        self.segments: list[tuple[int, int]] | None = None


def shown(path: bytes) -> str:
    """A path for a message."""
    return path[:200].decode("utf-8", "backslashreplace")
