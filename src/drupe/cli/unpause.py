"""``drupe unpause``: has containers go on that were paused."""

from __future__ import annotations

import argparse

from drupe.cli.several import add_containers, for_each
from drupe.container.pausing import unpause
from drupe.container.record import Condition, State

EXAMPLES = (("have a job go on", "drupe unpause job"),)
SEE_ALSO = ("pause",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add_containers(parser, every="all that are paused")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    return for_each(args, lambda _, record: unpause(record), _paused)


def _paused(condition: Condition) -> bool:
    return condition.state is State.PAUSED
