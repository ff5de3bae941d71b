"""``drupe stop``: ends containers in order."""

from __future__ import annotations

import argparse

from drupe.cli.numbers import parse_seconds, parse_signal
from drupe.cli.several import add_containers, for_each
from drupe.container import lifecycle
from drupe.container.record import Record
from drupe.container.store import Store

EXAMPLES = (
    ("SIGTERM, and SIGKILL ten seconds later", "drupe stop web"),
    ("with another signal, and less patience", "drupe stop -s INT -t 2 web"),
)
SEE_ALSO = ("kill", "rm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add(
        "-t",
        "--time",
        default=str(lifecycle.STOP_GRACE_S),
        metavar="SECONDS",
        help="time between the signal and SIGKILL (default: %(default)s)",
    )
    add(
        "-s",
        "--signal",
        default="TERM",
        help="to the main process, a name or a number (default: %(default)s)",
    )
    add_containers(parser)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    number, grace_s = parse_signal(args.signal), parse_seconds(args.time)

    def stop(_: Store, record: Record) -> None:
        lifecycle.stop(record, signal=number, grace_s=grace_s)

    return for_each(args.containers, stop)
