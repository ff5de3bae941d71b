"""``drupe logs``: what containers' main processes wrote."""

from __future__ import annotations

import argparse
import sys
from typing import BinaryIO

from drupe.cli.numbers import parse_count
from drupe.cli.output import open_store
from drupe.container.log import Entry, Part, read_logs

DESCRIPTION = """
Of several containers the lines come by time, each after its container's name.
"""
EXAMPLES = (
    ("the last lines, and those to come", "drupe logs -f --tail 10 web"),
    ("the last ten minutes, with times", "drupe logs -t --since 10m web"),
    ("of several, as they come", "drupe logs -f web db"),
)
SEE_ALSO = ("ps", "inspect", "reattach")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("-f", "--follow", action="store_true", help="go on until the containers end")
    add("-n", "--tail", default="all", metavar="N", help="only the last N lines (default: all)")
    add("-t", "--timestamps", action="store_true", help="begin each line with its time")
    add("--since", metavar="TIME", help="nothing before that time, or how long ago: 10m")
    add("--until", metavar="TIME", help="nothing from that time on")
    add("containers", nargs="+", metavar="container", help="name, id, or the beginning of an id")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    tail = None if args.tail == "all" else parse_count(args.tail)
    part = Part.of(tail, _moment(args.since), _moment(args.until))
    store = open_store()
    records = [store.find(reference) for reference in args.containers]
    width = max(len(record.spec.name) for record in records)
    named = len(records) > 1
    writers = {
        record.id: _Writer(
            f"{record.spec.name.ljust(width)} | " if named else "", timestamps=args.timestamps
        )
        for record in records
    }
    for record, entry in read_logs(records, part, follow=args.follow):
        writers[record.id].write(entry, flush=args.follow)
    return 0


class _Writer:
    """Writes one container's entries, each to the stream that it came from."""

    def __init__(self, prefix: str, *, timestamps: bool) -> None:
        self._prefix = prefix.encode()
        self._timestamps = timestamps
        self._outputs: dict[str, BinaryIO] = {
            "stdout": sys.stdout.buffer,
            "stderr": sys.stderr.buffer,
        }
        self._goes_on = {"stdout": False, "stderr": False}

    def write(self, entry: Entry, *, flush: bool) -> None:
        output = self._outputs[entry.stream]
        for other in self._outputs.values():
            if other is not output:
                other.flush()  # both may lead to one file, where the order counts
        if not self._goes_on[entry.stream]:
            output.write(self._prefix)
            if self._timestamps:
                output.write(entry.time.encode() + b" ")
        output.write(entry.text)
        self._goes_on[entry.stream] = entry.partial
        if flush:
            output.flush()


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    from drupe.container.events import parse_time

    return parse_time(text)
