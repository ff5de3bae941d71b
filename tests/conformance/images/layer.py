"""From an upper directory of an overlay to a layer: a tar archive with whiteouts, compressed."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple, Protocol

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_LEFT_OUT = {"proc", "sys", "dev"}
"""Directories whose content is the container's own; they themselves are kept."""

_COMPRESSION = 6


class Layer(NamedTuple):
    """A layer in a blob directory.

    Attributes:
        digest: ``sha256:…`` of the compressed blob.
        size: of the compressed blob, in bytes.
        diff_id: ``sha256:…`` of the archive itself.
    """

    digest: str
    size: int
    diff_id: str


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...


class _Hashed:
    """A file that hashes what is written to it."""

    def __init__(self, file: _Sink) -> None:
        self._file = file
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    @property
    def digest(self) -> str:
        return f"sha256:{self.hash.hexdigest()}"


def pack(directory: Path, blobs: Path) -> Layer:
    """Makes a layer of a directory: a whole root, or an upper directory of overlayfs."""
    beside = blobs / f".{directory.name}.{os.getpid()}"
    with beside.open("wb") as file:
        outer = _Hashed(file)
        with gzip.GzipFile(fileobj=outer, mode="wb", compresslevel=_COMPRESSION, mtime=0) as zipped:
            inner = _Hashed(zipped)
            with tarfile.open(fileobj=inner, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
                _write(directory, archive)
    beside.rename(blobs / outer.digest.removeprefix("sha256:"))
    return Layer(outer.digest, outer.size, inner.digest)


def _write(directory: Path, archive: tarfile.TarFile) -> None:
    first_of: dict[tuple[int, int], str] = {}
    for path in _walk(directory):
        name = str(path.relative_to(directory))
        status = path.lstat()
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            parent, _, last = name.rpartition("/")
            archive.addfile(_empty(f"{parent}/{WHITEOUT}{last}".lstrip("/")))
            continue
        member = archive.gettarinfo(path, name)
        if member is None:  # a socket
            continue
        member.uname = member.gname = ""
        member.mtime = int(status.st_mtime)
        key = (status.st_dev, status.st_ino)
        if stat.S_ISREG(status.st_mode):
            member.type = tarfile.REGTYPE
            if key in first_of:
                member.type, member.linkname, member.size = tarfile.LNKTYPE, first_of[key], 0
            else:
                member.size = status.st_size
            first_of.setdefault(key, name)
        member.pax_headers = {**member.pax_headers, **_attributes(path)}
        if member.type == tarfile.REGTYPE:
            with path.open("rb") as file:
                archive.addfile(member, file)
        else:
            archive.addfile(member)
        if member.isdir() and _attribute(path, "trusted.overlay.opaque") == b"y":
            archive.addfile(_empty(f"{name}/{OPAQUE}"))


def _walk(directory: Path, without: AbstractSet[str] = _LEFT_OUT) -> Iterator[Path]:
    """All below a directory, sorted, parents first; links are not followed."""
    for entry in sorted(directory.iterdir()):
        yield entry
        if entry.is_dir() and not entry.is_symlink() and entry.name not in without:
            yield from _walk(entry, frozenset())


def _empty(name: str) -> tarfile.TarInfo:
    return tarfile.TarInfo(name)


def _attributes(path: Path) -> dict[str, str]:
    """Extended attributes that belong to the file, as PAX has them."""
    return {
        f"SCHILY.xattr.{name}": os.getxattr(path, name, follow_symlinks=False).decode(
            "utf-8", "surrogateescape"
        )
        for name in os.listxattr(path, follow_symlinks=False)
        if not name.startswith("trusted.overlay.")
    }


def _attribute(path: Path, name: str) -> bytes:
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        return b""
