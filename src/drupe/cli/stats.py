"""``drupe stats``: what containers use, again and again or once."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from drupe.cli import listing
from drupe.cli.listing import Column, Listing
from drupe.cli.numbers import mebibytes
from drupe.cli.output import open_store
from drupe.container.figures import Figures, figures
from drupe.container.record import Record
from drupe.container.store import Store
from drupe.errors import BootError, GuestError, NotFoundError, StateError

EXAMPLES = (
    ("what all containers use, every second", "drupe stats"),
    ("once, for a program", "drupe stats --no-stream --format json web"),
    (
        "a line of one's own",
        "drupe stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.MemUsage}}'",
    ),
)
SEE_ALSO = ("top", "ps")

_PERIOD_S = 1.0
_CLEAR = "\033[H\033[J"


class _Row(NamedTuple):
    """A container, and what it used since the row before."""

    record: Record
    now: Figures
    before: Figures
    period_s: float

    @property
    def cpu_percent(self) -> float:
        return round(max(0, self.now.cpu_ns - self.before.cpu_ns) / self.period_s / 1e7, 2)

    @property
    def memory_percent(self) -> float:
        return 100 * self.now.memory_bytes / self.record.spec.memory_bytes


def _two(first: int, second: int) -> str:
    return f"{mebibytes(first)} / {mebibytes(second)}"


def _document(row: _Row) -> dict[str, object]:
    inside = row.now.inside
    return {
        "id": row.record.id,
        "name": row.record.spec.name,
        "cpu_percent": row.cpu_percent,
        "cpu_ns": row.now.cpu_ns,
        "memory_bytes": row.now.memory_bytes,
        "memory_limit_bytes": row.record.spec.memory_bytes,
        "memory_used_inside_bytes": inside.memory_used_bytes,
        "net_received_bytes": inside.net_received_bytes,
        "net_sent_bytes": inside.net_sent_bytes,
        "block_read_bytes": inside.block_read_bytes,
        "block_written_bytes": inside.block_written_bytes,
        "pids": inside.threads,
        "host_processes": row.now.host_processes,
    }


_LISTING: Listing[_Row] = Listing(
    columns={
        "ID": Column("CONTAINER ID", lambda r, full: r.record.id if full else r.record.id[:12]),
        "Container": Column("CONTAINER", lambda r, _: r.record.spec.name),
        "Name": Column("NAME", lambda r, _: r.record.spec.name),
        "CPUPerc": Column("CPU %", lambda r, _: f"{r.cpu_percent:.2f}%"),
        "MemUsage": Column(
            "HOST MEM / LIMIT", lambda r, _: _two(r.now.memory_bytes, r.record.spec.memory_bytes)
        ),
        "MemPerc": Column("MEM %", lambda r, _: f"{r.memory_percent:.2f}%"),
        "UsedInside": Column("USED INSIDE", lambda r, _: mebibytes(r.now.inside.memory_used_bytes)),
        "NetIO": Column(
            "NET I/O",
            lambda r, _: _two(r.now.inside.net_received_bytes, r.now.inside.net_sent_bytes),
        ),
        "BlockIO": Column(
            "BLOCK I/O",
            lambda r, _: _two(r.now.inside.block_read_bytes, r.now.inside.block_written_bytes),
        ),
        "PIDs": Column("PIDS", lambda r, _: str(r.now.inside.threads)),
    },
    table=("ID", "Name", "CPUPerc", "MemUsage", "UsedInside", "NetIO", "BlockIO", "PIDs"),
    quiet="ID",
    document=_document,
    filters={"name": lambda r, value: value in r.record.spec.name},
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("--no-stream", action="store_true", help="once")
    listing.add_arguments(parser, _LISTING)
    add("containers", nargs="*", metavar="container", help="default: all that run")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    store = open_store()
    before, then = _sample(store, args.containers, strict=True), time.monotonic()
    while True:
        time.sleep(_PERIOD_S)
        now_s = time.monotonic()
        sample = _sample(store, args.containers, strict=False)
        rows = [
            _Row(record, figures, before.get(record.id, (record, figures))[1], now_s - then)
            for record, figures in sample.values()
        ]
        _show(listing.select(_LISTING, rows, args.filter), args)
        if args.no_stream or (args.containers and not rows):
            return 0
        before, then = sample, now_s


def _sample(
    store: Store, wanted: Sequence[str], *, strict: bool
) -> dict[str, tuple[Record, Figures]]:
    """Figures of those that run; ``strict``: one that was asked for must."""
    sample = {}
    for record in map(store.find, wanted) if wanted and strict else store.list():
        try:
            if not wanted or _is_named(record, wanted):
                sample[record.id] = (record, figures(record))
        except (StateError, NotFoundError, GuestError, BootError):
            if strict and wanted:
                raise
    return sample


def _is_named(record: Record, wanted: Sequence[str]) -> bool:
    return record.spec.name in wanted or record.id.startswith(tuple(wanted))


def _show(rows: Sequence[_Row], args: argparse.Namespace) -> None:
    if args.format == "json":
        for row in rows:
            print(json.dumps(_document(row)), flush=True)
        return
    if not args.no_stream and sys.stdout.isatty():
        print(_CLEAR, end="")
    listing.show(_LISTING, rows, args)
    sys.stdout.flush()
