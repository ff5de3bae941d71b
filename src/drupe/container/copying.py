"""Copies between this host and a running container, by the rules of ``docker cp``.

A source that ends with "/." stands for what is in the directory. A destination that is a directory
takes the source under its own name; one that does not exist becomes the source under a new name;
then the directory above it must exist.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from pathlib import Path

from drupe.container import files
from drupe.container.files import FileInfo, absolute
from drupe.container.packing import pack
from drupe.container.record import Record
from drupe.container.service import serving
from drupe.container.unpacking import LeftOut, unpack
from drupe.errors import NotFoundError, SpecError

ALL_OF_IT = "."
"""The name in a stream that stands for what is in a directory."""


def copy_in(
    record: Record,
    source: str | os.PathLike[str],
    destination: str,
    *,
    archive: bool = False,
    follow: bool = False,
) -> None:
    """Copies a file or a directory of this host into a container.

    Args:
        record: the container, which runs.
        source: a path on this host.
        destination: a path in the container.
        archive: keep owners; else all is root's.
        follow: where ``source`` is a symbolic link, copy what it leads to.

    Raises:
        NotFoundError: there is no such source, or no directory for the destination.
        SpecError: source and destination do not go together.
        HostError: a source cannot be read.
        GuestError: the container refused.
    """
    path = os.fspath(source)
    contents, followed = _ending(path)
    local = Path(path)
    if not os.path.lexists(local) or (followed and not local.is_dir()):
        raise NotFoundError(f"failed to copy '{path}': no such file or directory")
    if follow or followed:
        path = os.path.realpath(path)
    is_dir = Path(path).is_dir() and not Path(path).is_symlink()
    wanted = absolute(destination)
    there = files.find(record, wanted)
    place = f"{record.spec.name}:{wanted}"
    name = Path(os.path.abspath(local)).name  # noqa: PTH100 (links keep their names)
    directory, called = _aim(
        wanted, name, there, is_dir=is_dir, contents=contents, place=place, said=os.fspath(source)
    )
    with serving(record, *_unpack(directory, archive=archive), stdin=True) as service:
        for piece in pack(path, called):
            service.write(piece)
        service.finish()


def copy_out(
    record: Record,
    source: str,
    destination: str | os.PathLike[str],
    *,
    archive: bool = False,
    follow: bool = False,
) -> LeftOut:
    """Copies a file or a directory of a container to this host; returns what was left out.

    Args:
        record: the container, which runs.
        source: a path in the container.
        destination: a path on this host.
        archive: keep owners (as root), set-id bits, and links that lead out of the copy.
        follow: where ``source`` is a symbolic link, copy what it leads to.

    Raises:
        NotFoundError: there is no such source, or no directory for the destination.
        SpecError: source and destination do not go together, or it is a link that leads elsewhere.
        HostError: this host refused.
        GuestError: the container refused.
    """
    path = absolute(source)
    contents, followed = _ending(path)
    found = files.stat(record, path, follow=follow or followed)
    wanted = os.fspath(destination)
    there = _local(wanted)
    directory, called = _aim(
        wanted,
        posixpath.basename(found.name if contents or followed else posixpath.normpath(path)),
        there,
        is_dir=found.is_dir,
        contents=contents,
        place=wanted,
        said=f"{record.spec.name}:{path}",
    )
    if not os.path.isdir(directory):  # noqa: PTH112
        raise NotFoundError(f"failed to copy to '{wanted}': no such directory '{directory}'")
    with serving(record, "pack", f"{found.name}/" if contents else found.name, called) as service:
        left_out = unpack(
            service.pieces(),
            Path(directory),
            None if called == ALL_OF_IT else called,
            archive=archive,
        )
    if found.is_link and left_out.links:
        raise SpecError(
            f"failed to copy '{record.spec.name}:{path}': it is a link to '{found.target}'",
            hint="-L copies what it leads to, -a the link itself",
        )
    return left_out


def stream_in(record: Record, pieces: Iterable[bytes], directory: str, *, archive: bool) -> None:
    """Unpacks a tar stream in a directory of a container.

    Raises:
        NotFoundError: there is no such directory.
        GuestError: the stream is broken, or the container refused.
    """
    with serving(record, *_unpack(absolute(directory), archive=archive), stdin=True) as service:
        for piece in pieces:
            service.write(piece)
        service.finish()


def stream_out(record: Record, source: str, *, follow: bool = False) -> Iterable[bytes]:
    """A tar stream of a file or a directory of a container, in pieces.

    Raises:
        NotFoundError: there is no such file.
        GuestError: the container refused.
    """
    path = absolute(source)
    contents, followed = _ending(path)
    found = files.stat(record, path, follow=follow or followed)
    name = posixpath.basename(found.name) or ALL_OF_IT
    asked = (f"{found.name}/", ALL_OF_IT) if contents else (found.name, name)
    with serving(record, "pack", *asked) as service:
        yield from service.pieces()


def _ending(path: str) -> tuple[bool, bool]:
    """Whether a path stands for what is in a directory, and whether it must be one."""
    contents = path == "." or path.endswith("/.")
    return contents, contents or path.endswith("/")


def _unpack(directory: str, *, archive: bool) -> tuple[str, ...]:
    return "unpack", directory, "owners" if archive else "root"


def _local(path: str) -> FileInfo | None:
    try:
        found = os.stat(path)  # noqa: PTH116 (a trailing slash counts)
    except (FileNotFoundError, NotADirectoryError):
        return None
    name = os.path.realpath(path)
    return FileInfo(name, found.st_mode, 0, 0, found.st_size, found.st_mtime_ns, 1, "")


def _aim(
    wanted: str,
    own: str,
    there: FileInfo | None,
    *,
    is_dir: bool,
    contents: bool,
    place: str,
    said: str,
) -> tuple[str, str]:
    """The directory to unpack in, and what the copy is called there."""
    if there is not None and there.is_dir:
        return (wanted, ALL_OF_IT if contents or not own else own)
    if there is not None:
        if is_dir:
            raise SpecError(
                f"failed to copy '{said}' to '{place}': a directory cannot replace a file"
            )
        wanted = there.name
    elif wanted.endswith("/") and not is_dir:
        raise NotFoundError(f"failed to copy '{said}' to '{place}': no such directory")
    above, called = posixpath.split(wanted.rstrip("/"))
    return above or ("/" if wanted.startswith("/") else "."), called
