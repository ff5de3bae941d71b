"""Writes newc archives, the form of an initramfs; needs no root for device nodes.

Source: Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive.

    Attributes:
        path: without a leading slash.
        mode: type and permissions, as in stat(2).
        content: of a regular file, or the target of a symbolic link.
        device: major and minor number, of a device node.
    """

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str, mode: int = 0o755) -> Entry:
    """A directory."""
    return Entry(path, stat.S_IFDIR | mode)


def character_device(path: str, major: int, minor: int, mode: int = 0o600) -> Entry:
    """A character device node."""
    return Entry(path, stat.S_IFCHR | mode, device=(major, minor))


def program(path: str, content: bytes) -> Entry:
    """An executable file."""
    return Entry(path, stat.S_IFREG | 0o755, content)


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive: owned by root, dated 1970, so that the same entries give the same bytes.

    Raises:
        ValueError: a path is empty or absolute, or a content is too large for the format.
    """
    parts = []
    for number, entry in enumerate([*entries, Entry(_TRAILER, 0)], start=1):
        if not entry.path or entry.path.startswith("/"):
            raise ValueError(f"not a relative path: {entry.path!r}")
        if len(entry.content) > 0xFFFFFFFF:
            raise ValueError(f"too large: {entry.path!r}")
        name = entry.path.encode() + b"\0"
        inode = 0 if entry.path == _TRAILER else number
        links = 2 if stat.S_ISDIR(entry.mode) else 1
        # inode, mode, uid, gid, links, time, size, the device's own numbers, the node's, name
        fields = (inode, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, *entry.device)
        header = "070701" + "".join(f"{value:08X}" for value in (*fields, len(name), 0))
        parts += [_padded(header.encode() + name), _padded(entry.content)]
    return b"".join(parts)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
