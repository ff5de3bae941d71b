"""Images from archives: what ``docker save`` writes, and OCI image layouts.

An archive is read once, as it comes: each file in it goes to the store under its digest, whatever
it is called. What an image is made of is found at the end, by digest or by name; the rest goes.

Source: OCI image layout 1.1; Docker's image specification 1.2 (``manifest.json``).
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from drupe.errors import HostError, NotFoundError, SpecError
from drupe.image.blobs import add_blob, add_stream, adding, collect
from drupe.image.compression import layer_type, unpacked
from drupe.image.entry import shown
from drupe.image.install import Progress, install_manifest, install_new, silent
from drupe.image.store import Image, ImageStore, Layer
from drupe.image.tar import TarReader
from drupe.oci.config import parse_config
from drupe.oci.document import BYTES_MOST, Fields, parse_array, parse_object
from drupe.oci.manifest import Descriptor, Index, Manifest, choose, parse_manifest
from drupe.oci.reference import Reference, is_digest, parse_reference

_MEMBERS_MOST = 20_000
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class _Part(NamedTuple):
    digest: str
    size: int


def load(source: BinaryIO | Path, report: Progress = silent) -> list[Image]:
    """The images in an archive, an open file, or in a directory with an OCI layout.

    Raises:
        SpecError: it is no archive of images, or spoilt.
        HostError: the disk is full, or a file cannot be read.
    """
    store = ImageStore()
    try:
        with adding(store):
            what = "the archive"
            if isinstance(source, Path):
                what = f"'{source}'"
                parts = dict(_read_directory(store, source, what))
            else:
                parts = dict(_read_archive(store, source, what))
            return _Contents(store, parts, what).images(report)
    except OSError as error:
        raise HostError(f"failed to read an archive: {error.strerror}") from error
    finally:
        collect(store)


def _read_archive(store: ImageStore, source: BinaryIO, what: str) -> Iterator[tuple[bytes, _Part]]:
    parts: dict[bytes, _Part] = {}
    links: list[tuple[bytes, bytes]] = []
    archive = TarReader(unpacked(source, what), what)
    for count, entry in enumerate(archive):
        if count > _MEMBERS_MOST:
            raise SpecError(f"failed to read {what}: more than {_MEMBERS_MOST} files")
        name = _normal(entry.path)
        if entry.kind == stat.S_IFREG:
            pieces = (bytes(piece) for piece in archive.content())
            parts[name] = _Part(*add_stream(store, pieces))
        elif entry.kind == stat.S_IFLNK:
            links.append((name, _normal(name.rpartition(b"/")[0] + b"/" + entry.target)))
        elif not entry.kind:
            links.append((name, _normal(entry.target)))
    yield from parts.items()
    for name, target in links:
        if target in parts:
            yield name, parts[target]


def _read_directory(store: ImageStore, home: Path, what: str) -> Iterator[tuple[bytes, _Part]]:
    try:
        index = (home / "index.json").read_bytes()
    except OSError as error:
        raise SpecError(
            f"failed to read {what}: no OCI image layout: {error.strerror} ('index.json')"
        ) from error
    yield b"index.json", _Part(add_blob(store, index), len(index))
    for path in (home / "blobs/sha256").iterdir():
        if path.is_file():
            with path.open("rb") as file:
                pieces = iter(lambda: file.read(1 << 20), b"")
                yield f"blobs/sha256/{path.name}".encode(), _Part(*add_stream(store, pieces))


def _normal(path: bytes) -> bytes:
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in {b"", b"."}:
            parts.append(part)
    return b"/".join(parts)


class _Contents:
    """The files of an archive, in the store by now."""

    def __init__(self, store: ImageStore, parts: dict[bytes, _Part], what: str) -> None:
        self._store = store
        self._parts = parts
        self._what = what

    def images(self, report: Progress) -> list[Image]:
        """All images that the archive's list of contents names."""
        if b"manifest.json" in self._parts:
            found = self._of_docker(report)
        elif b"index.json" in self._parts:
            found = self._of_index(self._read("index.json"), None, report)
        else:
            raise SpecError(
                f"failed to read {self._what}: no archive of images: neither 'manifest.json' nor "
                "'index.json' is in it",
                hint="'drupe import' makes an image of the files of a root",
            )
        if not found:
            raise SpecError(f"failed to read {self._what}: no images are in it")
        return found

    def _of_docker(self, report: Progress) -> list[Image]:
        found = []
        for entry in parse_array(self._read("manifest.json"), f"'manifest.json' of {self._what}"):
            fields = Fields(entry, f"'manifest.json' of {self._what}")
            data = self._read(fields.text("Config"))
            names: list[Reference | None] = [*map(parse_reference, fields.texts("RepoTags"))]
            layers = self._layers(fields.texts("Layers"), data)
            config = parse_object(data, "a configuration")
            for name in names or [None]:
                report(f"loading {'an image' if name is None else name.familiar}")
                image = install_new(self._store, config, layers, name, report, data=data)
                found.append(image)
        return found

    def _layers(self, names: tuple[str, ...], config: bytes) -> list[Layer]:
        diff_ids = parse_config(config, f"a configuration in {self._what}").diff_ids
        if len(names) != len(diff_ids):
            raise SpecError(
                f"failed to read {self._what}: {len(names)} layers, and {len(diff_ids)} in the "
                "configuration"
            )
        layers = []
        for name, diff_id in zip(names, diff_ids, strict=True):
            part = self._part(name)
            kind = layer_type(self._store.blob(part.digest))
            layers.append(Layer(part.digest, diff_id, part.size, kind))
        return layers

    def _of_index(self, data: bytes, name: Reference | None, report: Progress) -> list[Image]:
        value = parse_manifest(data, f"an index in {self._what}")
        if not isinstance(value, Index):
            raise SpecError(f"failed to read {self._what}: 'index.json' is no index")
        found = []
        for entry in value.manifests:
            if not self._store.blob(entry.digest).exists() and len(value.manifests) > 1:
                continue  # for another platform, and left out
            found += self._of_entry(entry, name or _name(entry), report)
        return found

    def _of_entry(self, entry: Descriptor, name: Reference | None, report: Progress) -> list[Image]:
        value = parse_manifest(self._blob(entry.digest), f"a manifest in {self._what}")
        if isinstance(value, Index):
            chosen = choose(value, f"an index in {self._what}")
            return self._of_entry(chosen, name, report)
        self._check(value)
        report(f"loading {'an image' if name is None else name.familiar}")
        return [install_manifest(self._store, entry.digest, name, report=report)]

    def _check(self, manifest: Manifest) -> None:
        for part in (manifest.config, *manifest.layers):
            self._path(part.digest)

    def _read(self, name: str) -> bytes:
        return self._blob(self._part(name).digest)

    def _blob(self, digest: str) -> bytes:
        path = self._path(digest)
        size = path.stat().st_size
        if size > BYTES_MOST:
            raise SpecError(f"failed to read {self._what}: a manifest of {size} bytes")
        return path.read_bytes()

    def _path(self, digest: str) -> Path:
        path = self._store.blob(digest)
        if not is_digest(digest) or not path.exists():
            raise NotFoundError(
                f"failed to read {self._what}: its part {digest[:19]} is not in it, or spoilt"
            )
        return path

    def _part(self, name: str) -> _Part:
        part = self._parts.get(_normal(name.encode("utf-8", "surrogateescape")))
        if part is None:
            raise SpecError(f"failed to read {self._what}: '{shown(name.encode())}' is not in it")
        return part


def _name(entry: Descriptor) -> Reference | None:
    for key in _NAMES:
        text: Any = entry.annotations.get(key)
        if text and ("/" in text or ":" in text or key == _NAMES[0]):
            return parse_reference(text)
    return None
