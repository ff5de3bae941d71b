"""``Container.fs``: the files of a container."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import BinaryIO, overload

from drupe.api.results import Sink
from drupe.container import copying, files
from drupe.container.files import FileInfo
from drupe.container.record import Record
from drupe.container.store import Store
from drupe.container.unpacking import LeftOut
from drupe.container.visit import reached
from drupe.errors import NotFoundError

Path = str | os.PathLike[str]
"""A path on this host; of a container, paths are strings: they begin at its root."""

_PIECE_BYTES = 1 << 17


class FileSystem:
    """The files of a container, without any tool of its image.

    All paths begin at the container's root, and links are followed as the container itself would.
    Nothing is kept in memory whole but what ``read`` returns and ``list`` lists.

    Each method raises NotFoundError where there is no such file or directory, GuestError where the
    container refused (``number`` is the errno), and StateError where it cannot be reached.
    """

    def __init__(self, store: Store, record: Record) -> None:
        """Use ``Container.fs``."""
        self._store = store
        self._record = record

    @overload
    def read(self, path: str) -> bytes: ...

    @overload
    def read(self, path: str, sink: Sink) -> None: ...

    def read(self, path: str, sink: Sink | None = None) -> bytes | None:
        """A file's content.

        Args:
            path: of the file; /proc and the like can be read, too.
            sink: called with each piece, such as ``file.write``; nothing is returned then.
        """
        parts: list[bytes] = []
        with reached(self._store, self._record) as record:
            files.read(record, path, sink or parts.append)
        return None if sink else b"".join(parts)

    def write(
        self, path: str, data: bytes | BinaryIO | Iterable[bytes], *, mode: int = 0o644
    ) -> None:
        """Gives a file another content; it is made if missing.

        Args:
            path: of the file.
            data: bytes, an open binary file, or anything that yields bytes.
            mode: of a file that is made; one that is there keeps its own.
        """
        with reached(self._store, self._record) as record:
            files.write(record, path, _pieces(data), mode)

    def list(self, path: str = "/") -> list[FileInfo]:
        """What is in a directory, by name; links are not followed."""
        with reached(self._store, self._record) as record:
            return files.list_directory(record, path)

    def stat(self, path: str, *, follow: bool = True) -> FileInfo:
        """What is known of a file; its ``name`` is its path without links that lead to it.

        Args:
            path: of the file.
            follow: of a symbolic link, look at what it leads to.
        """
        with reached(self._store, self._record) as record:
            return files.stat(record, path, follow=follow)

    def exists(self, path: str) -> bool:
        """Whether there is something, a dangling link not among it."""
        with suppress(NotFoundError), reached(self._store, self._record) as record:
            return files.find(record, path) is not None
        return False

    def mkdir(self, path: str, *, mode: int = 0o755, parents: bool = False) -> None:
        """Makes a directory.

        Args:
            path: of the directory.
            mode: of it.
            parents: make those above it, too; it may be there already.
        """
        with reached(self._store, self._record) as record:
            files.make_directory(record, path, mode=mode, parents=parents)

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Removes a file or an empty directory.

        Args:
            path: of it; a link goes itself.
            recursive: a directory goes with all that is in it.
        """
        with reached(self._store, self._record) as record:
            files.remove(record, path, recursive=recursive)

    def copy_in(
        self, source: Path, destination: str, *, archive: bool = False, follow: bool = False
    ) -> None:
        """Copies a file or a directory of this host into the container, as ``drupe cp`` does.

        Args:
            source: on this host; "DIR/.": what is in it.
            destination: in the container.
            archive: keep owners; else all is root's.
            follow: where ``source`` is a symbolic link, copy what it leads to.

        Raises:
            SpecError: source and destination do not go together.
            HostError: a source cannot be read.
        """
        with reached(self._store, self._record) as record:
            copying.copy_in(record, source, destination, archive=archive, follow=follow)

    def copy_out(
        self, source: str, destination: Path, *, archive: bool = False, follow: bool = False
    ) -> LeftOut:
        """Copies a file or a directory of the container to this host, as ``drupe cp`` does.

        Nothing outside of ``destination`` is touched, whatever the container says.

        Args:
            source: in the container; "DIR/.": what is in it.
            destination: on this host.
            archive: keep owners (as root), set-id bits, and symbolic links that lead elsewhere.
            follow: where ``source`` is a symbolic link, copy what it leads to.

        Returns:
            How many devices and links were left out.

        Raises:
            SpecError: source and destination do not go together.
            HostError: this host refused.
        """
        with reached(self._store, self._record) as record:
            return copying.copy_out(record, source, destination, archive=archive, follow=follow)


def _pieces(data: bytes | BinaryIO | Iterable[bytes]) -> Iterable[bytes]:
    if isinstance(data, bytes | bytearray | memoryview):
        return (bytes(data),)
    if isinstance(data, str):
        raise TypeError("data is bytes, not str; encode it")
    read = getattr(data, "read", None)
    return data if read is None else iter(lambda: read(_PIECE_BYTES), b"")
