"""``drupe wait``: waits until containers have ended, or are running or healthy."""

from __future__ import annotations

import argparse

from drupe.cli.numbers import parse_seconds
from drupe.cli.several import add_containers, for_each
from drupe.container import lifecycle
from drupe.container.record import Record
from drupe.container.store import Store

EXAMPLES = (
    ("the exit status of a job in the background", "drupe wait job"),
    ("until its health check is good", "drupe wait --condition healthy web"),
)
SEE_ALSO = ("run", "ps", "logs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument(
        "--condition",
        default="exited",
        metavar="exited|running|healthy",
        help="what to wait for (default: %(default)s)",
    )
    parser.add_argument("--timeout", metavar="SECONDS", help="wait no longer than that")
    add_containers(parser)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    timeout_s = None if args.timeout is None else parse_seconds(args.timeout)

    def wait(_: Store, record: Record) -> str:
        if args.condition == "exited":
            return str(lifecycle.wait(record, timeout_s))
        lifecycle.await_condition(record, args.condition, timeout_s)
        return str(args.condition)

    return for_each(args, wait)
