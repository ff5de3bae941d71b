"""``drupe history``: how an image was made."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from drupe.cli import listing
from drupe.cli.listing import Column, Listing
from drupe.cli.numbers import megabytes
from drupe.oci.config import History

EXAMPLES = (("what made each layer, in full", "drupe history --no-trunc redis"),)
SEE_ALSO = ("images", "image")

_COLUMNS = 60


class _Step(NamedTuple):
    step: History
    size: int


_LISTING: Listing[_Step] = Listing(
    columns={
        "CreatedAt": Column("CREATED", lambda s, _: listing.printable(s.step.created)),
        "CreatedBy": Column(
            "CREATED BY", lambda s, full: listing.shorten(s.step.created_by, _COLUMNS, full=full)
        ),
        "Size": Column("SIZE", lambda s, _: megabytes(s.size)),
        "Comment": Column("COMMENT", lambda s, _: listing.printable(s.step.comment)),
    },
    table=("CreatedAt", "CreatedBy", "Size", "Comment"),
    quiet="CreatedBy",
    document=lambda s: {**s.step._asdict(), "size": s.size},
    filters={},
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    listing.add_arguments(parser, _LISTING)
    parser.add_argument("image", metavar="IMAGE", help="a name or an id")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.image.find import find_image

    image = find_image(args.image)
    sizes = [layer.unpacked_bytes or layer.size for layer in image.layers][::-1]
    steps = [
        _Step(step, sizes.pop() if sizes and not step.empty else 0) for step in image.config.history
    ]
    listing.show(_LISTING, listing.select(_LISTING, steps[::-1], args.filter), args)
    return 0
