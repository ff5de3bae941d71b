"""``drupe top``: the processes in a container, as its own kernel sees them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from drupe.cli import listing
from drupe.cli.listing import Column, Listing
from drupe.cli.output import open_store
from drupe.container.figures import tasks
from drupe.guest.figures import Task

EXAMPLES = (
    ("what runs in a container that has no ps", "drupe top web"),
    ("one process a line", "drupe top web --format '{{.Pid}} {{.Command}}'"),
)
SEE_ALSO = ("stats", "exec")


def _document(task: Task) -> Mapping[str, object]:
    return task._asdict()


_LISTING = Listing[Task](
    columns={
        "Pid": Column("PID", lambda t, _: str(t.pid)),
        "Parent": Column("PPID", lambda t, _: str(t.parent)),
        "Uid": Column("UID", lambda t, _: str(t.uid)),
        "State": Column("STATE", lambda t, _: t.state),
        "Time": Column("TIME", lambda t, _: f"{int(t.cpu_s) // 60}:{t.cpu_s % 60:05.2f}"),
        "Memory": Column("MEMORY", lambda t, _: f"{t.memory_bytes >> 10} kB"),
        "Command": Column("COMMAND", lambda t, _: t.command),
    },
    table=("Pid", "Parent", "Uid", "State", "Time", "Memory", "Command"),
    quiet="Pid",
    document=_document,
    filters={"uid": lambda t, value: str(t.uid) == value},
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("container", help="name, id, or the beginning of an id")
    listing.add_arguments(parser, _LISTING)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    found = tasks(open_store().find(args.container))
    listing.show(_LISTING, listing.select(_LISTING, found, args.filter), args)
    return 0
