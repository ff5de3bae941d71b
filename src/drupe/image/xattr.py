"""Extended attributes of a file in an image: file capabilities, ACLs, and what users put there."""

from __future__ import annotations

import struct

from drupe.errors import SpecError
from drupe.image.entry import Entry

_PREFIXES = ((b"user.", 1), (b"trusted.", 4), (b"security.", 6))
_WHOLE = {b"system.posix_acl_access": 2, b"system.posix_acl_default": 3}
_ENTRY = struct.Struct("<BBH")
_NAME_MOST = 255
_VALUE_MOST = 0xFFFF
_ALL_MOST = 64 << 10
_NOT_KEPT = (b"trusted.overlay.", b"user.overlay.")
"""What the overlay file system writes for itself; it would take an image's for its own."""


def pack_xattrs(entry: Entry) -> bytes:
    """The attributes in the form of EROFS; empty where there are none.

    Those of a kind that EROFS does not know are left out.

    Raises:
        SpecError: they are too large.
    """
    if not entry.xattrs:
        return b""
    body = b"".join(_pack(name, entry.xattrs[name]) for name in sorted(entry.xattrs))
    if len(body) > _ALL_MOST:
        shown = entry.path[:200].decode("utf-8", "backslashreplace")
        raise SpecError(
            f"failed to make an image: '{shown}' has {len(body)} bytes of extended attributes, "
            f"at most {_ALL_MOST}"
        )
    return bytes(12) + body if body else b""


def _pack(name: bytes, value: bytes) -> bytes:
    index, rest = _split(name)
    if not index or len(rest) > _NAME_MOST or len(value) > _VALUE_MOST:
        return b""
    data = _ENTRY.pack(len(rest), index, len(value)) + rest + value
    return data + bytes(-len(data) % 4)


def _split(name: bytes) -> tuple[int, bytes]:
    if name in _WHOLE:
        return _WHOLE[name], b""
    if not name.startswith(_NOT_KEPT):
        for prefix, index in _PREFIXES:
            if name.startswith(prefix) and len(name) > len(prefix):
                return index, name[len(prefix) :]
    return 0, b""
