"""From blobs that are all there to an image that is ready to run."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from drupe.errors import HostError, SpecError
from drupe.image.blobs import FULL_HINT, add_blob, install, partial
from drupe.image.root import RECIPE, write_root
from drupe.image.store import Image, ImageStore, Layer, Name
from drupe.oci.config import ImageConfig, check_target, parse_config
from drupe.oci.manifest import OCI_CONFIG, Descriptor, Manifest, manifest_json, parse_manifest
from drupe.oci.reference import Reference

Progress = Callable[[str], None]
"""Is told what is being done, a line each."""


def silent(_: str) -> None:
    """Progress that nobody wants to see."""


def install_manifest(
    store: ImageStore,
    digest: str,
    reference: Reference | None,
    *,
    registry_digest: str = "",
    report: Progress = silent,
) -> Image:
    """Makes the image of a manifest whose blobs are all in the store, and names it.

    The caller is in ``adding(store)``.

    Raises:
        SpecError: it is not an image, not one for this platform, or spoilt.
        HostError: the disk is full.
    """
    what = f"manifest '{digest[7:19]}'"
    manifest = parse_manifest(store.blob(digest).read_bytes(), what)
    if not isinstance(manifest, Manifest):
        raise SpecError(f"failed to read {what}: not that of one image")
    image_id = manifest.config.digest.removeprefix("sha256:")
    what = f"image '{image_id[:12]}'"
    config = parse_config(store.blob(manifest.config.digest).read_bytes(), what)
    check_target(config, what)
    layers = pair_layers(manifest, config, what)
    ready = store.read(image_id)
    if ready is None or ready.manifest != digest or not ready.root.exists():
        root, unpacked = ensure_root(store, layers, report)
        if unpacked:
            pairs = zip(layers, unpacked, strict=True)
            layers = [layer._replace(unpacked_bytes=size) for layer, size in pairs]
        elif ready is not None and ready.manifest == digest:
            layers = list(ready.layers)
        ready = Image(
            id=image_id,
            config=config,
            manifest=digest,
            layers=tuple(layers),
            root_file=str(root),
            root_bytes=root.stat().st_size,
            added_ns=time.time_ns(),
        )
    with store.changing():
        store.write(ready)
        if reference is not None:
            store.tag(reference, Name(image_id, registry_digest))
    name = "" if reference is None else reference.familiar
    return ready._replace(name=name, digest=registry_digest)


def install_new(
    store: ImageStore,
    config: dict[str, object],
    layers: Sequence[Layer],
    reference: Reference | None,
    report: Progress = silent,
    *,
    data: bytes = b"",
) -> Image:
    """Makes an image of a configuration and of layers that are in the store.

    ``data`` is the configuration as it was read, where it was: its digest is the image's id.

    The caller is in ``adding(store)``.

    Raises:
        SpecError: the configuration is wrong.
        HostError: the disk is full.
    """
    data = data or json.dumps(config, separators=(",", ":")).encode()
    digest = add_blob(store, data)
    described = tuple(Descriptor(layer.media_type, layer.digest, layer.size) for layer in layers)
    manifest = manifest_json(Descriptor(OCI_CONFIG, digest, len(data)), described)
    manifest_digest = add_blob(store, json.dumps(manifest, separators=(",", ":")).encode())
    return install_manifest(store, manifest_digest, reference, report=report)


def pair_layers(manifest: Manifest, config: ImageConfig, what: str) -> list[Layer]:
    """The layers of an image: what the manifest and what the configuration says of each.

    Raises:
        SpecError: they do not fit together.
    """
    if len(manifest.layers) != len(config.diff_ids):
        raise SpecError(
            f"failed to read {what}: its manifest has {len(manifest.layers)} layers, "
            f"its configuration {len(config.diff_ids)}"
        )
    return [
        Layer(entry.digest, diff_id, entry.size, entry.media_type)
        for entry, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
    ]


def ensure_root(
    store: ImageStore, layers: Sequence[Layer], report: Progress = silent
) -> tuple[Path, list[int]]:
    """The root of these layers: made, if nobody has yet.

    Returns its path, and how many bytes each layer unpacks to; nothing of that where the root was
    there. The caller is in ``adding(store)``.
    """
    text = "\n".join([str(RECIPE), *(layer.diff_id for layer in layers)])
    final = store.roots / f"{hashlib.sha256(text.encode()).hexdigest()}.erofs"
    if final.exists():
        return final, []
    name = f"root-{final.stem}"
    with partial(store, name) as descriptor:
        if final.exists():  # while we waited
            return final, []
        try:
            os.ftruncate(descriptor, 0)
            report(f"unpacking {len(layers)} layer{'s' * (len(layers) != 1)}")
            blobs = [(store.blob(layer.digest), layer) for layer in layers]
            unpacked = write_root(descriptor, blobs)
            install(store, name, final)
        except BaseException as error:
            with suppress(OSError):
                (store.partial / name).unlink()
            if isinstance(error, OSError):
                raise HostError(
                    f"failed to write '{final}': {error.strerror}", hint=FULL_HINT
                ) from error
            raise
    return final, unpacked
