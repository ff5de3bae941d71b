"""Walks the homes of drupe and knows the reason of every file: tells what has none, or is broken.

Two degrees. ``broken``: what must never be, whatever was killed: a container or an image that is
there and not whole, a name that leads nowhere. ``leftovers``: what a killed command may leave and
the next ones clear away, so that after them it may not be there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from drupe.container.record import Record
from drupe.container.volumes import NamedVolume
from drupe.errors import DrupeError
from drupe.image.store import Image, ImageStore
from drupe.net.named import NamedNetwork
from drupe.store import atomic, schema
from tests.conftest import Home

STATE = {"containers", "names", "lock", "networks", "events"}
"""What lies in the state home: of containers, their names, and the lock of both."""

DATA = {"guests", "images", "kernels", "volumes", "volumes.lock", "layers"}
"""What lies in the data home."""

CONTAINER = {
    "config.json",
    "whole",
    "process.json",
    "status",
    "log",
    "console",
    "control",
    "groups.json",
    "lock",
}
"""What may lie in a container's directory: ``drupe.container.record`` tells what it is for."""

MORE_OF_A_CONTAINER = re.compile(r"layer|layer\.ext4|writable|passt.*|network.*|health.*|shares.*")
"""What only some containers have."""

IMAGES = {"blobs", "records", "roots", "refs", "partial", "lock", "use"}
_HALF_WRITTEN = re.compile(r"\..+\.\d+(\.old)?")


def broken(home: Home) -> list[str]:
    """What must never be, a line each."""
    return [
        *_broken_containers(home.state),
        *_broken_networks(home.state / "networks"),
        *_broken_images(ImageStore(home.data / "images")),
        *_broken_volumes(home.data / "volumes"),
    ]


def leftovers(home: Home) -> list[str]:
    """What nothing has a use for any more, and what nobody knows, a line each."""
    store = ImageStore(home.data / "images")
    return [
        *_unknown(home.state, STATE.__contains__),
        *_unknown(home.data, DATA.__contains__),
        *_unknown(store.home, IMAGES.__contains__),
        *_leftover_containers(home.state),
        *_leftover_images(store),
        *_leftover(home.state / "networks", "network.json", "members", "holder.json"),
        *_leftover(home.data / "volumes", "volume.json", "_data", "lock"),
    ]


def _broken_containers(state: Path) -> Iterator[str]:
    for record in _records(state):
        if not record.is_whole:
            continue
        try:
            spec = record.read_spec()
            record.condition()
        except DrupeError as error:
            yield f"container {record.id[:12]}: {error}"
            continue
        if spec.image is not None and not Path(spec.image).exists():
            yield f"container {spec.name}: its image '{spec.image}' is gone"
        for volume in spec.volumes:
            if not Path(volume.source).exists():
                yield f"container {spec.name}: its volume '{volume.source}' is gone"
        link = state / "names" / spec.name
        if not link.is_symlink() or link.readlink().name != record.id:
            yield f"container {spec.name}: its name does not lead to it"


def _broken_networks(networks: Path) -> Iterator[str]:
    for path in _list(networks):
        if not path.name.startswith("."):
            yield from _spoilt(path / "network.json", NamedNetwork, f"network {path.name}")


def _broken_volumes(volumes: Path) -> Iterator[str]:
    for path in _list(volumes):
        if not path.name.startswith("."):
            yield from _spoilt(path / "volume.json", NamedVolume, f"volume {path.name}")
            if not (path / "_data").is_dir():
                yield f"volume {path.name}: it has no data"


def _spoilt(path: Path, kind: type[NamedNetwork | NamedVolume], whose: str) -> Iterator[str]:
    try:
        named = schema.decode(kind, atomic.read_json(path), whose)
        if named.name != path.parent.name:
            yield f"{whose}: it says that it is {named.name}"
    except (DrupeError, FileNotFoundError) as error:
        yield f"{whose}: {error}"


def _leftover(directory: Path, *known: str) -> Iterator[str]:
    """Of volumes or networks: directories that are none of these, and what else lies in them."""
    for path in _list(directory):
        if path.name.startswith(".") and path.is_dir():
            yield f"{path}: half made, or half removed"
        elif path.is_dir():
            yield from _unknown(path, known.__contains__)


def _leftover_containers(state: Path) -> Iterator[str]:
    for record in _records(state):
        yield from _unknown(
            record.directory, lambda name: name in CONTAINER or MORE_OF_A_CONTAINER.fullmatch(name)
        )
        if not record.is_whole and _is_free(record.directory / "lock"):
            yield f"{record.directory}: unfinished"
    for link in _list(state / "names"):
        directory = state / "containers" / link.readlink().name
        try:
            if Record(directory).read_spec().name != link.name:
                yield f"{link}: the container has another name"
        except DrupeError:
            yield f"{link}: leads to no container"


def _broken_images(store: ImageStore) -> Iterator[str]:
    images = {}
    for image_id in store.ids():
        try:
            image = store.read(image_id)
        except DrupeError as error:
            yield f"image {image_id[:12]}: {error}"
            continue
        assert image is not None
        images[image_id] = image
        if not image.root.is_file() or image.root.stat().st_size != image.root_bytes:
            yield f"image {image_id[:12]}: its root '{image.root}' is not whole"
        for digest, size in _digests(image).items():
            yield from _wrong_blob(store.blob(digest), size, f"image {image_id[:12]}")
    for reference, meant in store.names():
        if meant.id not in images:
            yield f"name {reference}: there is no image {meant.id[:12]}"


def _wrong_blob(path: Path, size: int | None, whose: str) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        yield f"{whose}: blob {path.name[:12]} is gone"
        return
    if found != path.name:
        yield f"{whose}: blob {path.name[:12]} has another content"
    if size is not None and path.stat().st_size != size:
        yield f"{whose}: blob {path.name[:12]} has {path.stat().st_size} bytes, not {size}"


def _leftover_images(store: ImageStore) -> Iterator[str]:
    needed: set[Path] = set()
    for image_id in store.ids():
        image = store.read(image_id)
        assert image is not None
        needed |= {image.root, *map(store.blob, _digests(image))}
    for path in store.contents():
        if path not in needed:
            yield f"{path}: no image needs it"
    for path in _list(store.partial):
        yield f"{path}: half written"
    for directory in (store.home / "records", store.home / "refs"):
        for path in directory.rglob(".*"):
            yield f"{path}: half written"
    for path in (store.home / "refs").rglob("*"):
        if path.is_dir() and not any(path.iterdir()):
            yield f"{path}: an empty directory"


def _digests(image: Image) -> Mapping[str, int | None]:
    """The blobs of an image, with their sizes where its record tells them."""
    return {
        image.manifest: None,
        f"sha256:{image.id}": None,
        **{layer.digest: layer.size for layer in image.layers},
    }


def _unknown(directory: Path, known: Callable[[str], object]) -> Iterator[str]:
    for path in _list(directory):
        if _HALF_WRITTEN.fullmatch(path.name):
            yield f"{path}: half written"
        elif not known(path.name) and not path.name.startswith("."):
            yield f"{path}: nobody knows what it is for"


def _records(state: Path) -> list[Record]:
    return [Record(path) for path in _list(state / "containers")]


def _is_free(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _list(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
