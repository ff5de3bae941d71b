"""Files with holes: which bytes are stored, and in which pieces an image keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SEGMENTS_MOST = 1 << 16
CHUNKS_MOST = 1 << 14


def mistake(segments: Sequence[tuple[int, int]], size: int, stored: int) -> str:
    """What is wrong with a map of (offset, length); empty where nothing is."""
    end = total = 0
    for offset, length in segments:
        if offset < end:
            return "pieces overlap"
        end = offset + length
        total += length
    if len(segments) > SEGMENTS_MOST:
        return f"{len(segments)} pieces"
    if end > size:
        return "a piece ends behind the file's end"
    return "" if total == stored else f"{total} bytes in it, {stored} in the archive"


def chunk_bits(size: int, block_bits: int) -> int:
    """The smallest power of two of a chunk's size with which a file has not too many."""
    bits = block_bits
    while size > CHUNKS_MOST << bits:
        bits += 1
    return bits


def chunks_with_data(segments: Iterable[tuple[int, int]], bits: int) -> list[int]:
    """The numbers of all chunks that hold something, in order."""
    found: list[int] = []
    for offset, length in segments:
        first, last = offset >> bits, offset + length - 1 >> bits
        if found and found[-1] == first:
            first += 1
        found += range(first, last + 1)
    return found
