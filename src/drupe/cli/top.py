"""``drupe top``: the processes in a container, as its own kernel sees them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from drupe.cli import listing
from drupe.cli.listing import Column, Listing
from drupe.cli.output import open_store
from drupe.container.figures import tasks
from drupe.errors import SpecError
from drupe.guest.figures import Task

EXAMPLES = (
    ("what runs in a container that has no ps", "drupe top web"),
    ("columns by ps's names", "drupe top web -o pid,rss,args"),
    ("one process a line", "drupe top --format '{{.Pid}} {{.Command}}' web"),
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


_OF_PS = {
    **dict.fromkeys(("pid", "tid"), "Pid"),
    "ppid": "Parent",
    **dict.fromkeys(("uid", "user", "euser"), "Uid"),
    **dict.fromkeys(("s", "stat", "state"), "State"),
    **dict.fromkeys(("time", "cputime"), "Time"),
    **dict.fromkeys(("rss", "rsz"), "Memory"),
    **dict.fromkeys(("args", "cmd", "command", "comm"), "Command"),
}
"""ps's names of columns."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.usage = "drupe top [OPTION ...] CONTAINER [OPTION of ps ...]"
    listing.add_arguments(parser, _LISTING)
    parser.add_argument("container", help="name, id, or the beginning of an id")
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="ps",
        help="-o COLUMN,... as ps has it; other options of ps change nothing",
    )


def _columns(words: Sequence[str]) -> list[str]:
    """Those that ``-o`` of ps names; none: the usual ones.

    Raises:
        SpecError: there is no such column; or an option of drupe's is among them.
    """
    if own := [word for word in words if word.startswith("--")]:
        raise SpecError(
            f"failed to use '{own[0]}': what is behind the container is for ps",
            hint="options of drupe go before the container",
        )
    names: list[str] = []
    for index, word in enumerate(words):
        option, _, value = word.partition("o")
        if option in {"-", "-e", "-a"}:
            value = value or next(iter(words[index + 1 : index + 2]), "")
            names += [name.partition("=")[0] for name in value.split(",") if name]
    if unknown := [name for name in names if name not in _OF_PS]:
        raise SpecError(
            f"failed to show column '{unknown[0]}': no such column",
            hint=f"there are {', '.join(_OF_PS)}",
        )
    return [_OF_PS[name] for name in names]


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    found = tasks(open_store().find(args.container))
    shown = _LISTING._replace(table=_columns(args.words) or _LISTING.table)
    listing.show(shown, listing.select(_LISTING, found, args.filter), args)
    return 0
