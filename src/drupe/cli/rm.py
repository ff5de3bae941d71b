"""``drupe rm``: removes containers."""

from __future__ import annotations

import argparse

from drupe.cli.several import add_containers, for_each

EXAMPLES = (
    ("one that has ended", "drupe rm web"),
    ("whatever it is doing", "drupe rm -f web"),
    ("all that have ended", "drupe rm $(drupe ps -aq -f status=exited)"),
)
SEE_ALSO = ("stop", "ps")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("-f", "--force", action="store_true", help="end those that run, at once")
    parser.add_argument(
        "-v", "--volumes", action="store_true", help="and volumes without a name that they have"
    )
    add_containers(parser)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    return for_each(
        args.containers,
        lambda store, record: store.remove(record, force=args.force, volumes=args.volumes),
    )
