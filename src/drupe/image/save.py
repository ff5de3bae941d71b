"""Images to archives: as ``docker save`` writes them, or as an OCI image layout."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from drupe.errors import NotFoundError
from drupe.image.compression import unpacked
from drupe.image.store import Image, ImageStore
from drupe.oci.manifest import OCI_INDEX, OCI_MANIFEST

_PIECE_BYTES = 1 << 20
_BLOCK = 512
_END = bytes(2 * _BLOCK)


class Form(StrEnum):
    """What an archive is like: docker and podman load the first, most other tools the second."""

    DOCKER = "docker-archive"
    OCI = "oci-archive"


def save(images: Sequence[Image], form: Form, write: Callable[[bytes], object]) -> None:
    """Writes images, each with the names that it was found by, as one tar.

    Raises:
        NotFoundError: an image's layers are not there: it can only be run.
    """
    writer = _Writer(write)
    if form is Form.DOCKER:
        _save_docker(images, writer)
    else:
        _save_oci(images, writer)
    write(_END)


class _Writer:
    """A tar, file by file; nothing is written twice."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._names: set[str] = set()

    def add(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        if name in self._names:
            return
        self._names.add(name)
        header = tarfile.TarInfo(name)
        header.size = size
        header.mode = 0o644
        self._write(header.tobuf(tarfile.PAX_FORMAT))
        written = 0
        for piece in pieces:
            written += len(piece)
            self._write(piece)
        assert written == size, (name, written, size)  # noqa: S101
        self._write(bytes(-size % _BLOCK))

    def add_json(self, name: str, value: object) -> None:
        data = json.dumps(value, separators=(",", ":")).encode()
        self.add(name, len(data), [data])


def _save_docker(images: Sequence[Image], writer: _Writer) -> None:
    listed: dict[str, dict[str, object]] = {}
    for image in images:
        store = _home(image)
        entry = listed.get(image.id)
        if entry is None:
            config = _add_blob(store, f"sha256:{image.id}", writer)
            layers = []
            for layer in image.layers:
                path = _path(layer.diff_id)
                blob = _blob(store, layer.digest)
                size = layer.unpacked_bytes or sum(map(len, _plain(blob)))
                writer.add(path, size, _plain(blob))
                layers.append(path)
            entry = listed[image.id] = {"Config": config, "RepoTags": [], "Layers": layers}
        tags = entry["RepoTags"]
        assert isinstance(tags, list)  # noqa: S101 (made above)
        if image.name and "@" not in image.name:
            tags.append(image.name)
    writer.add_json("manifest.json", list(listed.values()))


def _save_oci(images: Sequence[Image], writer: _Writer) -> None:
    entries = []
    for image in images:
        store = _home(image)
        for digest in (f"sha256:{image.id}", *(x.digest for x in image.layers), image.manifest):
            _add_blob(store, digest, writer)
        entry: dict[str, object] = {
            "mediaType": _manifest_type(store, image),
            "digest": image.manifest,
            "size": _blob(store, image.manifest).stat().st_size,
        }
        if image.name:
            entry["annotations"] = {"org.opencontainers.image.ref.name": image.name}
        entries.append(entry)
    writer.add_json("oci-layout", {"imageLayoutVersion": "1.0.0"})
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    writer.add_json("index.json", index)


def _manifest_type(store: ImageStore, image: Image) -> str:
    value = json.loads(_blob(store, image.manifest).read_bytes())
    return str(value.get("mediaType") or OCI_MANIFEST)


def _add_blob(store: ImageStore, digest: str, writer: _Writer) -> str:
    blob, name = _blob(store, digest), _path(digest)
    writer.add(name, blob.stat().st_size, _pieces(blob))
    return name


def _path(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _home(image: Image) -> ImageStore:
    return ImageStore(image.root.parent.parent)


def _blob(store: ImageStore, digest: str) -> Path:
    path = store.blob(digest)
    if not path.exists():
        raise NotFoundError(
            f"failed to save an image: its part {digest[7:19]} is not there",
            hint="it can be run, but not be changed or saved",
        )
    return path


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            yield data


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from unpacked(file, f"layer '{path.name[:12]}'")
