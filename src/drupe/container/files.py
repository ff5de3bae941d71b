"""Files of a running container: what is there, their content, making and removing them."""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from drupe.container.record import Record
from drupe.container.service import answer, serving
from drupe.errors import GuestError, NotFoundError, SpecError
from drupe.guest.protocol import broken

_PIECE_BYTES = 1 << 17


class FileInfo(NamedTuple):
    """What is known of a file in a container.

    Attributes:
        name: in its directory; not UTF-8: with surrogates, as ``os.fsdecode`` has them.
        mode: its kind and its permissions, as ``os.stat`` has them.
        uid: of its owner, in the container.
        gid: of its group.
        size: bytes.
        mtime_ns: when its content was changed, since the epoch.
        links: how many names it has.
        target: of a symbolic link, else empty.
    """

    name: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    links: int
    target: str

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return modes.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return modes.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return modes.S_ISLNK(self.mode)


class Change(NamedTuple):
    """One difference between a container and its image.

    Attributes:
        kind: "A" for added, "C" for changed, "D" for removed.
        path: absolute.
    """

    kind: str
    path: str


def absolute(path: str) -> str:
    """A path in a container; it begins at the root whether it says so or not.

    Raises:
        SpecError: it cannot be one.
    """
    if "\0" in path:
        raise SpecError(f"failed to use path {path!r}: it holds a NUL byte")
    return path if path.startswith("/") else f"/{path}"


def stat(record: Record, path: str, *, follow: bool = True) -> FileInfo:
    """What is known of one file; its ``name`` is its whole path, without links that lead to it.

    Raises:
        NotFoundError: there is none.
        GuestError: the container refused.
    """
    output = answer(record, "stat", absolute(path), "follow" if follow else "link")
    (found,) = _infos(output) or (None,)
    if found is None:
        raise broken("no answer about a file")
    return found


def find(record: Record, path: str, *, follow: bool = True) -> FileInfo | None:
    """As ``stat``, but None where there is nothing."""
    try:
        return stat(record, path, follow=follow)
    except NotFoundError:
        return None
    except GuestError as error:
        if error.number == _ENOTDIR:
            return None
        raise


def list_directory(record: Record, path: str) -> list[FileInfo]:
    """What is in a directory, by name; links are not followed.

    Raises:
        NotFoundError: there is no such directory.
        GuestError: it is none, or the container refused.
    """
    return _infos(answer(record, "list", absolute(path)))


def read(record: Record, path: str, sink: Callable[[bytes], object]) -> None:
    """Passes a file's content to ``sink``, piece by piece.

    Raises:
        NotFoundError: there is no such file.
        GuestError: it is a directory, or the container refused.
    """
    with serving(record, "read", absolute(path)) as service:
        for piece in service.pieces():
            sink(piece)


def write(record: Record, path: str, pieces: Iterable[bytes], mode: int) -> None:
    """Gives a file this content; one that is there keeps owner and mode, a new one gets ``mode``.

    Raises:
        NotFoundError: its directory does not exist.
        GuestError: it is a directory, or the container refused.
    """
    with serving(record, "write", absolute(path), f"{mode:o}", stdin=True) as service:
        for piece in pieces:
            for start in range(0, len(piece), _PIECE_BYTES):
                service.write(piece[start : start + _PIECE_BYTES])
        service.finish()


def remove(record: Record, path: str, *, recursive: bool) -> None:
    """Removes a file or an empty directory, or with ``recursive`` all that is in one, too.

    Raises:
        NotFoundError: there is none.
        GuestError: the directory is not empty, or the container refused.
    """
    _do(record, "remove", absolute(path), "tree" if recursive else "one")


def make_directory(record: Record, path: str, *, mode: int, parents: bool) -> None:
    """Makes a directory; with ``parents`` those above it, too, and it may be there already.

    Raises:
        NotFoundError: the one above it does not exist.
        GuestError: it is there already, or the container refused.
    """
    _do(record, "mkdir", absolute(path), f"{mode:o}", "parents" if parents else "one")


def changes(record: Record) -> Iterator[Change]:
    """What the container has that its image has not, and the other way round.

    Raises:
        GuestError: the container has no layer of its own, or refused.
    """
    for text in answer(record, "changes").split(b"\0")[:-1]:
        kind, path = os.fsdecode(text[:1]), os.fsdecode(text[2:])
        if kind not in {"A", "C", "D"} or not path.startswith("/"):
            raise broken("a change that is none")
        yield Change(kind, path)


def _do(record: Record, *args: str) -> None:
    with serving(record, *args) as service:
        service.finish()


def _infos(output: bytes) -> list[FileInfo]:
    parts = output.split(b"\0")
    if len(parts) % 3 != 1 or parts[-1]:
        raise broken("a record of a file that is none")
    return [_info(*parts[start : start + 3]) for start in range(0, len(parts) - 1, 3)]


def _info(numbers: bytes, name: bytes, target: bytes) -> FileInfo:
    try:
        found = list(map(int, numbers.split(b" ")))
        mode, uid, gid, size, seconds, nanoseconds, links, _ = found
    except ValueError:
        raise broken("a record of a file that is none") from None
    if any(abs(number) >= 1 << 63 for number in found) or not 0 <= mode < 1 << 16 or size < 0:
        raise broken("a record of a file that cannot be")
    return FileInfo(
        os.fsdecode(name),
        mode,
        uid,
        gid,
        size,
        seconds * 1_000_000_000 + nanoseconds,
        links,
        os.fsdecode(target),
    )


_ENOTDIR = 20
