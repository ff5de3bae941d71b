"""A container's writable layer on disk: a sparse file that holds an ext4 file system.

A new one is a copy of a template, which is made once for each size. Only what is not a hole is
copied: some hundred kilobytes, whatever the size.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from drupe.container.storage import LAYER_BYTES
from drupe.errors import CommandError, HostError
from drupe.store.lock import locked
from drupe.store.paths import cache_home, private_dir

NAME = "layer"
"""The file in the container's directory."""

_FORMAT = 1
"""Counts up with the options below."""
_FEATURES = (
    "has_journal", "ext_attr", "dir_index", "filetype", "extent", "flex_bg", "sparse_super2",
    "large_file", "huge_file", "dir_nlink", "extra_isize", "uninit_bg",
)  # fmt: skip
_EXTENDED = (
    "root_owner=0:0",
    "num_backup_sb=0",  # a file needs no copies of its superblock
    "packed_meta_blocks=1",
    "assume_storage_prezeroed=1",  # all else is a hole
    "lazy_journal_init=1",
    "nodiscard",
)
_JOURNAL_MIB = 16
"""Enough for the metadata of a guest of little memory; a journal is written from end to end, so it
takes that much of the disk sooner or later."""
_BYTES_PER_INODE = 16_384
_FICLONE = 0x4004_9409
"""ioctl: both files share their blocks. Source: linux/fs.h."""
_COPY_BYTES = 1 << 20


def choose_size(directory: Path) -> int:
    """Bytes of a layer where nobody says: ``LAYER_BYTES``, or a power of two that is free there."""
    system = os.statvfs(directory)
    free = system.f_bavail * system.f_frsize
    if free >= LAYER_BYTES:
        return LAYER_BYTES
    return max(64 << 20, 1 << (free.bit_length() - 1) if free else 0)


def make(path: Path, size_bytes: int) -> None:
    """Makes an empty layer.

    Raises:
        HostError: the disk refused, or there is no mke2fs.
    """
    template = _template(size_bytes)
    try:
        with template.open("rb") as source, path.open("xb") as target:
            path.chmod(0o600)
            copied = _copy(source.fileno(), target.fileno(), size_bytes)
        if not copied:
            _format(path, size_bytes)
    except OSError as error:
        raise HostError(f"failed to make '{path}': {error.strerror}") from error


def open_layer(path: Path) -> int:
    """Opens a layer for the one machine that uses it, which keeps it locked.

    Raises:
        HostError: it is not there, or in use.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(f"failed to open writable layer '{path}': {error.strerror}") from error
    try:
        # Belongs to the open file, and so to whoever inherits it.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise HostError(
            f"failed to use writable layer '{path}': a container kernel still has it",
            hint="wait for its end, or end it: 'drupe rm --force'",
        ) from error
    return descriptor


def _template(size_bytes: int) -> Path:
    """An empty file system of that size, made if missing."""
    path = cache_home() / "layers" / f"ext4-{_FORMAT}-{size_bytes >> 20}m"
    if not path.exists():
        private_dir(path.parent)
        with locked(path.parent / "lock"):
            if not path.exists():
                _make_template(path, size_bytes)
    return path


def _make_template(path: Path, size_bytes: int) -> None:
    new = path.with_name(f".{path.name}")
    try:
        with new.open("wb") as file:
            file.truncate(size_bytes)
            _format(new, size_bytes)
            # All layers to come are made of it: it is there whole, over a power failure, too.
            os.fdatasync(file.fileno())
        new.replace(path)
    except CommandError as error:
        raise HostError(f"failed to make '{path}': {error}") from error
    except OSError as error:
        raise HostError(f"failed to make '{path}': {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)


def _format(path: Path, size_bytes: int) -> None:
    """Makes the file system, in a file of that size that is a hole."""
    from drupe.process import run

    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0"]
    argv += ["-O", ",".join(("none", *_FEATURES)), "-E", ",".join(_EXTENDED)]
    argv += ["-J", f"size={_journal(size_bytes)}", "-i", str(_BYTES_PER_INODE), str(path)]
    path_variable = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    run(
        argv,
        env={"PATH": path_variable, "MKE2FS_CONFIG": os.devnull},
        hint="install e2fsprogs, or keep the layer in memory: --storage-opt layer=memory",
    )


def _journal(size_bytes: int) -> int:
    """MiB of the journal; 4 MiB are the least that ext4 takes."""
    return _JOURNAL_MIB if size_bytes >= 256 << 20 else 4


def _copy(source: int, target: int, size_bytes: int) -> bool:
    """Copies what is not a hole, or shares the blocks where the host's file system can.

    False: it cannot tell what is a hole; the target is one.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return True
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL}:
            raise
    os.ftruncate(target, size_bytes)
    if os.lseek(source, 0, os.SEEK_HOLE) >= size_bytes:
        return False
    offset = 0
    while True:
        try:
            offset = os.lseek(source, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole
                return True
            raise
        end = os.lseek(source, offset, os.SEEK_HOLE)
        while offset < end:
            piece = os.pread(source, min(_COPY_BYTES, end - offset), offset)
            if not piece:
                return True
            offset += os.pwrite(target, piece, offset)
