"""``drupe image``: shows images and removes those that nobody needs; others by long names."""

from __future__ import annotations

import argparse

from drupe.cli.agreement import add_force, agreed
from drupe.cli.aliases import told
from drupe.cli.documents import add_format, show_documents

DESCRIPTION = told("image")
EXAMPLES = (
    ("images that have no name and that no container needs", "drupe image prune"),
    ("all that no container needs", "drupe image prune -a"),
    ("everything about one", "drupe image inspect busybox"),
)
SEE_ALSO = ("images", "pull", "rmi")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    verbs = parser.add_subparsers(
        dest="image_verb", required=True, metavar="VERB", help="what to do"
    )
    inspect = verbs.add_parser("inspect", help="show everything about images")
    add_format(inspect)
    inspect.add_argument("images", nargs="+", metavar="IMAGE", help="a name or an id")
    prune = verbs.add_parser("prune", help="remove images that nobody needs")
    prune.add_argument(
        "-a",
        "--all",
        action="store_true",
        help="those with a name, too, that no container needs",
    )
    add_force(prune)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    return _inspect(args) if args.image_verb == "inspect" else _prune(args)


def _inspect(args: argparse.Namespace) -> int:
    from drupe.container.description import find_and_describe_image

    show_documents([find_and_describe_image(name) for name in args.images], args.format)
    return 0


def _prune(args: argparse.Namespace) -> int:
    from drupe.cli.numbers import megabytes
    from drupe.cli.rmi import tell
    from drupe.container.images import prune_images

    what = "all images that no container needs" if args.all else "all images without a name"
    if not agreed(args, what):
        return 0
    removed = prune_images(every=args.all)
    tell(removed)
    print(f"Total reclaimed space: {megabytes(removed.freed_bytes)}")
    return 0
