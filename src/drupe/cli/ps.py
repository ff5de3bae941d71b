"""``drupe ps``: lists containers."""

from __future__ import annotations

import argparse
import shlex

from drupe.cli.output import ago, open_store, print_json, print_table, status_text
from drupe.container.record import Condition, Record, State
from drupe.errors import NotFoundError, StateError

_COMMAND_COLUMNS = 30
_SHORT_ID_DIGITS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="those that have ended, too")
    add("-q", "--quiet", action="store_true", help="print ids only")
    add("--no-trunc", action="store_true", help="do not shorten ids and commands")
    add("--format", choices=("table", "json"), default="table")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    listed = []
    for record in open_store().list():
        try:
            condition, _ = record.condition(), record.spec
        except (NotFoundError, StateError):
            continue  # removed meanwhile, or spoilt, which has been told
        if args.all or condition.state is State.RUNNING:
            listed.append((record, condition))
    if args.format == "json":
        print_json([_as_json(*entry) for entry in listed])
    elif args.quiet:
        for record, _ in listed:
            print(record.id if args.no_trunc else record.id[:_SHORT_ID_DIGITS])
    else:
        heading = ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAMES")
        print_table([heading, *(_row(*entry, full=args.no_trunc) for entry in reversed(listed))])
    return 0


def _row(record: Record, condition: Condition, *, full: bool) -> tuple[str, ...]:
    spec = record.spec
    command = shlex.join(spec.args)
    if len(command) > _COMMAND_COLUMNS and not full:
        command = command[: _COMMAND_COLUMNS - 1] + "…"
    return (
        record.id if full else record.id[:_SHORT_ID_DIGITS],
        spec.image_name or str(spec.rootfs),
        "".join(c if c.isprintable() else "?" for c in command),
        ago(spec.created_ns),
        status_text(condition, spec.created_ns),
        spec.name,
    )


def _as_json(record: Record, condition: Condition) -> dict[str, object]:
    spec = record.spec
    return {
        "id": record.id,
        "name": spec.name,
        "image": spec.image_name,
        "rootfs": spec.rootfs,
        "command": list(spec.args),
        "platform": spec.platform,
        "created_ns": spec.created_ns,
        "state": str(condition.state),
        "pid": condition.pid,
        "exit_status": condition.status,
        "labels": spec.labels,
    }
