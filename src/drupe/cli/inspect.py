"""``drupe inspect``: everything about containers, their jail included."""

from __future__ import annotations

import argparse

from drupe.cli.documents import add_format, show_documents
from drupe.cli.output import open_store
from drupe.container.bounds import groups_of
from drupe.container.machine import machine_spec
from drupe.container.record import Record
from drupe.platform.registry import find_platform
from drupe.store.schema import encode

EXAMPLES = (
    ("what is known of a container", "drupe inspect web"),
    ("the host process of its kernel", "drupe inspect -f '{{.state.pid}}' web"),
)
SEE_ALSO = ("ps", "logs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add_format(parser)
    parser.add_argument(
        "containers", nargs="+", metavar="container", help="name, id, or the beginning of an id"
    )


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    store = open_store()
    show_documents([_describe(store.find(name)) for name in args.containers], args.format)
    return 0


def _describe(record: Record) -> dict[str, object]:
    spec, condition = record.spec, record.condition()
    platform = find_platform(spec.platform)
    return {
        **encode(spec),
        "state": {
            "status": str(condition.state),
            "pid": condition.pid,
            "exit_status": condition.status,
            "started_ns": condition.started_ns,
            "ended_ns": condition.ended_ns,
            "restarts": condition.restarts,
            "health": None if condition.health is None else encode(condition.health),
        },
        "directory": str(record.directory),
        "control_groups": {name: path for name, (path, _) in groups_of(record).paths.items()},
        "jail": platform.describe(machine_spec(spec)),
    }
