"""New images: a layer more on top of another image, or of nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from drupe.errors import NotFoundError
from drupe.image.blobs import add_stream, adding
from drupe.image.compression import Compressor
from drupe.image.install import Progress, install_new, silent
from drupe.image.store import Image, ImageStore, Layer
from drupe.oci.change import apply_changes
from drupe.oci.document import parse_object
from drupe.oci.manifest import OCI_LAYER, THIS
from drupe.oci.reference import Reference


def commit(
    base: Image | None,
    layer: Iterable[bytes] | None,
    changes: Sequence[str] = (),
    reference: Reference | None = None,
    *,
    run: Mapping[str, Any] | None = None,
    author: str = "",
    message: str = "",
    created_by: str = "",
    report: Progress = silent,
) -> Image:
    """Makes an image in the user's own store.

    Args:
        base: the image below; None: nothing is.
        layer: what is new, as the pieces of a plain tar: changed and new files whole, removed ones
            as ``.wh.NAME``, a directory that hides what was below it with ``.wh..wh..opq`` in it.
            None: only the configuration changes.
        changes: instructions of a Dockerfile: ``CMD ["/bin/sh"]``, ``ENV A=1`` (``oci.change``).
        reference: its name; None: it has only its id.
        run: members of the configuration's ``config`` (``Env``, ``Cmd``...) that replace the
            base's, before ``changes``.
        author: for its history.
        message: the same.
        created_by: the same: what made the layer.
        report: is told what is being done.

    Raises:
        SpecError: a change or the layer is wrong.
        HostError: the disk is full. Nothing is left.
    """
    store = ImageStore()
    with adding(store):
        config = {} if base is None else _base_config(base)
        layers = [] if base is None else list(base.layers)
        if base is not None:
            bring(store, base, [entry.digest for entry in layers])
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        step: dict[str, object] = {"created": now}
        words = {"author": author, "comment": message, "created_by": created_by}
        step |= {name: text for name, text in words.items() if text}
        diff_ids = [entry.diff_id for entry in layers]
        if layer is None:
            step["empty_layer"] = True
        else:
            report("storing the new layer")
            layers.append(add_layer(store, layer))
            diff_ids.append(layers[-1].diff_id)
        config = {"os": THIS.os, "architecture": THIS.architecture, **config, "created": now}
        config["config"] = {**(config.get("config") or {}), **(run or {})}
        config["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
        config["history"] = [*(config.get("history") or []), step]
        return install_new(store, apply_changes(config, changes), layers, reference, report)


def add_layer(store: ImageStore, pieces: Iterable[bytes]) -> Layer:
    """Stores a layer, compressed with Zstandard; the caller is in ``adding(store)``.

    Raises:
        HostError: the disk is full.
    """
    compressor = Compressor()
    plain = hashlib.sha256()
    unpacked_bytes = 0

    def compressed() -> Iterator[bytes]:
        nonlocal unpacked_bytes
        for piece in pieces:
            plain.update(piece)
            unpacked_bytes += len(piece)
            yield compressor.add(piece)
        yield compressor.end()

    digest, size = add_stream(store, compressed())
    diff_id = f"sha256:{plain.hexdigest()}"
    return Layer(digest, diff_id, size, f"{OCI_LAYER}+zstd", unpacked_bytes)


def bring(store: ImageStore, image: Image, digests: Iterable[str]) -> None:
    """Copies into a store what it lacks of an image's blobs: the image may be of the system's.

    Raises:
        NotFoundError: a blob is missing where the image is.
    """
    for digest in digests:
        if store.blob(digest).exists():
            continue
        with _opened(image, digest) as source:
            add_stream(store, iter(lambda: source.read(1 << 20), b""))


@contextmanager
def _opened(image: Image, digest: str) -> Iterator[BinaryIO]:
    """A blob of an image, where the image is."""
    try:
        file = ImageStore(image.root.parent.parent).blob(digest).open("rb")
    except FileNotFoundError as error:
        raise NotFoundError(
            f"failed to use image '{image.name or image.id[:12]}': its part {digest[7:19]} is "
            "not there",
            hint="it can be run, but not be changed or saved",
        ) from error
    with file:
        yield file


def _base_config(base: Image) -> dict[str, Any]:
    with _opened(base, f"sha256:{base.id}") as file:
        return parse_object(file.read(), f"image '{base.id[:12]}'")
