"""A reader of uncompressed EROFS images, written from the format's definition, not from the writer.

It knows nothing of how the writer places things; the container kernel is the other witness.
"""

from __future__ import annotations

import stat
import struct
from pathlib import Path
from typing import NamedTuple

_PREFIXES = {
    1: b"user.",
    2: b"system.posix_acl_access",
    3: b"system.posix_acl_default",
    4: b"trusted.",
    6: b"security.",
}


class File(NamedTuple):
    """A file of an image; ``content`` is a symbolic link's target too."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    links: int
    number: int
    content: bytes
    device: int
    xattrs: dict[bytes, bytes]
    holes: bool


def read_image(path: Path) -> dict[bytes, File]:
    """All files by path; "" is the root. Checks what a kernel would stumble over."""
    image = path.read_bytes()
    magic, _, _, bits = struct.unpack_from("<IIIB", image, 1024)
    assert (magic, bits) == (0xE0F5E1E2, 12)
    (root,) = struct.unpack_from("<H", image, 1024 + 14)
    (blocks,) = struct.unpack_from("<I", image, 1024 + 36)
    assert len(image) == blocks << 12
    found: dict[bytes, File] = {}
    _walk(image, root, root, b"", found)
    return found


def _walk(image: bytes, number: int, parent: int, path: bytes, found: dict[bytes, File]) -> None:
    file = _inode(image, number)
    found[path] = file
    if not stat.S_ISDIR(file.mode):
        return
    entries = list(_dirents(file.content))
    names = [name for name, _, _ in entries]
    assert names == sorted(set(names)), "names are sorted, and each is there once"
    subdirectories = 0
    for name, child, kind in entries:
        if name in {b".", b".."}:
            assert child == (number if name == b"." else parent)
            continue
        _walk(image, child, number, path + b"/" + name if path else name, found)
        mode = found[path + b"/" + name if path else name].mode
        types = {1: stat.S_IFREG, 2: stat.S_IFDIR, 3: stat.S_IFCHR, 4: stat.S_IFBLK}
        assert {**types, 5: stat.S_IFIFO, 7: stat.S_IFLNK}[kind] == stat.S_IFMT(mode)
        subdirectories += stat.S_ISDIR(mode)
    assert {b".", b".."} <= set(names)
    assert file.links == 2 + subdirectories


def _inode(image: bytes, number: int) -> File:
    at = number * 32
    head = struct.unpack_from("<HHHHQIIIIqII", image, at)
    layout, count, mode, _, size, place, _, uid, gid, seconds, nanoseconds, links = head
    assert layout & 1, "an extended inode"
    assert at % 4096 <= 4096 - 64
    layout >>= 1
    xattr_bytes = 12 + 4 * (count - 1) if count else 0
    behind = at + 64 + xattr_bytes
    holes = False
    special = stat.S_IFMT(mode) in {stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO}
    if special:
        content = b""
    elif layout == 0:
        content = image[place << 12 : (place << 12) + size]
    elif layout == 2:
        whole = size >> 12 << 12
        assert behind // 4096 == (behind + size - whole - 1) // 4096, "the tail is in one block"
        content = image[place << 12 : (place << 12) + whole] + image[behind : behind + size - whole]
    else:
        assert layout == 4
        chunk = 4096 << (place & 31)
        parts = []
        for index in range((size + chunk - 1) // chunk):
            (block,) = struct.unpack_from("<I", image, behind + 4 * index)
            holes |= block == 0xFFFFFFFF
            data = bytes(chunk) if block == 0xFFFFFFFF else image[block << 12 :][:chunk]
            parts.append(data)
        content = b"".join(parts)[:size]
    assert len(content) == (0 if special else size)
    return File(
        mode,
        uid,
        gid,
        seconds * 1_000_000_000 + nanoseconds,
        links,
        number,
        content,
        place if special else 0,
        _xattrs(image[at + 64 : behind]),
        holes,
    )


def _xattrs(body: bytes) -> dict[bytes, bytes]:
    found = {}
    at = 12
    while at < len(body):
        length, index, size = struct.unpack_from("<BBH", body, at)
        name = body[at + 4 : at + 4 + length]
        found[_PREFIXES[index] + name] = body[at + 4 + length : at + 4 + length + size]
        at += (4 + length + size + 3) // 4 * 4
    return found


def _dirents(content: bytes) -> list[tuple[bytes, int, int]]:
    found = []
    for start in range(0, len(content), 4096):
        block = content[start : start + 4096]
        (first,) = struct.unpack_from("<H", block, 8)
        offsets = [struct.unpack_from("<QHB", block, i * 12) for i in range(first // 12)]
        ends = [offset for _, offset, _ in offsets[1:]] + [len(block)]
        for (number, offset, kind), end in zip(offsets, ends, strict=True):
            found.append((block[offset:end].rstrip(b"\0"), number, kind))
    return found
