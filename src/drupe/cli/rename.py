"""``drupe rename``: gives a container another name."""

from __future__ import annotations

import argparse

from drupe.cli.output import open_store

EXAMPLES = (("make room for a new one of that name", "drupe rename web web-old"),)
SEE_ALSO = ("ps", "create")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("container", help="name, id, or the beginning of an id")
    parser.add_argument("name", help="its new name")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    store = open_store()
    store.rename(store.find(args.container), args.name)
    return 0
