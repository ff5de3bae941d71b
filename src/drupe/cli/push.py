"""``drupe push``: an image to a registry."""

from __future__ import annotations

import argparse

from drupe.cli.pull import add_tls, tls

EXAMPLES = (
    ("to the registry that its name tells", "drupe push localhost:5000/app:1"),
    ("an image by another name", "drupe push app localhost:5000/app:2"),
)
SEE_ALSO = ("tag", "login", "pull")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add_tls(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print the digest only")
    parser.add_argument("image", metavar="IMAGE", help="a name or an id")
    parser.add_argument("destination", nargs="?", metavar="DESTINATION", help="default: the name")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.cli.progress import Display
    from drupe.image.push import push

    with Display(quiet=args.quiet) as display:
        digest = push(args.image, args.destination, checked=tls(args), observe=display.bar)
    print(digest)
    return 0
