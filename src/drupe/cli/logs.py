"""``drupe logs``: what a container's main process wrote."""

from __future__ import annotations

import argparse
import sys

from drupe.cli.numbers import parse_count
from drupe.cli.output import open_store
from drupe.container.log import read_log

EXAMPLES = (
    ("the last lines, and those to come", "drupe logs -f --tail 10 web"),
    ("with times", "drupe logs -t web"),
)
SEE_ALSO = ("ps", "inspect")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("-f", "--follow", action="store_true", help="go on until the container ends")
    add("-n", "--tail", default="all", metavar="N", help="only the last N lines (default: all)")
    add("-t", "--timestamps", action="store_true", help="begin each line with its time")
    add("container", help="name, id, or the beginning of an id")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    tail = None if args.tail == "all" else parse_count(args.tail)
    record = open_store().find(args.container)
    outputs = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
    goes_on = False
    for entry in read_log(record, follow=args.follow, tail=tail):
        output = outputs[entry.stream]
        if args.timestamps and not goes_on:
            output.write(entry.time.encode() + b" ")
        output.write(entry.text)
        goes_on = entry.partial
        if args.follow:
            output.flush()
    return 0
