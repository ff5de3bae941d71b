"""``drupe ps``: lists containers."""

from __future__ import annotations

import argparse
import shlex
import time
from typing import NamedTuple

from drupe.cli import listing
from drupe.cli.listing import Column, Listing, shorten
from drupe.cli.numbers import megabytes
from drupe.cli.output import ago, open_store, status_text
from drupe.container.record import Condition, Record
from drupe.container.status import Health
from drupe.container.store import Store
from drupe.errors import NotFoundError, StateError
from drupe.net.config import Network
from drupe.net.ports import show
from drupe.store.usage import taken_bytes

EXAMPLES = (
    ("containers that run", "drupe ps"),
    ("all, with what they were started with in full", "drupe ps -a --no-trunc"),
    ("names and states, for a script", "drupe ps -a --format '{{.Names}} {{.State}}'"),
    ("those that failed", "drupe ps -a -f exited=1 -f exited=137"),
)
SEE_ALSO = ("inspect", "logs", "rm")

_COMMAND_COLUMNS = 30
_SHORT_ID_DIGITS = 12
_NO_HEALTH = Health("none", "")


class _Entry(NamedTuple):
    record: Record
    condition: Condition

    @property
    def network(self) -> Network:
        return self.record.spec.network

    @property
    def root(self) -> str:
        return self.record.spec.image_name or str(self.record.spec.rootfs)


def _short(identity: str, *, full: bool) -> str:
    return identity if full else identity[:_SHORT_ID_DIGITS]


def _ports(entry: _Entry) -> str:
    """What the host listens for while it runs."""
    if entry.condition.pid is None:
        return ""
    ports = entry.record.spec.network.ports
    return ", ".join(f"{show(port)}->{port.guest}/{port.protocol}" for port in ports)


def _created_ns(reference: str) -> int:
    """When another container was made; for each entry anew, which is cheap."""
    return Store().find(reference).spec.created_ns


def _publishes(entry: _Entry, wanted: str) -> bool:
    """PORT[/PROTOCOL] of the host."""
    number, _, protocol = wanted.partition("/")
    return any(
        str(port.host) == number and port.protocol == (protocol or "tcp")
        for port in entry.record.spec.network.ports
    )


def _time(ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(ns / 1e9))


def _as_json(entry: _Entry) -> dict[str, object]:
    spec, condition = entry.record.spec, entry.condition
    return {
        "id": entry.record.id,
        "name": spec.name,
        "image": spec.image_name,
        "rootfs": spec.rootfs,
        "command": list(spec.args),
        "platform": spec.platform,
        "created_ns": spec.created_ns,
        "started_ns": condition.started_ns,
        "state": str(condition.state),
        "pid": condition.pid,
        "exit_status": condition.status,
        "labels": spec.labels,
        "ports": [port._asdict() for port in spec.network.ports],
    }


_LISTING = Listing[_Entry](
    columns={
        "ID": Column("CONTAINER ID", lambda e, full: _short(e.record.id, full=full)),
        "Image": Column("IMAGE", lambda e, _: e.root),
        "Command": Column(
            "COMMAND",
            lambda e, full: shorten(shlex.join(e.record.spec.args), _COMMAND_COLUMNS, full=full),
        ),
        "RunningFor": Column("CREATED", lambda e, _: ago(e.record.spec.created_ns)),
        "CreatedAt": Column("CREATED AT", lambda e, _: _time(e.record.spec.created_ns)),
        "Status": Column("STATUS", lambda e, _: status_text(e.condition)),
        "State": Column("STATE", lambda e, _: str(e.condition.state)),
        "Ports": Column("PORTS", lambda e, _: _ports(e)),
        "Names": Column("NAMES", lambda e, _: e.record.spec.name),
        "Size": Column("SIZE", lambda e, _: megabytes(taken_bytes(e.record.directory))),
        "Pid": Column("PID", lambda e, _: str(e.condition.pid or "")),
        "Platform": Column("PLATFORM", lambda e, _: e.record.spec.platform),
        "Labels": Column(
            "LABELS", lambda e, _: ",".join(f"{k}={v}" for k, v in e.record.spec.labels.items())
        ),
    },
    table=("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"),
    quiet="ID",
    document=_as_json,
    filters={
        "id": lambda e, value: e.record.id.startswith(value),
        "name": lambda e, value: value in e.record.spec.name,
        "status": lambda e, value: str(e.condition.state) == value,
        "exited": lambda e, value: str(e.condition.status) == value,
        "ancestor": lambda e, value: e.root == value,
        "health": lambda e, value: (e.condition.health or _NO_HEALTH).status == value,
        "network": lambda e, value: value in e.record.spec.network.names,
        "before": lambda e, value: e.record.spec.created_ns < _created_ns(value),
        "since": lambda e, value: e.record.spec.created_ns > _created_ns(value),
        "publish": _publishes,
        "volume": lambda e, value: any(
            value in {v.name, v.source, v.target} for v in e.record.spec.volumes
        ),
    },
    labels=lambda e: e.record.spec.labels,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("-a", "--all", action="store_true", help="those that have ended, too")
    add("-n", "--last", type=int, default=0, metavar="N", help="the newest N, ended or not")
    add("-l", "--latest", action="store_const", const=1, dest="last", help="the newest one")
    add("-s", "--size", action="store_true", help="what each takes of the disk, too")
    listing.add_arguments(parser, _LISTING)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    listed = []
    # As docker does: who asks for a state means all that have it.
    told = any(text.startswith(("status=", "exited=")) for text in args.filter)
    ended = args.all or told or args.last > 0
    for record in open_store().list():
        try:
            condition, _ = record.condition(), record.spec
        except (NotFoundError, StateError):
            continue  # removed meanwhile, or spoilt, which has been told
        if ended or condition.pid is not None:
            listed.append(_Entry(record, condition))
    chosen = listing.select(_LISTING, listed, args.filter)
    if args.last > 0:
        chosen = chosen[-args.last :]
    shown = _LISTING._replace(table=(*_LISTING.table, "Size")) if args.size else _LISTING
    listing.show(shown, chosen if args.format == "json" or args.quiet else chosen[::-1], args)
    return 0
