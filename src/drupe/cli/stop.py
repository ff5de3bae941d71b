"""``drupe stop``: ends containers in order."""

from __future__ import annotations

import argparse

from drupe.cli.numbers import parse_seconds
from drupe.cli.several import add_containers, for_each
from drupe.container import lifecycle
from drupe.container.record import Record
from drupe.container.stopping import parse_signal
from drupe.container.store import Store

EXAMPLES = (
    ("SIGTERM, and SIGKILL ten seconds later", "drupe stop web"),
    ("with another signal, and less patience", "drupe stop -s INT -t 2 web"),
)
SEE_ALSO = ("kill", "rm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add_grace(parser)
    add_containers(parser, every="all that run")


def add_grace(parser: argparse.ArgumentParser) -> None:
    """Declares the options that say how a container is ended."""
    add = parser.add_argument
    add(
        "-t",
        "--time",
        "--timeout",
        metavar="SECONDS",
        help="time between the signal and SIGKILL (default: the container's --stop-timeout)",
    )
    add(
        "-s",
        "--signal",
        help="to the main process, a name or a number (default: the container's --stop-signal)",
    )


def read_grace(args: argparse.Namespace) -> tuple[int | None, float | None]:
    """What these options say: a signal, and seconds until SIGKILL; None: as the container says."""
    signal = None if args.signal is None else parse_signal(args.signal)
    return signal, None if args.time is None else parse_seconds(args.time)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    signal, grace_s = read_grace(args)

    def stop(_: Store, record: Record) -> None:
        lifecycle.stop(record, signal=signal, grace_s=grace_s)

    return for_each(args, stop)
