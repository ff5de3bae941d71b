"""``drupe reattach``: takes up a container's main process that was detached from."""

from __future__ import annotations

import argparse

from drupe.cli import terminal
from drupe.cli.foreground import Foreground, add_detach_keys
from drupe.cli.output import open_store
from drupe.cli.stream import detach_bytes
from drupe.container import lifecycle

DESCRIPTION = """
What the process writes from now on is shown; what it wrote before is in the log. What is typed goes
to it, if it was started with -i; so do signals and, with -t, the terminal's size. Its end is the
verb's, with its exit status; the detach keys, or the end of the verb, leave it running.

One caller at a time can be attached. To see its output only, use 'drupe logs -f'.
"""
EXAMPLES = (
    ("a shell that was left by ctrl-p ctrl-q, or begun by run -dit", "drupe reattach shell"),
    ("only to see, not to type", "drupe reattach --no-stdin web"),
)
SEE_ALSO = ("run", "start", "logs", "exec")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--no-stdin", action="store_true", help="do not pass standard input on")
    add_detach_keys(parser)
    parser.add_argument("container", help="name, id, or the beginning of an id")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    detach_bytes(args.detach_keys)
    store = open_store()
    record = store.find(args.container)
    spec = record.spec
    stdin = spec.stdin and not args.no_stdin
    if spec.terminal and stdin:
        terminal.require("reattach")
    with lifecycle.reattached(record) as session:
        if spec.terminal:
            session.send_window(*terminal.size())
        foreground = Foreground(store, record, owned=False)
        status = foreground.follow(
            session, stdin=stdin, tty=spec.terminal, detach_keys=args.detach_keys
        )
    return foreground.finish(status)
