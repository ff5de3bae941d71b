"""``drupe restart``: ends containers in order and starts them again."""

from __future__ import annotations

import argparse

from drupe.cli.several import add_containers, for_each
from drupe.cli.stop import add_grace, read_grace
from drupe.container.record import Record
from drupe.container.start import restart
from drupe.container.store import Store

EXAMPLES = (("a server that is to read its settings again", "drupe restart web"),)
SEE_ALSO = ("start", "stop")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add_grace(parser)
    add_containers(parser, every="all that run")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    signal, grace_s = read_grace(args)

    def act(store: Store, record: Record) -> None:
        restart(store, record, signal=signal, grace_s=grace_s)

    return for_each(args, act)
