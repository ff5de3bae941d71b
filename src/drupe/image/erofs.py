"""A writer of EROFS images: uncompressed, in one pass, as the files come.

An inode, and the end of its data where that fits behind it, goes into a *run* of blocks that is
set aside as soon as it is needed; whole blocks of data follow as they come. Only directories, whose
entries name inodes, are written at the end. The root's inode has the second block, as its number
must be small.

Source: fs/erofs/erofs_fs.h of Linux; Documentation/filesystems/erofs.rst.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable, Sequence

from drupe.errors import SpecError
from drupe.image import sparse
from drupe.image.entry import Entry
from drupe.image.xattr import pack_xattrs

BITS = 12
BLOCK = 1 << BITS
_SLOT = 32
_INODE = struct.Struct("<HHHHQIIIIqII16x")
_INODE_BYTES = 64
_NLINK_AT = 44
_SUPER = struct.Struct("<IIIBBHQQIIII16s16sIHHHBBIQB23x")
_SUPER_AT = 1024
_MAGIC = 0xE0F5E1E2
_COMPAT_MTIME = 2
_INCOMPAT_CHUNKED = 4
_PLAIN, _INLINE, _CHUNKED = 0, 2, 4
_DIRENT = struct.Struct("<QHBx")
_HOLE = 0xFFFF_FFFF
_RUN_BLOCKS = 16
_BLOCKS_MOST = 0xFFFF_FFFE
_FILE_TYPES = {
    stat.S_IFREG: 1,
    stat.S_IFDIR: 2,
    stat.S_IFCHR: 3,
    stat.S_IFBLK: 4,
    stat.S_IFIFO: 5,
    stat.S_IFLNK: 7,
}
_BUFFER_BYTES = 1 << 20
_ZEROS = bytes(BLOCK)


class Writer:
    """An image that is being written to an open file, from its beginning.

    Attributes:
        root: the root's inode number.
        data_bytes: how much content was written.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._next = 2  # block, behind the superblock's and the root's
        self._buffer = bytearray()
        self._buffer_at = self._next << BITS
        self._run = bytearray()
        self._run_start = 0
        self._run_used = 0
        self._gaps: list[int] = []
        self._inodes = 0
        self._tail: tuple[int, int] | None = None
        self._missing = 0
        self._padding = 0
        self._chunked = False
        self.root = BLOCK // _SLOT
        self.data_bytes = 0

    def add(self, entry: Entry) -> tuple[int, int, int]:
        """Writes a file's inode; its content, if any, goes to ``write`` next.

        Returns its number, and the first block and the number of blocks of its data.

        Raises:
            SpecError: it is too large, or has too many attributes.
        """
        if entry.segments is not None:
            return self._add_sparse(entry)
        symlink = entry.kind == stat.S_IFLNK
        size = len(entry.target) if symlink else entry.size
        attributes = pack_xattrs(entry)
        head = _INODE_BYTES + len(attributes)
        inline = size % BLOCK
        if head + inline > BLOCK:
            inline = 0
        blocks = (size - inline + BLOCK - 1) >> BITS
        at = self._allocate(head + inline)
        number = at // _SLOT
        if entry.kind in {stat.S_IFCHR, stat.S_IFBLK}:
            place = _device(*entry.device)
        else:
            place = self._next if blocks else 0
        self._put(at, self._inode(entry, size, _INLINE if inline else _PLAIN, place, attributes))
        self._missing = size
        self._tail = (at + head, inline)
        self._padding = 0 if inline else -size % BLOCK
        first = self._claim(blocks)
        if symlink:
            self.write([memoryview(entry.target)])
        return number, first, blocks

    def write(self, pieces: Iterable[memoryview]) -> None:
        """The content of the file that was just added: exactly as much as its size says."""
        tail_at, inline = self._tail or (0, 0)
        whole = self._missing - inline
        for piece in pieces:
            self._missing -= len(piece)
            self.data_bytes += len(piece)
            if len(piece) <= whole:
                self._emit(piece)
                whole -= len(piece)
                continue
            if whole:
                self._emit(piece[:whole])
                piece = piece[whole:]  # noqa: PLW2901
                whole = 0
            self._put(tail_at, piece)
            tail_at += len(piece)
        if self._missing:
            raise SpecError(f"failed to make an image: a file lacks {self._missing} bytes")
        if self._padding:
            self._emit(_ZEROS[: self._padding])

    def write_sparse(self, entry: Entry, pieces: Iterable[memoryview], first: int) -> None:
        """The content of a sparse file: what is stored of it, at its places."""
        bits = sparse.chunk_bits(entry.size, BITS)
        segments = entry.segments or []
        places = {
            chunk: (first << BITS) + (index << bits)
            for index, chunk in enumerate(sparse.chunks_with_data(segments, bits))
        }
        waiting = iter(segments)
        offset = left = 0
        for whole in pieces:
            piece = whole
            while piece:
                if not left:
                    offset, left = next(waiting)
                chunk, inside = offset >> bits, offset & (1 << bits) - 1
                part = piece[: min(left, (1 << bits) - inside)]
                self._seek(places[chunk] + inside)
                self._emit(part)
                self.data_bytes += len(part)
                offset, left, piece = offset + len(part), left - len(part), piece[len(part) :]
        self._seek(self._next << BITS)

    def set_links(self, number: int, count: int) -> None:
        """A file's number of hard links; after ``close_files``."""
        self._patch(number * _SLOT + _NLINK_AT, struct.pack("<I", count))

    def close_files(self) -> None:
        """No file comes any more; directories do."""
        self._flush_run()
        self._flush()

    def place_directory(self, entry: Entry, names: Sequence[bytes], *, root: bool) -> Placed:
        """Finds the place of a directory with these names, ".." and "." among them, in order."""
        placed = Placed(entry, names)
        if root:
            at = BLOCK
            if placed.head > BLOCK:
                raise SpecError("failed to make an image: '/' has too many extended attributes")
            if placed.head + placed.inline > BLOCK:
                placed.spill()
        else:
            at = self._allocate(placed.head + placed.inline)
        placed.number = at // _SLOT
        placed.first = self._next if placed.blocks else 0
        self._claim(placed.blocks)
        if placed.blocks:
            self._seek(self._next << BITS)
        return placed

    def write_directory(
        self, placed: Placed, entries: Sequence[tuple[int, int]], links: int
    ) -> None:
        """Writes a directory whose names were placed: (inode number, kind) of each."""
        self._flush_run()
        data = placed.dirents(entries)
        cut = placed.blocks << BITS if placed.inline else len(data)
        layout = _INLINE if placed.inline else _PLAIN
        inode = self._inode(placed.entry, len(data), layout, placed.first, placed.attributes, links)
        self._patch(placed.number * _SLOT, inode + data[cut:])
        if placed.blocks:
            self._patch(placed.first << BITS, data[:cut])

    def finish(self) -> int:
        """Writes the superblock; returns the image's size in bytes. Nothing may follow."""
        self._flush_run()
        self._flush()
        superblock = _SUPER.pack(
            _MAGIC,
            0,
            _COMPAT_MTIME,
            BITS,
            0,
            self.root,
            self._inodes,
            0,
            0,
            self._next,
            0,
            0,
            bytes(16),
            b"drupe".ljust(16, b"\0"),
            _INCOMPAT_CHUNKED if self._chunked else 0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        )
        self._patch(_SUPER_AT, superblock)
        os.ftruncate(self._descriptor, self._next << BITS)
        return self._next << BITS

    def _add_sparse(self, entry: Entry) -> tuple[int, int, int]:
        segments = entry.segments or []
        bits = sparse.chunk_bits(entry.size, BITS)
        chunks = sparse.chunks_with_data(segments, bits)
        count = entry.size + (1 << bits) - 1 >> bits
        if not count:
            entry.segments = None
            return self.add(entry)
        attributes = pack_xattrs(entry)
        at = self._allocate(_INODE_BYTES + len(attributes) + 4 * count)
        blocks = len(chunks) << bits - BITS
        first = self._claim(blocks)
        where = [_HOLE] * count
        for index, chunk in enumerate(chunks):
            where[chunk] = first + (index << bits - BITS)
        inode = self._inode(entry, entry.size, _CHUNKED, bits - BITS, attributes)
        self._put(at, inode + struct.pack(f"<{count}I", *where))
        self._chunked = True
        self._missing = 0
        self._seek(self._next << BITS)
        return at // _SLOT, first, blocks

    def _inode(
        self, entry: Entry, size: int, layout: int, place: int, attributes: bytes, links: int = 1
    ) -> bytes:
        self._inodes += 1
        seconds, nanoseconds = divmod(entry.mtime_ns, 1_000_000_000)
        return (
            _INODE.pack(
                1 | layout << 1,
                (len(attributes) - 12) // 4 + 1 if attributes else 0,
                entry.kind | entry.mode,
                0,
                size,
                place,
                self._inodes & 0xFFFF_FFFF,
                entry.uid,
                entry.gid,
                seconds,
                nanoseconds,
                links,
            )
            + attributes
        )

    def _allocate(self, size: int) -> int:
        """Room for an inode and what follows it: within one block, if it fits into one."""
        size += -size % _SLOT
        if size == _INODE_BYTES and self._gaps:
            return self._gaps.pop()
        if size <= BLOCK:
            used = self._run_used & BLOCK - 1
            if used and used + size > BLOCK:
                for gap in range(used, BLOCK - _INODE_BYTES + 1, _INODE_BYTES):
                    self._gaps.append(self._run_start + (self._run_used & -BLOCK) + gap)
                self._run_used += BLOCK - used
        if self._run_used + size > len(self._run):
            self._flush_run()
            blocks = max(_RUN_BLOCKS, (size + BLOCK - 1) >> BITS)
            self._run = bytearray(blocks << BITS)
            self._run_start = self._claim(blocks) << BITS
            self._run_used = 0
            self._seek(self._next << BITS)
        at = self._run_start + self._run_used
        self._run_used += size
        return at

    def _put(self, at: int, data: bytes | memoryview) -> None:
        """Bytes of the run."""
        start = at - self._run_start
        self._run[start : start + len(data)] = data

    def _flush_run(self) -> None:
        if self._run:
            self._patch(self._run_start, self._run)
        self._run = bytearray()
        self._run_used = 0
        self._gaps.clear()

    def _emit(self, data: bytes | memoryview) -> None:
        """Bytes where the last ones ended."""
        if len(data) >= _BUFFER_BYTES:
            self._flush()
            self._patch(self._buffer_at, data)
            self._buffer_at += len(data)
            return
        self._buffer += data
        if len(self._buffer) >= _BUFFER_BYTES:
            self._flush()

    def _seek(self, at: int) -> None:
        """The next bytes go there."""
        if at != self._buffer_at + len(self._buffer):
            self._flush()
            self._buffer_at = at

    def _flush(self) -> None:
        self._patch(self._buffer_at, self._buffer)
        self._buffer_at += len(self._buffer)
        self._buffer = bytearray()

    def _patch(self, at: int, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while view:
            done = os.pwrite(self._descriptor, view, at)
            view, at = view[done:], at + done

    def _claim(self, blocks: int) -> int:
        """The first of so many blocks, which are the file's next ones."""
        first = self._next
        self._next += blocks
        if self._next > _BLOCKS_MOST:
            raise SpecError("failed to make an image: it is larger than 16 TiB")
        return first


class Placed:
    """A directory that has a place in the image, and no content yet."""

    def __init__(self, entry: Entry, names: Sequence[bytes]) -> None:
        self.entry = entry
        self.attributes = pack_xattrs(entry)
        self.head = _INODE_BYTES + len(self.attributes)
        self.number = self.first = 0
        self._names = names
        self._cuts = [0]
        used = 0
        for index, name in enumerate(names):
            need = _DIRENT.size + len(name)
            if used + need > BLOCK:
                self._cuts.append(index)
                used = 0
            used += need
        self._cuts.append(len(names))
        self.inline = used if self.head + used <= BLOCK else 0
        self.blocks = len(self._cuts) - (2 if self.inline else 1)

    def spill(self) -> None:
        """Nothing of it is to lie behind its inode."""
        self.inline = 0
        self.blocks = len(self._cuts) - 1

    def dirents(self, entries: Sequence[tuple[int, int]]) -> bytes:
        """The directory's content: blocks of entries, each followed by their names."""
        parts = []
        for start, end in zip(self._cuts, self._cuts[1:], strict=False):
            offset = (end - start) * _DIRENT.size
            names = self._names[start:end]
            block = bytearray()
            for name, (number, kind) in zip(names, entries[start:end], strict=True):
                block += _DIRENT.pack(number, offset, _FILE_TYPES[kind])
                offset += len(name)
            block += b"".join(names)
            if end < len(self._names):
                block += bytes(-len(block) % BLOCK)
            parts.append(block)
        return b"".join(parts)


def _device(major: int, minor: int) -> int:
    """A device number as Linux writes it to disk."""
    return minor & 0xFF | major << 8 & 0xFFFFFFFF | (minor & ~0xFF) << 12 & 0xFFFFFFFF
