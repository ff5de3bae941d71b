"""The images of a user or of the system, as they lie on disk.

    blobs/HEX                 what registries and archives gave, by its SHA-256
    records/HEX.json          one for each image, by its id: the digest of its configuration
    roots/HEX.erofs           what containers run on, by the digests of its layers
    refs/REGISTRY/PATH/:TAG   which image a reference means; /@DIGEST for one without a tag
    partial/                  what is being written; locked as long as it is
    lock                      held for the moments in which records and references change
    use                       held, shared, by whoever adds; alone, by whoever takes away

A record is written when all that it names is there, and goes before anything of that goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from drupe.errors import HostError, SpecError, StateError
from drupe.oci.config import ImageConfig
from drupe.oci.reference import Reference, is_digest, parse_reference
from drupe.store import atomic, paths, schema
from drupe.store.lock import locked


class Layer(NamedTuple):
    """A layer of an image.

    Attributes:
        digest: of the blob, as it is stored.
        diff_id: digest of the plain tar that it unpacks to.
        size: of the blob, in bytes.
        media_type: as the manifest has it.
        unpacked_bytes: size of the plain tar; 0: not known yet.
    """

    digest: str
    diff_id: str
    size: int
    media_type: str
    unpacked_bytes: int = 0


class Image(NamedTuple):
    """An image that is ready to run.

    Attributes:
        id: 64 hexadecimal digits: the digest of its configuration.
        config: its defaults: command, environment, user, ports and so on.
        manifest: digest of its manifest.
        layers: the lowest first.
        root_file: path of its root; in a record, a file's name.
        root_bytes: size of that.
        name: the reference that it was found by, as people say it, or empty.
        digest: what a registry calls it, or empty.
        added_ns: when it was added, since the epoch.
    """

    id: str
    config: ImageConfig
    manifest: str
    layers: tuple[Layer, ...]
    root_file: str
    root_bytes: int
    name: str = ""
    digest: str = ""
    added_ns: int = 0

    @property
    def root(self) -> Path:
        """Path of its root file, an EROFS image."""
        return Path(self.root_file)

    @property
    def size_bytes(self) -> int:
        """What its layers take, compressed."""
        return sum(layer.size for layer in self.layers)


class Name(NamedTuple):
    """What a reference means: an image's id, and what a registry calls it, or empty."""

    id: str
    digest: str = ""


class ImageStore:
    """The images in one directory."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or paths.data_home() / "images"
        self.partial = self.home / "partial"
        self.roots = self.home / "roots"
        self._blobs = self.home / "blobs"
        self._records = self.home / "records"
        self._refs = self.home / "refs"

    def prepare(self) -> None:
        """Makes the directories.

        Raises:
            HostError: they cannot be made.
        """
        for path in (self._blobs, self._records, self._refs, self.roots, self.partial):
            paths.private_dir(path)

    def blob(self, digest: str) -> Path:
        """Where a blob is, or would be.

        Raises:
            StateError: that is no digest.
        """
        if not is_digest(digest):
            raise StateError(f"failed to find blob '{digest:.80}': not a digest")
        return self._blobs / digest.removeprefix("sha256:")

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else changes records or references during the block."""
        self.prepare()
        with locked(self.home / "lock"):
            yield

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Nobody takes away blobs or roots that no record names yet during the block."""
        self.prepare()
        with locked(self.home / "use", shared=True):
            yield

    def resolve(self, reference: Reference) -> Name | None:
        """What a reference means here, if anything."""
        if reference.digest is not None and reference.tag is not None:
            named = self.resolve(reference._replace(digest=None))
            if named is not None and named.digest == reference.digest:
                return named
            return self.resolve(reference._replace(tag=None))
        path = self._path(reference)
        try:
            return schema.decode(Name, atomic.read_json(path), f"'{path}'")
        except (FileNotFoundError, NotADirectoryError):
            pass
        if reference.digest is not None:
            for other, name in self.names(path.parent):
                if name.digest == reference.digest and other.name == reference.name:
                    return name
        return None

    def knows(self, reference: Reference) -> bool:
        """Whether a reference means something here; quicker than to ask what."""
        return self._path(reference).exists()

    def has(self, image_id: str) -> bool:
        """Whether an image with that id is here."""
        return (self._records / f"{image_id}.json").exists()

    def read(self, image_id: str) -> Image | None:
        """The image with an id, if it is here.

        Raises:
            StateError: its record is broken.
        """
        path = self._records / f"{image_id}.json"
        try:
            image = schema.decode(Image, atomic.read_json(path), f"image '{image_id[:12]}'")
        except (FileNotFoundError, NotADirectoryError):
            return None
        return image._replace(root_file=str(self.roots / image.root_file))

    def names(self, below: Path | None = None) -> Iterator[tuple[Reference, Name]]:
        """All references and what they mean; those that are spoilt are left out."""
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in sorted((below or self._refs).iterdir()):
                if path.name.startswith((":", "@")):
                    with suppress(HostError, StateError, SpecError, FileNotFoundError):
                        where = path.parent.relative_to(self._refs)
                        name = schema.decode(Name, atomic.read_json(path), f"'{path}'")
                        yield parse_reference(f"{where}{path.name}"), name
                else:
                    yield from self.names(path)

    def ids(self) -> Iterator[str]:
        """The ids of all images."""
        with suppress(FileNotFoundError):
            for path in sorted(self._records.iterdir()):
                if path.suffix == ".json" and not path.name.startswith("."):
                    yield path.stem

    def contents(self) -> Iterator[Path]:
        """All blobs and roots."""
        for directory in (self._blobs, self.roots):
            with suppress(FileNotFoundError):
                yield from sorted(directory.iterdir())

    def discard_half_written(self) -> None:
        """Removes records and references that were never finished; in ``changing()``."""
        for directory in (self._records, self._refs):
            for path in directory.rglob(".*"):
                path.unlink(missing_ok=True)
        for path in sorted(self._refs.rglob("*"), reverse=True):  # what is inside comes first
            if path.is_dir():
                with suppress(OSError):  # it is not empty
                    path.rmdir()

    def write(self, image: Image) -> None:
        """Writes an image's record; the caller holds ``changing()`` and ``adding()``."""
        value = schema.encode(image._replace(root_file=image.root.name, name="", digest=""))
        atomic.write_json(self._records / f"{image.id}.json", value)

    def forget(self, image_id: str) -> None:
        """Takes an image's record away; the caller holds ``changing()``."""
        (self._records / f"{image_id}.json").unlink(missing_ok=True)

    def tag(self, reference: Reference, name: Name) -> None:
        """Gives a reference a meaning; the caller holds ``changing()``."""
        path = self._path(reference)
        paths.private_dir(path.parent)
        atomic.write_json(path, schema.encode(name))

    def untag(self, reference: Reference) -> None:
        """Takes a reference's meaning away; the caller holds ``changing()``."""
        path = self._path(reference)
        path.unlink(missing_ok=True)
        with suppress(OSError):  # others are there
            for directory in path.parents:
                if directory == self._refs:
                    break
                directory.rmdir()

    def _path(self, reference: Reference) -> Path:
        leaf = f":{reference.tag}" if reference.tag else f"@{reference.digest}"
        return self._refs / reference.registry / reference.repository / leaf
