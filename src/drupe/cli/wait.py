"""``drupe wait``: waits until containers have ended and prints their exit status."""

from __future__ import annotations

import argparse

from drupe.cli.several import add_containers, for_each
from drupe.container import lifecycle

EXAMPLES = (("the exit status of a job in the background", "drupe wait job"),)
SEE_ALSO = ("run", "ps", "logs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add_containers(parser)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    return for_each(args.containers, lambda _, record: str(lifecycle.wait(record)))
