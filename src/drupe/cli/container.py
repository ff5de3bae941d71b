"""``drupe container``: removes containers that have ended; other verbs by their long names."""

from __future__ import annotations

import argparse

from drupe.cli.agreement import add_force, agreed
from drupe.cli.aliases import told
from drupe.cli.output import open_store

DESCRIPTION = told("container")
EXAMPLES = (
    ("all that do not run, without a question", "drupe container prune -f"),
    ("the same as drupe ps -a", "drupe container ls -a"),
)
SEE_ALSO = ("ps", "rm", "system")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    verbs = parser.add_subparsers(
        dest="container_verb", required=True, metavar="VERB", help="what to do"
    )
    prune = verbs.add_parser("prune", help="remove all containers that do not run")
    add_force(prune)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.cli.numbers import megabytes
    from drupe.container.usage import prune_containers

    if agreed(args, "all containers that do not run, with what they wrote"):
        removed, freed_bytes = prune_containers(open_store())
        for identity in removed:
            print(identity)
        print(f"Total reclaimed space: {megabytes(freed_bytes)}")
    return 0
