"""Manifests: which configuration and layers an image has, or which images an index offers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from drupe.errors import NotFoundError, SpecError
from drupe.oci.document import Fields, parse_object
from drupe.oci.reference import is_digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

MANIFEST_TYPES = (OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST)
"""What a registry is told that we understand."""

LAYERS_MOST = 1024
_INDEX_MOST = 4096


class Target(NamedTuple):
    """What an image of an index is for."""

    os: str = ""
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in self if part) or "unknown"


THIS = Target("linux", "amd64")


class Descriptor(NamedTuple):
    """One blob: its type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int
    target: Target | None = None
    annotations: Mapping[str, str] = MappingProxyType({})

    def as_json(self) -> dict[str, object]:
        """Its form in a manifest."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


class Manifest(NamedTuple):
    """One image: its configuration, and its layers, the lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


class Index(NamedTuple):
    """Images for several platforms, or of several names."""

    manifests: tuple[Descriptor, ...]


def parse_manifest(data: bytes, what: str) -> Manifest | Index:
    """A manifest or an index, of OCI or Docker; ``what`` names it in errors.

    What it is is told by its members: media types are often missing, or wrong.

    Raises:
        SpecError: neither, or both.
    """
    value = parse_object(data, what)
    fields = Fields(value, what)
    if fields.number("schemaVersion", 2) != 2:
        raise SpecError(
            f"failed to read {what}: schema version {fields.number('schemaVersion')}",
            hint="only version 2 is in use today; push the image again with a current tool",
        )
    if fields.has("manifests") == fields.has("layers"):
        raise SpecError(f"failed to read {what}: neither a manifest nor an index")
    if fields.has("manifests"):
        entries = fields.members("manifests")
        if len(entries) > _INDEX_MOST:
            raise SpecError(f"failed to read {what}: {len(entries)} images")
        return Index(tuple(_descriptor(entry) for entry in entries))
    layers = fields.members("layers")
    if len(layers) > LAYERS_MOST:
        raise SpecError(f"failed to read {what}: {len(layers)} layers, at most {LAYERS_MOST}")
    config = _descriptor(fields.member("config"))
    if config.media_type not in {OCI_CONFIG, DOCKER_CONFIG, "", "application/octet-stream"}:
        raise SpecError(
            f"failed to read {what}: not a container image but '{config.media_type[:80]}'"
        )
    return Manifest(config, tuple(_descriptor(layer) for layer in layers))


def choose(index: Index, what: str, wanted: Target = THIS) -> Descriptor:
    """The image of an index that is for this platform; the plainest, where several are.

    Raises:
        NotFoundError: none is; names those that there are.
    """
    fits = [entry for entry in index.manifests if _fits(entry, wanted)]
    if not fits:
        offered = sorted({str(entry.target) for entry in index.manifests if entry.target})
        raise NotFoundError(
            f"failed to use {what}: it has no image for {wanted}, but for "
            f"{', '.join(offered[:20]) or 'nothing'}"
        )
    return min(fits, key=lambda entry: "" if entry.target is None else entry.target.variant)


def _fits(entry: Descriptor, wanted: Target) -> bool:
    if entry.media_type not in {*MANIFEST_TYPES, ""}:
        return False
    return entry.target is None or entry.target[:2] == wanted[:2]


def _descriptor(fields: Fields) -> Descriptor:
    digest = fields.text("digest")
    if not is_digest(digest):
        raise fields.error("digest", digest)
    target = None
    if fields.has("platform"):
        platform = fields.member("platform")
        target = Target(*(platform.text(n) for n in ("os", "architecture", "variant")))
    return Descriptor(
        fields.text("mediaType"),
        digest,
        fields.number("size"),
        target,
        fields.table("annotations"),
    )


def manifest_json(config: Descriptor, layers: tuple[Descriptor, ...]) -> dict[str, object]:
    """The OCI manifest of an image that was made here."""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.as_json(),
        "layers": [layer.as_json() for layer in layers],
    }
