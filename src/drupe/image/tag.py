"""Another name for an image."""

from __future__ import annotations

from drupe.errors import SpecError
from drupe.image.blobs import adding
from drupe.image.commit import bring
from drupe.image.find import find_image
from drupe.image.install import install_manifest
from drupe.image.store import Image, ImageStore
from drupe.oci.reference import parse_reference


def tag(name: str, other: str) -> Image:
    """Gives an image another name; what had that before has it no more.

    Raises:
        NotFoundError: there is no such image.
        SpecError: the other one cannot be a name.
    """
    reference = parse_reference(other)
    if reference.digest is not None:
        raise SpecError(f"failed to tag '{name}' as '{other}': a digest is not to be chosen")
    image = find_image(name)
    store = ImageStore()
    with adding(store):
        parts = [image.manifest, f"sha256:{image.id}", *(layer.digest for layer in image.layers)]
        bring(store, image, parts)
        return install_manifest(store, image.manifest, reference)
