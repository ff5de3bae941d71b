"""``drupe rmi``: removes images."""

from __future__ import annotations

import argparse

from drupe.cli.several import each
from drupe.container.images import remove_image
from drupe.image.remove import Removed

EXAMPLES = (
    ("one name of an image; the image goes with its last one", "drupe rmi redis:7"),
    ("whatever needs it: then it has no name, and goes when nothing does", "drupe rmi -f redis:7"),
)
SEE_ALSO = ("images", "image")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument(
        "-f", "--force", action="store_true", help="all names of an id, and what containers need"
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a name or an id")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    return each(args.images, lambda name: tell(remove_image(name, force=args.force)))


def tell(removed: Removed) -> None:
    """Prints what went, in docker's words."""
    for name in removed.untagged:
        print(f"Untagged: {name}")
    for image_id in removed.deleted:
        print(f"Deleted: sha256:{image_id}")
