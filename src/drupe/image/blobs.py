"""Blobs on their way into the store: whole, and what their digest says, or not there; and out."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drupe.errors import HostError, StateError
from drupe.image.store import Image, ImageStore
from drupe.store.lock import locked

_KEPT_S = 86_400.0
"""How long the beginning of a blob is kept after the last byte came, for a pull that goes on."""
RESUMABLE = "blob-"
FULL_HINT = "'drupe image prune' removes images that nobody uses"


@contextmanager
def adding(store: ImageStore, *, keep: bool = False) -> Iterator[None]:
    """The block adds to a store: nobody takes away what no record names yet.

    What commands that died left behind is cleaned up first; what an error in the block leaves, at
    its end, but for ``keep``: the next try may use it.

    Raises:
        HostError: the directories cannot be made.
    """
    try:
        with store.adding():
            sweep(store)
            yield
    except BaseException:
        if not keep:
            sweep(store)
            collect(store)
        raise


@contextmanager
def partial(store: ImageStore, name: str) -> Iterator[int]:
    """A file below ``partial/`` that nobody else has: a descriptor, locked for the block.

    Whoever holds it moves it to its place with ``install``. What is left of it stays for the next
    one who asks for it, or for ``sweep``.

    Raises:
        HostError: the disk refused.
    """
    path = store.partial / name
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise HostError(f"failed to write '{path}': {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, path):
                try:
                    yield descriptor
                finally:
                    if _is_at(descriptor, path) and not os.fstat(descriptor).st_size:
                        path.unlink()
                return
            # Whoever had it before has moved or removed it: there may be another by now.
        finally:
            os.close(descriptor)


def install(store: ImageStore, name: str, final: Path) -> None:
    """Moves what ``partial`` made to its place; the caller still holds it.

    Raises:
        HostError: the disk refused.
    """
    try:
        (store.partial / name).replace(final)
    except OSError as error:
        raise HostError(f"failed to write '{final}': {error.strerror}") from error


def add_blob(store: ImageStore, data: bytes) -> str:
    """Stores bytes, if they are not there; returns their digest."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if not store.blob(digest).exists():
        add_stream(store, [data])
    return digest


def add_stream(store: ImageStore, pieces: Iterable[bytes]) -> tuple[str, int]:
    """Stores a stream whose digest is not known before its end; returns digest and size.

    Raises:
        HostError: the disk is full.
    """
    name = f"new-{os.urandom(8).hex()}"
    hashed = hashlib.sha256()
    size = 0
    with partial(store, name) as descriptor:
        try:
            for piece in pieces:
                hashed.update(piece)
                size += len(piece)
                write_all(store, descriptor, piece)
            digest = f"sha256:{hashed.hexdigest()}"
            install(store, name, store.blob(digest))
        except BaseException:
            with suppress(OSError):
                (store.partial / name).unlink()
            raise
    return digest, size


def write_all(store: ImageStore, descriptor: int, data: bytes | memoryview) -> None:
    """Writes all of it to a file of the store.

    Raises:
        HostError: the disk is full.
    """
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise HostError(
            f"failed to write below '{store.home}': {error.strerror}", hint=FULL_HINT
        ) from error


def sweep(store: ImageStore, *, resumable: bool = False) -> None:
    """Removes what commands that died left half written; ``resumable``: what may go on, too."""
    with store.changing():
        store.discard_half_written()
    with suppress(FileNotFoundError):
        for path in store.partial.iterdir():
            with suppress(OSError):
                fresh = time.time() - path.stat().st_mtime < _KEPT_S
                if path.name.startswith(RESUMABLE) and fresh and not resumable:
                    continue
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _is_at(descriptor, path):
                        path.unlink()
                finally:
                    os.close(descriptor)


def collect(store: ImageStore) -> int:
    """Removes blobs and roots that no image needs; returns how many bytes that were.

    Where somebody is adding to the store nothing is done: whoever comes next does it.
    """
    with locked(store.home / "use", wait=False) as held:
        if not held:
            return 0
        try:
            images = [image for image in map(store.read, store.ids()) if image is not None]
        except StateError:
            return 0  # what a spoilt record needs is not known
        needed = {path for image in images for path in _files(store, image)}
        return sum(_unlink(path) for path in store.contents() if path not in needed)


def _files(store: ImageStore, image: Image) -> list[Path]:
    digests = [image.manifest, f"sha256:{image.id}", *(layer.digest for layer in image.layers)]
    return [image.root, *map(store.blob, digests)]


def _unlink(path: Path) -> int:
    with suppress(OSError):
        size = path.stat().st_blocks * 512
        path.unlink()
        return size
    return 0


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False
