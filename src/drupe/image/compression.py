"""Layers as streams: what they are compressed with is told by their first bytes.

Source: RFC 1952 (gzip), RFC 8878 (Zstandard). A media type would say the same, and is often wrong.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, cast

from drupe.errors import HostError, SpecError
from drupe.oci.manifest import OCI_LAYER

PIECE_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x04\x22\x4d\x18": "lz4"}
_WINDOW_MOST_BYTES = 128 << 20
_ZSTD_INPUT_BYTES = 8192
"""Given to zstandard at once: it returns all that this unpacks to, up to 32 KiB for a byte."""

_LEVEL = 1
"""Zstandard's quickest: of what it saves, level 3 saves a tenth more, and takes a third longer."""

_SLACK_BYTES = 1 << 30
_RATIO_MOST = 200
"""A stream may unpack to its size so many times, and a gibibyte above: real layers have 2 to 20,
and what is made to fill disks has 1000."""


def unpacked(source: BinaryIO, what: str) -> Iterator[bytes]:
    """The bytes that a stream unpacks to, in pieces; ``what`` names it in errors.

    Raises:
        SpecError: it is spoilt, of a kind that no image has, or unpacks to far too much.
    """
    first = source.read(PIECE_BYTES)
    pieces = _pieces(source, first)
    if first.startswith(_GZIP):
        return _bounded(_gunzip, pieces, what)
    if first.startswith(_ZSTD) or first[1:4] == _ZSTD_SKIPPABLE:
        return _bounded(_unzstd, pieces, what)
    for magic, name in _OTHERS.items():
        if first.startswith(magic):
            raise SpecError(
                f"failed to read {what}: compressed with {name}",
                hint="layers are plain, or compressed with gzip or zstd",
            )
    return pieces


def layer_type(path: Path) -> str:
    """The media type of a layer in a file, by its first bytes."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(_GZIP):
        return f"{OCI_LAYER}+gzip"
    return f"{OCI_LAYER}+zstd" if magic == _ZSTD or magic[1:] == _ZSTD_SKIPPABLE else OCI_LAYER


class Compressor:
    """Zstandard, in pieces, by one further thread."""

    def __init__(self) -> None:
        self._stream = _zstandard().ZstdCompressor(level=_LEVEL, threads=1).compressobj()

    def add(self, data: bytes) -> bytes:
        """More of what is to be compressed; returns what has been by now."""
        return cast("bytes", self._stream.compress(data))

    def end(self) -> bytes:
        """The rest."""
        return cast("bytes", self._stream.flush())


def _pieces(source: BinaryIO, first: bytes) -> Iterator[bytes]:
    while first:
        yield first
        first = source.read(PIECE_BYTES)


def _bounded(
    unpack: Callable[[Iterator[bytes], str], Iterator[bytes]], pieces: Iterator[bytes], what: str
) -> Iterator[bytes]:
    taken = given = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for piece in pieces:
            taken += len(piece)
            yield piece

    for data in unpack(counted(), what):
        if not data:
            continue
        given += len(data)
        if given > _SLACK_BYTES + taken * _RATIO_MOST:
            raise SpecError(
                f"failed to read {what}: {taken} bytes unpack to more than {given}",
                hint="it is made to fill disks",
            )
        yield data


def _gunzip(pieces: Iterator[bytes], what: str) -> Iterator[bytes]:
    stream = zlib.decompressobj(31)
    inside = False  # a member; several may follow each other, and zeros the last
    try:
        for piece in pieces:
            data = piece
            while data:
                if not inside:
                    data = data.lstrip(b"\0")
                    stream = zlib.decompressobj(31)
                    inside = bool(data)
                    continue
                yield stream.decompress(data, PIECE_BYTES)
                inside = not stream.eof
                data = stream.unconsumed_tail if inside else stream.unused_data
        while inside:
            yield (out := stream.decompress(b"", PIECE_BYTES))
            inside = not stream.eof
            if inside and not out:
                raise SpecError(f"failed to read {what}: it ends in the middle")
    except zlib.error as error:
        raise SpecError(f"failed to read {what}: not gzip: {error}") from None


def _unzstd(pieces: Iterator[bytes], what: str) -> Iterator[bytes]:
    library = _zstandard()
    context = library.ZstdDecompressor(max_window_size=_WINDOW_MOST_BYTES)
    frame = context.decompressobj()
    inside = False
    ready: list[bytes] = []
    waiting = 0
    try:
        for piece in pieces:
            for start in range(0, len(piece), _ZSTD_INPUT_BYTES):
                data = piece[start : start + _ZSTD_INPUT_BYTES]
                while data:
                    if not inside:
                        frame = context.decompressobj()
                    ready.append(frame.decompress(data))
                    waiting += len(ready[-1])
                    inside = not frame.eof
                    data = b"" if inside else frame.unused_data
                if waiting >= PIECE_BYTES:
                    yield b"".join(ready)
                    ready, waiting = [], 0
    except library.ZstdError as error:
        raise SpecError(f"failed to read {what}: not zstd: {error}") from None
    if inside:
        raise SpecError(f"failed to read {what}: it ends in the middle")
    yield b"".join(ready)


def _zstandard() -> ModuleType:
    try:
        import zstandard
    except ImportError as error:
        raise HostError(
            "failed to compress or unpack with zstd: no Python package 'zstandard'",
            hint="pip install zstandard, or apt-get install python3-zstandard",
        ) from error
    return zstandard
