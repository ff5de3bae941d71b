"""Images by what people call them: this user's, else the system's; ``busybox`` is made here."""

from __future__ import annotations

import re

from drupe.errors import NotFoundError, SpecError, StateError
from drupe.image.store import Image, ImageStore
from drupe.oci.reference import Reference, parse_reference
from drupe.store import paths

EMBEDDED = "busybox:latest"


def find_image(name: str) -> Image:
    """The image of that name, or whose id begins so; its root is there.

    Raises:
        NotFoundError: there is none.
        SpecError: it cannot be a name, or several ids begin so.
        StateError: its record or its root is spoilt.
        HostError: an embedded one cannot be made.
    """
    try:
        reference = parse_reference(name)
    except SpecError:
        reference = None
        if not _may_be_id(name):
            raise
    for store in stores():
        image = _named(store, reference) or _by_id(store, name)
        if image is not None:
            return with_root(store, image)
    if reference is not None and reference.familiar == EMBEDDED:
        from drupe.image.busybox import build_busybox

        return build_busybox()
    raise NotFoundError(
        f"failed to find image '{name}': no such image",
        hint="'drupe images' lists them, 'drupe pull' brings one; --rootfs DIR runs a directory",
    )


def stores() -> list[ImageStore]:
    """Where images are looked for: the user's own store is the first."""
    return [ImageStore(base / "images") for base in paths.data_dirs()]


def with_root(store: ImageStore, image: Image) -> Image:
    """The image, after its root was made anew where it is missing: its layers are there.

    Raises:
        StateError: the root is not what it was.
    """
    try:
        size = image.root.stat().st_size
    except FileNotFoundError:
        from drupe.image.install import ensure_root

        with store.adding():
            ensure_root(store, image.layers)
        return image
    if size != image.root_bytes:
        raise StateError(
            f"failed to use image '{image.name or image.id[:12]}': its root has {size} bytes and "
            f"should have {image.root_bytes}",
            hint=f"remove {image.root}: it is made again",
        )
    return image


def _named(store: ImageStore, reference: Reference | None) -> Image | None:
    name = None if reference is None else store.resolve(reference)
    image = None if name is None else store.read(name.id)
    if image is None or name is None or reference is None:
        return None
    return image._replace(name=reference.familiar, digest=name.digest)


def _may_be_id(text: str) -> bool:
    return re.fullmatch(r"(sha256:)?[0-9a-f]{2,64}", text) is not None


def _by_id(store: ImageStore, text: str) -> Image | None:
    if not _may_be_id(text):
        return None
    start = text.removeprefix("sha256:")
    found = [image_id for image_id in store.ids() if image_id.startswith(start)]
    if len(found) > 1:
        raise SpecError(
            f"failed to find image '{text}': {len(found)} ids begin so",
            hint="give more digits of the id, or the name",
        )
    image = store.read(found[0]) if found else None
    if image is None:
        return None
    names = (reference.familiar for reference, name in store.names() if name.id == image.id)
    return image._replace(name=next(names, ""))
