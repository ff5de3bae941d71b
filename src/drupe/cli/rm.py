"""``drupe rm``: removes containers."""

from __future__ import annotations

import argparse
import sys

from drupe.cli.output import open_store
from drupe.cli.several import add_containers, chosen, each
from drupe.errors import NotFoundError

EXAMPLES = (
    ("one that has ended", "drupe rm web"),
    ("whatever it is doing", "drupe rm -f web"),
    ("all that have ended", "drupe rm $(drupe ps -aq -f status=exited)"),
)
SEE_ALSO = ("stop", "ps")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="end those that run, at once; one that is not there is no error",
    )
    parser.add_argument(
        "-v", "--volumes", action="store_true", help="and volumes without a name that they have"
    )
    add_containers(parser, every="all of them: with -f those that run, too")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    store = open_store()

    def remove(name: str) -> None:
        try:
            store.remove(store.find(name), force=args.force, volumes=args.volumes)
        except NotFoundError as error:
            if not args.force:
                raise
            print(f"drupe: {error}", file=sys.stderr)  # it is gone, as it shall be
        else:
            print(name)

    return each(chosen(args, store, lambda _: True), remove)
