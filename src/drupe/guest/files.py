"""Small files that appear in a container, as frames. No I/O."""

from __future__ import annotations

from typing import NamedTuple

from drupe.errors import SpecError
from drupe.guest.protocol import FILE, FILES_MAX, FRAME_MAX, Type, encode


class File(NamedTuple):
    """A file that is mounted over a path in the container, which may change it.

    Attributes:
        path: absolute, without "..".
        content: all of it.
        mode: permissions.
    """

    path: str
    content: bytes
    mode: int = 0o644


def file_frames(files: tuple[File, ...]) -> bytes:
    """The frames that make files before a container boots.

    Raises:
        SpecError: they cannot be said in the protocol; names what.
    """
    if len(files) > FILES_MAX:
        raise SpecError(f"failed to make files: {len(files)}, at most {FILES_MAX}")
    return b"".join(encode(Type.FILE, _payload(file)) for file in files)


def update_frames(file: File) -> bytes:
    """The request that gives one of these files new content.

    Raises:
        SpecError: it is too large.
    """
    return encode(Type.FILE_UPDATE, _payload(file))


def _payload(file: File) -> bytes:
    payload = FILE.pack(file.mode) + file.path.encode() + b"\0" + file.content
    if len(payload) > FRAME_MAX:
        raise SpecError(
            f"failed to make '{file.path}': {len(file.content)} bytes; less than {FRAME_MAX} fit"
        )
    return payload
