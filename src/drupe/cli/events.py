"""``drupe events``: what happens to containers, as it happens."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from drupe.cli.listing import add_filter, has_label, parse_filters
from drupe.cli.output import open_store
from drupe.cli.template import parse_template
from drupe.container.events import Event, events, parse_time

EXAMPLES = (
    ("what happens from now on", "drupe events"),
    ("which containers ended in the last hour", "drupe events --since 1h --until 0s -f event=die"),
)
SEE_ALSO = ("ps", "wait")


_FILTERS: Mapping[str, Callable[[Event, str], bool]] = {
    "container": lambda event, value: event.name == value or event.id.startswith(value),
    "event": lambda event, value: event.action == value,
    "image": lambda event, value: event.image == value,
    "label": lambda event, value: has_label(event.labels, value),
    "type": lambda _, value: value == "container",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("--since", metavar="TIME", help="begin with what was before: a time, or how long ago: 10m")
    add("--until", metavar="TIME", help="end then (default: never)")
    add_filter(parser, list(_FILTERS))
    add(
        "--format",
        default="text",
        metavar="TEMPLATE",
        help="text (default), json: a line for each, or a template such as '{{.Action}} {{.Name}}'",
    )


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    filters = parse_filters(args.filter, list(_FILTERS))
    since_ns = None if args.since is None else parse_time(args.since)
    until_ns = None if args.until is None else parse_time(args.until)
    show = _shown(args.format)
    for event in events(open_store(), since_ns=since_ns, until_ns=until_ns):
        if all(any(_FILTERS[key](event, v) for v in values) for key, values in filters.items()):
            print(show(event), flush=True)
    return 0


def _shown(form: str) -> Callable[[Event], str]:
    """How each event becomes a line.

    Raises:
        SpecError: the format is none.
    """
    if form == "text":
        return _text
    if form == "json":
        return lambda event: json.dumps(_document(event))
    template = parse_template(form)
    return lambda event: template.render(
        {**_document(event), "status": event.action, "time": event.time_ns // 1_000_000_000}
    )


def _document(event: Event) -> dict[str, object]:
    return {**event._asdict(), "type": "container"}


def _text(event: Event) -> str:
    seconds, rest = divmod(event.time_ns, 1_000_000_000)
    moment = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
    told = {"image": event.image, "name": event.name, **event.details}
    details = ", ".join(f"{name}={value}" for name, value in told.items())
    return f"{moment} container {event.action} {event.id} ({details})"
