"""Lists: ``--format``, ``--filter``, ``--quiet`` and ``--no-trunc``, the same for all that list.

A verb says once what it can tell of a thing, as a ``Listing``; the options, the table, templates,
JSON and filters follow from that.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from drupe.cli.output import print_json, print_table
from drupe.cli.template import parse_template
from drupe.errors import SpecError

T = TypeVar("T")


class Column(NamedTuple, Generic[T]):
    """One thing that can be told.

    Attributes:
        heading: above it in a table.
        text: of one entry; the second argument is whether nothing is to be shortened.
    """

    heading: str
    text: Callable[[T, bool], str]


class Listing(NamedTuple, Generic[T]):
    """What a verb tells of each entry that it lists.

    Attributes:
        columns: by their names in templates.
        table: the names of those that the table has by default.
        quiet: the name of the one that ``--quiet`` prints.
        document: an entry as ``--format json`` prints it.
        filters: key of ``--filter`` → whether an entry has that value.
        labels: of an entry, for ``{{.Label "NAME"}}`` and the filter "label"; None: it has none.
    """

    columns: Mapping[str, Column[T]]
    table: Sequence[str]
    quiet: str
    document: Callable[[T], Mapping[str, object]]
    filters: Mapping[str, Callable[[T, str], bool]]
    labels: Callable[[T], Mapping[str, str]] | None = None


def add_arguments(parser: argparse._ActionsContainer, listing: Listing[T]) -> None:
    """Declares the options."""
    add = parser.add_argument
    add("-q", "--quiet", action="store_true", help=f"print {listing.quiet.lower()}s only")
    add("--no-trunc", action="store_true", help="do not shorten anything")
    add_filter(parser, _keys(listing))
    add(
        "--format",
        default="table",
        metavar="TEMPLATE",
        help=f"table, json, or a template such as '{{{{.{listing.quiet}}}}}'; 'table' before it "
        f"makes a table of it. Fields: {', '.join(listing.columns)}",
    )


def add_filter(parser: argparse._ActionsContainer, keys: Sequence[str]) -> None:
    """Declares ``--filter`` alone."""
    parser.add_argument(
        "-f",
        "--filter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only those for which it is so; several values of one key: any of them. "
        f"Keys: {', '.join(keys)}",
    )


def select(listing: Listing[T], entries: Iterable[T], filters: Sequence[str]) -> list[T]:
    """The entries that ``--filter`` lets through.

    Raises:
        SpecError: a filter is not KEY=VALUE, or has another key.
    """
    wanted = parse_filters(filters, _keys(listing))
    return [entry for entry in entries if _passes(listing, entry, wanted)]


def parse_filters(filters: Sequence[str], keys: Sequence[str]) -> dict[str, list[str]]:
    """Key → the values that it was given.

    Raises:
        SpecError: a filter is not KEY=VALUE, or has another key.
    """
    wanted: dict[str, list[str]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        if key not in keys or not equals:
            raise SpecError(
                f"failed to use filter '{text}': "
                + ("no such key" if equals else "it is not KEY=VALUE"),
                hint=f"keys: {', '.join(keys)}",
            )
        wanted.setdefault(key, []).append(value)
    return wanted


def show(listing: Listing[T], entries: Sequence[T], args: argparse.Namespace) -> None:
    """Prints entries as the options say; they are filtered already.

    Raises:
        SpecError: the format is none, or names a field that is not there.
    """
    if args.format == "json" and not args.quiet:
        print_json([listing.document(entry) for entry in entries])
        return
    if args.quiet:
        for entry in entries:
            print(listing.columns[listing.quiet].text(entry, args.no_trunc))
        return
    if args.format == "table":
        columns = [listing.columns[name] for name in listing.table]
        rows = [[column.text(entry, args.no_trunc) for column in columns] for entry in entries]
        print_table([[column.heading for column in columns], *rows])
        return
    template = parse_template(args.format)
    # First of all: an unknown field is an error also where nothing is listed.
    heading = template.render(_Row(listing, None, full=True))
    lines = [template.render(_Row(listing, entry, full=args.no_trunc)) for entry in entries]
    if template.table:
        print_table(_even([line.split("\t") for line in (heading, *lines)]))
        return
    for line in lines:
        print(line)


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """Whether labels hold NAME, or NAME=VALUE."""
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


def printable(text: str) -> str:
    """A text for a table: what would move a terminal's cursor is replaced."""
    return "".join(c if c.isprintable() else "?" for c in text)


def shorten(text: str, width: int, *, full: bool) -> str:
    """A printable text of at most ``width`` characters, unless ``full``."""
    text = printable(text)
    return text if full or len(text) <= width else text[: width - 1] + "…"


def _keys(listing: Listing[T]) -> list[str]:
    return [*listing.filters, *(["label"] if listing.labels else [])]


def _passes(listing: Listing[T], entry: T, wanted: Mapping[str, list[str]]) -> bool:
    for key, values in wanted.items():
        if key == "label" and listing.labels is not None:
            labels = listing.labels(entry)
            if not all(has_label(labels, value) for value in values):
                return False
        elif not any(listing.filters[key](entry, value) for value in values):
            return False
    return True


class _Row(Mapping[str, object], Generic[T]):
    """An entry as templates see it; without one, the headings. What nobody asks for is not made."""

    def __init__(self, listing: Listing[T], entry: T | None, *, full: bool) -> None:
        self._listing = listing
        self._entry = entry
        self._full = full

    def __iter__(self) -> Iterator[str]:
        yield from self._listing.columns
        if self._listing.labels is not None:
            yield "Label"

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return any(name == known for known in self)

    def __getitem__(self, name: str) -> object:
        if name == "Label" and self._listing.labels is not None:
            return self._label
        column = self._listing.columns[name]
        return column.heading if self._entry is None else column.text(self._entry, self._full)

    def document(self) -> object:
        """All that is known of the entry."""
        return None if self._entry is None else self._listing.document(self._entry)

    def _label(self, name: str) -> str:
        if self._entry is None or self._listing.labels is None:
            return name.upper()
        return self._listing.labels(self._entry).get(name, "")


def _even(rows: list[list[str]]) -> list[list[str]]:
    width = max(map(len, rows))
    return [row + [""] * (width - len(row)) for row in rows]
