"""``drupe events``: what happens to containers, as it happens."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from drupe.cli.output import open_store
from drupe.cli.template import parse_template
from drupe.container.events import Event, events, parse_time
from drupe.errors import SpecError

EXAMPLES = (
    ("what happens from now on", "drupe events"),
    ("which containers ended in the last hour", "drupe events --since 1h --until 0s -f event=die"),
)
SEE_ALSO = ("ps", "wait")


def _has_label(event: Event, text: str) -> bool:
    name, equals, value = text.partition("=")
    return name in event.labels and (not equals or event.labels[name] == value)


_FILTERS: Mapping[str, Callable[[Event, str], bool]] = {
    "container": lambda event, value: event.name == value or event.id.startswith(value),
    "event": lambda event, value: event.action == value,
    "image": lambda event, value: event.image == value,
    "label": _has_label,
    "type": lambda _, value: value == "container",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("--since", metavar="TIME", help="begin with what was before: a time, or how long ago: 10m")
    add("--until", metavar="TIME", help="end then (default: never)")
    add(
        "-f",
        "--filter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"only those; {', '.join(_FILTERS)}; of one key, any of its values",
    )
    add(
        "--format",
        default="text",
        metavar="TEMPLATE",
        help="text (default), json: a line for each, or a template such as '{{.Action}} {{.Name}}'",
    )


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    filters = _parse_filters(args.filter)
    since_ns = None if args.since is None else parse_time(args.since)
    until_ns = None if args.until is None else parse_time(args.until)
    show = _shown(args.format)
    for event in events(open_store(), since_ns=since_ns, until_ns=until_ns):
        if all(any(fits(event, v) for v in values) for fits, values in filters):
            print(show(event), flush=True)
    return 0


def _parse_filters(
    texts: Sequence[str],
) -> list[tuple[Callable[[Event, str], bool], list[str]]]:
    wanted: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if key not in _FILTERS or not equals:
            raise SpecError(
                f"failed to filter by '{text}': not one of these keys",
                hint=f"KEY=VALUE with {', '.join(_FILTERS)}",
            )
        wanted.setdefault(key, []).append(value)
    return [(_FILTERS[key], values) for key, values in wanted.items()]


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
