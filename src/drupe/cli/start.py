"""``drupe start``: starts containers that were created, or have ended."""

from __future__ import annotations

import argparse

from drupe.cli import terminal
from drupe.cli.foreground import Foreground, add_detach_keys, check_detach_keys
from drupe.cli.output import open_store
from drupe.cli.several import add_containers, for_each
from drupe.container.record import Record
from drupe.container.start import ensure_started, started
from drupe.container.store import Store
from drupe.errors import SpecError

EXAMPLES = (
    ("one that was created, or has ended", "drupe start web"),
    ("one more run of a job, attended to its end", "drupe start -a job"),
)
SEE_ALSO = ("create", "restart", "stop", "logs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("-a", "--attach", action="store_true", help="stay with it, as run does without -d")
    add(
        "-i",
        "--interactive",
        action="store_true",
        help="stay with it, and pass standard input on to one that was created with -i",
    )
    add_detach_keys(parser)
    add_containers(parser)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    if args.attach or args.interactive:
        return _attached(args)

    def start(store: Store, record: Record) -> None:
        ensure_started(store, record)

    return for_each(args, start)


def _attached(args: argparse.Namespace) -> int:
    if len(args.containers) > 1:
        raise SpecError(
            f"failed to attach to {len(args.containers)} containers: only one can be attached to",
            hint="leave -a and -i out, or name one",
        )
    check_detach_keys(args.detach_keys)
    store = open_store()
    record = store.find(args.containers[0])
    spec = record.spec
    stdin = args.interactive and spec.stdin
    if spec.terminal and stdin:
        terminal.require("-i")
    window = terminal.size() if spec.terminal else None
    with started(store, record, stdin=stdin, window=window) as session:
        foreground = Foreground(store, record)
        status = foreground.follow(
            session, stdin=stdin, tty=spec.terminal, detach_keys=args.detach_keys
        )
    return foreground.finish(status)
