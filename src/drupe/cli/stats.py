"""``drupe stats``: what containers use, again and again or once."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence

from drupe.cli.output import open_store, print_table
from drupe.container.figures import Figures, figures
from drupe.container.record import Record
from drupe.container.store import Store
from drupe.errors import BootError, GuestError, NotFoundError, StateError

EXAMPLES = (
    ("what all containers use, every second", "drupe stats"),
    ("once, for a program", "drupe stats --no-stream --format json web"),
)
SEE_ALSO = ("top", "ps")

_PERIOD_S = 1.0
_CLEAR = "\033[H\033[J"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("--no-stream", action="store_true", help="once")
    add("--format", choices=("table", "json"), default="table", help="json: a line for each")
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
            _row(record, figures, before.get(record.id, (record, figures))[1], now_s - then)
            for record, figures in sample.values()
        ]
        _show(rows, args)
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


def _row(record: Record, now: Figures, before: Figures, period_s: float) -> dict[str, object]:
    inside = now.inside
    return {
        "id": record.id,
        "name": record.spec.name,
        "cpu_percent": round(max(0, now.cpu_ns - before.cpu_ns) / period_s / 1e7, 2),
        "cpu_ns": now.cpu_ns,
        "memory_bytes": now.memory_bytes,
        "memory_limit_bytes": record.spec.memory_bytes,
        "memory_used_inside_bytes": inside.memory_used_bytes,
        "net_received_bytes": inside.net_received_bytes,
        "net_sent_bytes": inside.net_sent_bytes,
        "block_read_bytes": inside.block_read_bytes,
        "block_written_bytes": inside.block_written_bytes,
        "pids": inside.threads,
        "host_processes": now.host_processes,
    }


def _show(rows: Sequence[Mapping[str, object]], args: argparse.Namespace) -> None:
    if args.format == "json":
        for row in rows:
            print(json.dumps(row), flush=True)
        return
    if not args.no_stream and sys.stdout.isatty():
        print(_CLEAR, end="")
    heading = ("CONTAINER ID", "NAME", "CPU %", "HOST MEM / LIMIT", "USED INSIDE", "NET I/O")
    print_table([(*heading, "BLOCK I/O", "PIDS"), *map(_cells, rows)])
    sys.stdout.flush()


def _cells(row: Mapping[str, object]) -> tuple[str, ...]:
    def size(key: str) -> str:
        return _size(int(str(row[f"{key}_bytes"])))

    return (
        str(row["id"])[:12],
        str(row["name"]),
        f"{row['cpu_percent']:.2f}%",
        f"{size('memory')} / {size('memory_limit')}",
        size("memory_used_inside"),
        f"{size('net_received')} / {size('net_sent')}",
        f"{size('block_read')} / {size('block_written')}",
        str(row["pids"]),
    )


def _size(count: int) -> str:
    size, units = float(count), ["B", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.4g} {units[0]}"
