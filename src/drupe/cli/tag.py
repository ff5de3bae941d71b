"""``drupe tag``: another name for an image."""

from __future__ import annotations

import argparse

EXAMPLES = (("a name at a registry, to push it there", "drupe tag app localhost:5000/app:1"),)
SEE_ALSO = ("images", "rmi")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("image", metavar="IMAGE", help="a name or an id")
    parser.add_argument("name", metavar="NAME", help="the other name")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.image.tag import tag

    tag(args.image, args.name)
    return 0
