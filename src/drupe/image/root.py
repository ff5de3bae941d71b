"""From an image's layers to its root: one file, made once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from drupe._linux.files import punch_hole
from drupe.image.erofs import Writer
from drupe.image.layer import LayerStream
from drupe.image.store import Layer
from drupe.image.tar import TarReader
from drupe.image.tree import Tree

RECIPE = 1
"""Counts up when this code makes another root of the same layers."""


def write_root(
    descriptor: int,
    layers: Sequence[tuple[Path, Layer]],
    on_layer: Callable[[int], None] = lambda _: None,
) -> list[int]:
    """Writes the root of these layers, the lowest first, to an open file.

    ``on_layer`` is told how many layers are done. Returns how many bytes each unpacks to.

    Raises:
        SpecError: a layer is spoilt, or would do what no layer may.
        OSError: the disk is full.
    """
    unpacked = []
    writer = Writer(descriptor)
    dropped: list[tuple[int, int]] = []
    tree = Tree(writer, lambda offset, length: dropped.append((offset, length)))
    for number, (blob, layer) in enumerate(layers):
        what = f"layer '{layer.digest[7:19]}'"
        with LayerStream(blob, what) as stream:
            archive = TarReader(iter(stream), what)
            tree.apply(archive)
            archive.drain()
            stream.check(layer.diff_id)
            unpacked.append(stream.unpacked_bytes)
        on_layer(number + 1)
    tree.finish()
    writer.finish()
    # What upper layers replaced need not be on the disk; where the file system has no holes, it is.
    with contextlib.suppress(OSError):
        for offset, length in dropped:
            punch_hole(descriptor, offset, length)
    os.fchmod(descriptor, 0o644)
    return unpacked
