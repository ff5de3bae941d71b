"""``drupe diff``: what a container has changed above its image."""

from __future__ import annotations

import argparse

from drupe.cli.listing import printable
from drupe.cli.output import open_store, print_json

DESCRIPTION = """
One line for each file: A is new, C was changed, D is gone. A directory counts as changed where
something in it was. What is mounted, volumes among it, is not looked at.
"""
EXAMPLES = (
    ("what an installation has left", "drupe diff web"),
    ("the same for a script", "drupe diff --format json web"),
)
SEE_ALSO = ("commit", "export", "cp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument(
        "--format", choices=("table", "json"), default="table", help="lines, or JSON"
    )
    parser.add_argument("container", help="name, id, or the beginning of an id")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.container.files import changes
    from drupe.container.visit import reached

    store = open_store()
    with reached(store, store.find(args.container)) as record:
        found = list(changes(record))
    if args.format == "json":
        print_json([change._asdict() for change in found])
        return 0
    for change in found:
        print(change.kind, printable(change.path))
    return 0
