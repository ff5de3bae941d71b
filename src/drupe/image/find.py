"""Images by what people call them: this user's, else the system's; ``busybox`` is made here."""

from __future__ import annotations

import re
from contextlib import suppress

from drupe.errors import HostError, NotFoundError, SpecError, StateError
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
    reference = _reference(name)
    for store in stores():
        found = _find(store, name, reference)
        if found is not None:
            return with_root(store, found[0])
    if reference is not None and reference.familiar == EMBEDDED:
        from drupe.image.busybox import build_busybox

        return build_busybox()
    raise _missing(name)


def is_known(name: str) -> bool:
    """Whether an image of that name is here, or can be made here; ids are not looked for."""
    reference = _reference(name)
    if reference is None:
        return False
    return reference.familiar == EMBEDDED or any(store.knows(reference) for store in stores())


def find_own(store: ImageStore, name: str) -> tuple[Image, Reference | None]:
    """An image of one store, and the reference that found it; None: it was the id.

    Raises:
        NotFoundError: there is none.
        SpecError: it cannot be a name, or several ids begin so.
    """
    found = _find(store, name, _reference(name))
    if found is None:
        raise _missing(name)
    return found


def stores() -> list[ImageStore]:
    """Where images are looked for: the user's own store is the first."""
    return [ImageStore(base / "images") for base in paths.data_dirs()]


def listed_images() -> list[tuple[Reference | None, Image]]:
    """All images by all their names, those that were added last first; spoilt ones are left out."""
    found: list[tuple[Reference | None, Image]] = []
    seen: set[Reference | str] = set()
    for store in stores():
        named = set()
        for reference, meant in store.names():
            image = _readable(store, meant.id)
            if image is not None:
                named.add(image.id)
                if reference not in seen:
                    seen.add(reference)
                    name = reference.familiar
                    found.append((reference, image._replace(name=name, digest=meant.digest)))
        for image_id in store.ids():
            image = None if image_id in named | seen else _readable(store, image_id)
            if image is not None:
                seen.add(image_id)
                found.append((None, image))
    return sorted(found, key=lambda entry: -entry[1].added_ns)


def with_root(store: ImageStore, image: Image) -> Image:
    """The image, after its root was made anew where it is missing: its layers are there.

    Raises:
        StateError: the root is not what it was.
    """
    try:
        size = image.root.stat().st_size
    except FileNotFoundError:
        from drupe.image.blobs import adding
        from drupe.image.install import ensure_root

        with adding(store):
            ensure_root(store, image.layers)
        return image
    if size != image.root_bytes:
        raise StateError(
            f"failed to use image '{image.name or image.id[:12]}': its root has {size} bytes and "
            f"should have {image.root_bytes}",
            hint=f"remove {image.root}: it is made again",
        )
    return image


def _missing(name: str) -> NotFoundError:
    return NotFoundError(
        f"failed to find image '{name}': no such image",
        hint="'drupe images' lists them, 'drupe pull' brings one; --rootfs DIR runs a directory",
    )


def _reference(name: str) -> Reference | None:
    try:
        return parse_reference(name)
    except SpecError:
        if _may_be_id(name):
            return None
        raise


def _find(
    store: ImageStore, name: str, reference: Reference | None
) -> tuple[Image, Reference | None] | None:
    meant = None if reference is None else store.resolve(reference)
    image = None if meant is None else store.read(meant.id)
    if image is not None and meant is not None and reference is not None:
        return image._replace(name=reference.familiar, digest=meant.digest), reference
    image = _by_id(store, name)
    return None if image is None else (image, None)


def _readable(store: ImageStore, image_id: str) -> Image | None:
    with suppress(StateError, HostError):
        return store.read(image_id)
    return None


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
