"""``drupe pause``: stops containers where they are."""

from __future__ import annotations

import argparse

from drupe.cli.several import add_containers, for_each
from drupe.container.pausing import pause

EXAMPLES = (("let a job make room, and go on later", "drupe pause job"),)
SEE_ALSO = ("unpause", "stop")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add_containers(parser, every="all that run")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    return for_each(args, lambda _, record: pause(record))
