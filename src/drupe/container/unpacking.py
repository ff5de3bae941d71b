"""From a tar stream of a guest's, hostile maybe, to files of this host, below one directory.

Nothing outside of that directory is touched: names are taken apart, and each directory on the way
is opened by itself, without following links. No devices are made and no set-id bits set.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drupe.errors import HostError
from drupe.guest.protocol import broken
from drupe.image.entry import Entry, shown
from drupe.image.tar import TarReader

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN_BITS = 0o777


class LeftOut(NamedTuple):
    """What was not made, and how much of it.

    Attributes:
        links: symbolic links that lead out of the directory, or would on the way.
        nodes: devices and fifos.
    """

    links: int
    nodes: int


class _Pending(NamedTuple):
    """A directory whose mode and times are set once all in it has been made."""

    parts: tuple[bytes, ...]
    entry: Entry


def unpack(pieces: Iterator[bytes], directory: Path, name: str | None, *, archive: bool) -> LeftOut:
    """Makes what a stream holds below a directory that exists.

    Args:
        pieces: the stream.
        directory: where; links that lead to it are followed.
        name: what all that it makes is called there; None: whatever the stream says.
        archive: keep owners (where the caller may set them), set-id bits and all symbolic links.

    Raises:
        GuestError: the stream has other names, or is broken.
        HostError: this host refused.
    """
    try:
        root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"failed to open '{directory}': {error.strerror}") from error
    unpacker = _Unpacker(root, directory, name, archive=archive)
    try:
        reader = TarReader(pieces, "what the container sent")
        for entry in reader:
            unpacker.make(entry, reader)
        reader.drain()
        unpacker.leave(None)
    finally:
        unpacker.close()
    return LeftOut(unpacker.links, unpacker.nodes)


def leads_out(target: bytes, depth: int) -> bool:
    """Whether a link, so many directories below the top, could lead out of it.

    It may begin with as many ".." as there are directories above it, and hold none after that:
    further ones could go up from wherever another link has led.
    """
    parts = [part for part in target.split(b"/") if part not in {b"", b"."}]
    up = 0
    while up < len(parts) and parts[up] == b"..":
        up += 1
    return target.startswith(b"/") or up > depth or b".." in parts[up:]


class _Unpacker:
    def __init__(self, root: int, directory: Path, name: str | None, *, archive: bool) -> None:
        self.links = 0
        self.nodes = 0
        self._root = root
        self._directory = directory
        self._name = None if name is None else os.fsencode(name)
        self._archive = archive
        self._pending: list[_Pending] = []
        self._near: tuple[tuple[bytes, ...], int] | None = None  # the parent used last

    def close(self) -> None:
        if self._near is not None:
            os.close(self._near[1])
        os.close(self._root)

    def make(self, entry: Entry, reader: TarReader) -> None:
        parts = self._parts(entry.path)
        self.leave(parts)
        if not parts:
            return  # the directory itself is there
        try:
            self._make(entry, reader, parts)
        except OSError as error:
            path = self._directory / os.fsdecode(b"/".join(parts))
            raise HostError(f"failed to make '{path}': {error.strerror}") from error

    def leave(self, parts: tuple[bytes, ...] | None) -> None:
        """Sets mode and times of the directories that ``parts`` does not lie in; None: of all."""
        while self._pending:
            made, entry = self._pending[-1]
            if parts is not None and len(parts) > len(made) and parts[: len(made)] == made:
                return
            self._pending.pop()
            with suppress(FileNotFoundError):  # somebody has removed it
                descriptor = os.open(
                    made[-1],
                    os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                    dir_fd=self._parent(made),
                )
                try:
                    self._finish(descriptor, entry)
                finally:
                    os.close(descriptor)

    def _parts(self, path: bytes) -> tuple[bytes, ...]:
        parts = tuple(part for part in path.split(b"/") if part not in {b"", b"."})
        if b".." in parts or (self._name is not None and parts[:1] != (self._name,)):
            raise broken(f"a file '{shown(path)}', which it was not asked for")
        return parts

    def _make(self, entry: Entry, reader: TarReader, parts: tuple[bytes, ...]) -> None:
        parent, name = self._parent(parts), parts[-1]
        if stat.S_ISDIR(entry.kind):
            self._make_directory(parent, name)
            self._pending.append(_Pending(parts, entry))
        elif stat.S_ISREG(entry.kind):
            self._clear(parent, name)
            self._make_file(parent, name, entry, reader)
        elif not entry.kind:
            self._make_link(parent, name, parts, entry)
        elif stat.S_ISLNK(entry.kind):
            if not self._archive and leads_out(entry.target, len(parts) - 1):
                self.links += 1
                return
            self._clear(parent, name)
            os.symlink(entry.target, name, dir_fd=parent)
            times = (entry.mtime_ns, entry.mtime_ns)
            os.utime(name, ns=times, dir_fd=parent, follow_symlinks=False)
            self._give(name, parent, entry)
        else:
            self.nodes += 1

    def _make_directory(self, parent: int, name: bytes) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            os.close(os.open(name, _DIRECTORY, dir_fd=parent))

    def _make_file(self, parent: int, name: bytes, entry: Entry, reader: TarReader) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=parent)
        try:
            segments = [(0, entry.size)] if entry.segments is None else entry.segments
            _write(descriptor, reader.content(), segments)
            if entry.segments is not None:
                os.ftruncate(descriptor, entry.size)
            self._finish(descriptor, entry)
        finally:
            os.close(descriptor)

    def _make_link(self, parent: int, name: bytes, parts: tuple[bytes, ...], entry: Entry) -> None:
        source = self._parts(entry.target)
        if not source or source == parts:
            raise broken(f"a link '{shown(entry.path)}' to nothing")
        self._clear(parent, name)
        # One of them may be in the place of the other.
        parent = os.dup(parent)
        try:
            os.link(
                source[-1],
                name,
                src_dir_fd=self._parent(source),
                dst_dir_fd=parent,
                follow_symlinks=False,
            )
        except FileNotFoundError:
            # Its first name may be a link or a node that was left out.
            self.nodes += 1
        finally:
            os.close(parent)

    def _clear(self, parent: int, name: bytes) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)

    def _finish(self, descriptor: int, entry: Entry) -> None:
        self._give(descriptor, None, entry)
        os.fchmod(descriptor, entry.mode if self._archive else entry.mode & _PLAIN_BITS)
        os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))

    def _give(self, file: int | bytes, parent: int | None, entry: Entry) -> None:
        if self._archive and os.geteuid() == 0:
            os.chown(file, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=parent is None)

    def _parent(self, parts: tuple[bytes, ...]) -> int:
        """The directory of a file, made if missing; stays open until the next call."""
        above = parts[:-1]
        if not above:
            return self._root
        if self._near is None or self._near[0] != above:
            descriptor = self._root
            for part in above:
                try:
                    inner = self._enter(descriptor, part)
                finally:
                    if descriptor != self._root:
                        os.close(descriptor)
                descriptor = inner
            if self._near is not None:
                os.close(self._near[1])
            self._near = above, descriptor
        return self._near[1]

    def _enter(self, parent: int, name: bytes) -> int:
        with suppress(FileNotFoundError):
            return os.open(name, _DIRECTORY, dir_fd=parent)
        os.mkdir(name, 0o700, dir_fd=parent)
        return os.open(name, _DIRECTORY, dir_fd=parent)


def _write(descriptor: int, content: Iterator[memoryview], segments: list[tuple[int, int]]) -> None:
    """Writes the content, which is what lies in the segments, one after another."""
    piece = memoryview(b"")
    for offset, length in segments:
        at, end = offset, offset + length
        while at < end:
            if not piece:
                piece = next(content)
            done = os.pwrite(descriptor, piece[: end - at], at)
            piece = piece[done:]
            at += done
