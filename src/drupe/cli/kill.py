"""``drupe kill``: sends a signal to containers' main processes."""

from __future__ import annotations

import argparse

from drupe.cli.several import add_containers, for_each
from drupe.container import lifecycle
from drupe.container.stopping import parse_signal

EXAMPLES = (
    ("at once, without a word", "drupe kill web"),
    ("have it read its configuration again", "drupe kill -s HUP web"),
)
SEE_ALSO = ("stop", "rm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument(
        "-s", "--signal", default="KILL", help="a name or a number (default: %(default)s)"
    )
    add_containers(parser, every="all that run")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    number = parse_signal(args.signal)
    return for_each(args, lambda _, record: lifecycle.kill(record, number))
