"""``drupe image``: all that is done with images, by the names that they have in docker."""

from __future__ import annotations

import argparse
from importlib import import_module

from drupe.cli.agreement import add_force, agreed
from drupe.cli.output import print_json

EXAMPLES = (
    ("images that have no name and that no container needs", "drupe image prune"),
    ("all that no container needs", "drupe image prune -a"),
    ("everything about one", "drupe image inspect busybox"),
)
SEE_ALSO = ("images", "pull", "rmi")

_ALIASES = {
    "ls": ("images", "list images"),
    "pull": ("pull", "bring images from a registry"),
    "push": ("push", "send an image to a registry"),
    "rm": ("rmi", "remove images"),
    "tag": ("tag", "give an image another name"),
    "history": ("history", "show how an image was made"),
    "load": ("load", "read images from an archive"),
    "save": ("save", "write images to an archive"),
    "import": ("import", "make an image of the files of a root"),
}
"""Sub-verb → the verb that does the same, and what its help says."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    verbs = parser.add_subparsers(
        dest="image_verb", required=True, metavar="VERB", help="what to do"
    )
    for name, (verb, text) in _ALIASES.items():
        import_module(f"drupe.cli.{verb}").add_arguments(verbs.add_parser(name, help=text))
    inspect = verbs.add_parser("inspect", help="show everything about images")
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
    if args.image_verb == "inspect":
        return _inspect(args)
    if args.image_verb == "prune":
        return _prune(args)
    status: int = import_module(f"drupe.cli.{_ALIASES[args.image_verb][0]}").main(args)
    return status


def _inspect(args: argparse.Namespace) -> int:
    from drupe.image.find import find_image
    from drupe.store.schema import encode

    print_json([encode(find_image(name)) for name in args.images])
    return 0


def _prune(args: argparse.Namespace) -> int:
    from drupe.cli.images import megabytes
    from drupe.cli.rmi import tell
    from drupe.container.images import prune_images

    what = "all images that no container needs" if args.all else "all images without a name"
    if not agreed(args, what):
        return 0
    removed = prune_images(every=args.all)
    tell(removed)
    print(f"Total reclaimed space: {megabytes(removed.freed_bytes)}")
    return 0
