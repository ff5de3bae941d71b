"""A reader of tar archives as streams: ustar, PAX, GNU and v7.

For many small files it is quicker than ``tarfile``, and it keeps names as bytes.

Source: pax(1) of POSIX.1-2017, tar(5) of libarchive, the GNU tar manual (sparse formats).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from zlib import adler32

from drupe.errors import SpecError
from drupe.image import sparse
from drupe.image.entry import ID_MOST, KIND_OF, PATH_MOST, TARGET_MOST, Entry, shown

BLOCK = 512
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_EXTENSION_MOST = 1 << 20
"""Bytes of extended headers before one entry; xattrs of a file are at most 64 KiB in Linux."""
_MODULUS = 65521
_SPACES = 8 * 0x20
_NEWLINE = 0x0A
_SIZE_MOST = 1 << 56


class TarReader:
    """The entries of an archive, from an iterator of its bytes in pieces of any size.

    After each entry, ``content()`` must not be used before its turn; what is not read is skipped.
    """

    def __init__(self, pieces: Iterator[bytes], what: str) -> None:
        self._pieces = pieces
        self._what = what
        self._piece = memoryview(b"")
        self._at = 0
        self._left = 0  # of the present entry's content
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        globals_: dict[bytes, bytes] = {}
        pax: dict[bytes, bytes] = {}
        long_path = long_target = b""
        extension_bytes = 0
        while (header := self._header()) is not None:
            flag = header[7]
            size = self._number(header[4])
            if flag in b"xgLK":
                extension_bytes += size
                if extension_bytes > _EXTENSION_MOST:
                    raise self._error(f"{extension_bytes} bytes of extended headers")
                data = self._take(size)
                self._skip(-size % BLOCK)
                if flag == b"x":
                    pax.update(self._pax(data))
                elif flag == b"g":
                    globals_.update(self._pax(data))
                elif flag == b"L":
                    long_path = data.split(b"\0", 1)[0]
                else:
                    long_target = data.split(b"\0", 1)[0]
                continue
            if flag == b"V":  # the archive's own label
                self._skip(size + -size % BLOCK)
                continue
            records = {**globals_, **pax} if globals_ else pax
            entry = self._entry(header, records, long_path, long_target, size)
            yield entry
            self._skip(self._left + self._padding)
            pax, long_path, long_target, extension_bytes = {}, b"", b"", 0

    def content(self) -> Iterator[memoryview]:
        """The present entry's bytes as they are stored, in pieces; each is valid until the next."""
        while self._left:
            piece = self._some(self._left)
            self._left -= len(piece)
            yield piece

    def drain(self) -> None:
        """Reads on to the end of the stream: what follows the archive belongs to its digest."""
        for _ in self._pieces:
            pass

    def _header(self) -> tuple[bytes, ...] | None:
        """The next header's fields; None at the end."""
        block = self._take(BLOCK, at_end_ok=True)
        if not block or not any(block):
            return None
        fields: tuple[bytes, ...] = _HEADER.unpack(block)
        # Adler-32's lower half is 1 + the sum of all bytes, modulo a prime: quicker than sum().
        rest = self._number(fields[6]) + sum(fields[6]) - _SPACES
        if adler32(block) & 0xFFFF != (rest + 1) % _MODULUS:
            raise self._error("a header's checksum is wrong")
        return fields

    def _entry(
        self,
        header: tuple[bytes, ...],
        pax: dict[bytes, bytes],
        long_path: bytes,
        long_target: bytes,
        size: int,
    ) -> Entry:
        flag = header[7]
        path = long_path or header[0].split(b"\0", 1)[0]
        if not long_path and header[9][:6] == b"ustar\0":
            prefix = header[14].split(b"\0", 1)[0]
            path = prefix + b"/" + path if prefix else path
        target = long_target or header[8].split(b"\0", 1)[0]
        kind = 0 if flag == b"1" else KIND_OF.get(flag, -1)
        if kind == -1:
            raise self._error(f"'{shown(path)}' is of an unknown type, {flag!r}")
        # What an extended header says counts: in the header the path may be cut after a slash.
        if flag in b"0\0" and pax.get(b"path", path).endswith(b"/"):
            kind = KIND_OF[b"5"]
        regular = kind == KIND_OF[b"0"]
        entry = Entry(
            path,
            kind,
            mode=self._number(header[1]) & 0o7777,
            uid=self._number(header[2]),
            gid=self._number(header[3]),
            mtime_ns=self._number(header[5]) * 1_000_000_000,
            size=size if regular else 0,
            target=target,
        )
        if flag in b"34":
            entry.device = (self._number(header[12]), self._number(header[13]))
        # A hard link's size says how large the file is; by POSIX content may follow, by nobody's.
        stored = size if regular or flag not in b"123456" else 0
        if pax:
            stored = self._apply(entry, pax, stored)
        entry.stored = self._left = stored
        self._padding = -stored % BLOCK
        if flag == b"S":
            self._old_sparse(entry, header)
        elif pax and any(name.startswith(b"GNU.sparse.") for name in pax):
            self._pax_sparse(entry, pax)
        self._bound(entry)
        return entry

    def _apply(self, entry: Entry, pax: dict[bytes, bytes], stored: int) -> int:
        """What extended headers say in place of the header; returns the size of what follows."""
        for name, value in pax.items():
            if name == b"path":
                entry.path = value
            elif name == b"linkpath":
                entry.target = value
            elif name == b"size":
                stored = self._decimal(value)
                entry.size = stored if entry.kind == KIND_OF[b"0"] else 0
            elif name == b"uid":
                entry.uid = self._decimal(value)
            elif name == b"gid":
                entry.gid = self._decimal(value)
            elif name == b"mtime":
                entry.mtime_ns = self._time(value)
            elif name.startswith(b"SCHILY.xattr."):
                if entry.xattrs is None:
                    entry.xattrs = {}
                entry.xattrs[name[13:]] = value
        return stored

    def _old_sparse(self, entry: Entry, header: tuple[bytes, ...]) -> None:
        """The map in a GNU header and in blocks that follow it."""
        tail = header[14]  # GNU has times, the map and the real size where ustar has a prefix
        parts = [tail[41:137]]
        more, real = tail[137:138], tail[138:150]
        while more.strip(b"\0"):
            block = self._take(BLOCK)
            parts.append(block[:504])
            more = block[504:505]
            if len(parts) * 21 > sparse.SEGMENTS_MOST:
                raise self._error(f"'{shown(entry.path)}' has too many holes")
        pairs = []
        for part in parts:
            for start in range(0, len(part), 24):
                if len(part) - start < 24 or not part[start]:
                    break
                pair = part[start : start + 12], part[start + 12 : start + 24]
                pairs.append((self._number(pair[0]), self._number(pair[1])))
        self._set_sparse(entry, pairs, self._number(real))

    def _pax_sparse(self, entry: Entry, pax: dict[bytes, bytes]) -> None:
        """The map in extended headers (0.0, 0.1), or at the beginning of the content (1.0)."""
        entry.path = pax.get(b"GNU.sparse.name", entry.path)
        real = self._decimal(pax.get(b"GNU.sparse.realsize") or pax.get(b"GNU.sparse.size", b"0"))
        if pax.get(b"GNU.sparse.major") == b"1":
            pairs = self._sparse_map(entry)
        else:
            numbers = [self._decimal(n) for n in pax.get(b"GNU.sparse.map", b"").split(b",") if n]
            pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
        self._set_sparse(entry, pairs, real)

    def _sparse_map(self, entry: Entry) -> list[tuple[int, int]]:
        data, count = b"", -1
        numbers: list[int] = []
        while count < 0 or len(numbers) < 1 + 2 * count:
            if self._left < BLOCK:
                raise self._error(f"'{shown(entry.path)}' has no map of its holes")
            data += self._take(BLOCK)
            self._left -= BLOCK
            *lines, data = data.split(b"\n")
            numbers += [self._decimal(line) for line in lines]
            count = numbers[0] if numbers else -1
            if count > sparse.SEGMENTS_MOST or len(data) > BLOCK:
                raise self._error(f"'{shown(entry.path)}' has too many holes")
        return list(
            zip(numbers[1 : 1 + 2 * count : 2], numbers[2 : 2 + 2 * count : 2], strict=True)
        )

    def _set_sparse(self, entry: Entry, pairs: list[tuple[int, int]], real: int) -> None:
        entry.size = real
        entry.stored = self._left
        entry.segments = [pair for pair in pairs if pair[1]]
        cause = sparse.mistake(entry.segments, real, self._left)
        if cause:
            raise self._error(f"'{shown(entry.path)}' has a wrong map of its holes: {cause}")

    def _bound(self, entry: Entry) -> None:
        cause = ""
        if len(entry.path) > PATH_MOST or len(entry.target) > TARGET_MOST:
            cause = f"has a path of more than {PATH_MOST} bytes"
        elif b"\0" in entry.path or b"\0" in entry.target:
            cause = "holds a NUL byte"
        elif not 0 <= entry.uid <= ID_MOST or not 0 <= entry.gid <= ID_MOST:
            cause = f"belongs to {entry.uid}:{entry.gid}"
        elif max(entry.size, entry.stored) > _SIZE_MOST:
            cause = f"has {entry.size} bytes"
        elif not -(1 << 63) <= entry.mtime_ns // 1_000_000_000 < 1 << 63:
            entry.mtime_ns = 0
        if cause:
            raise self._error(f"'{shown(entry.path)}' {cause}")

    def _pax(self, data: bytes) -> dict[bytes, bytes]:
        """Records of a length, a blank, NAME=VALUE, and the end of a line."""
        records: dict[bytes, bytes] = {}
        pairs: list[bytes] = []
        at = 0
        while at < len(data) and data[at]:
            space = data.find(b" ", at, at + 20)
            end = at + (self._decimal(data[at:space]) if space > at else 0)
            name, equals, value = data[space + 1 : end - 1].partition(b"=")
            if not at < space < end <= len(data) or data[end - 1] != _NEWLINE or not equals:
                raise self._error("an extended header is spoilt")
            if name in {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}:
                pairs.append(value)  # version 0.0 repeats these
            elif name == b"path" or name == b"linkpath" or value:
                records[name] = value
            at = end
        if pairs:
            records[b"GNU.sparse.map"] = b",".join(pairs)
        return records

    def _number(self, field: bytes) -> int:
        """Octal digits, or a number to the base 256."""
        if field[0] & 0x80:
            value = int.from_bytes(field, "big", signed=True)
            bits = len(field) * 8
            return value + (1 << bits - 1) if field[0] == 0x80 else value
        text = field.split(b"\0", 1)[0].strip()
        try:
            return int(text, 8) if text else 0
        except ValueError:
            raise self._error(f"a header has {field!r:.40} for a number") from None

    def _decimal(self, text: bytes) -> int:
        if not text.isdigit() or len(text) > 20:
            raise self._error(f"an extended header has {text!r:.40} for a number")
        return int(text)

    def _time(self, text: bytes) -> int:
        whole, _, fraction = text.partition(b".")
        sign = -1 if whole.startswith(b"-") else 1
        whole = whole.lstrip(b"-")
        nanoseconds = self._decimal((fraction + b"0" * 9)[:9]) if fraction else 0
        return sign * (self._decimal(whole or b"0") * 1_000_000_000 + nanoseconds)

    def _take(self, size: int, *, at_end_ok: bool = False) -> bytes:
        """Exactly so many bytes; nothing at the end, where that may be."""
        end = self._at + size
        if end <= len(self._piece):
            data = self._piece[self._at : end].tobytes()
            self._at = end
            return data
        if at_end_ok and not self._more():
            return b""
        parts = []
        left = size
        while left:
            piece = self._some(left)
            parts.append(piece.tobytes())
            left -= len(piece)
        return b"".join(parts)

    def _some(self, most: int) -> memoryview:
        """At least one byte, and at most so many."""
        if not self._more():
            raise self._error("it ends in the middle")
        piece = self._piece[self._at : self._at + most]
        self._at += len(piece)
        return piece

    def _more(self) -> bool:
        """Whether there is a byte that was not read yet."""
        while self._at >= len(self._piece):
            self._piece = memoryview(next(self._pieces, b""))
            self._at = 0
            if not self._piece:
                return False
        return True

    def _skip(self, size: int) -> None:
        self._left = 0
        while size:
            size -= len(self._some(size))

    def _error(self, cause: str) -> SpecError:
        return SpecError(f"failed to read {self._what}: {cause}")
