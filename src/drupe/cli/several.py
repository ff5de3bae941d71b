"""Verbs that do one thing to several things: all are tried, the first error counts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable

from drupe.cli.output import open_store
from drupe.container.record import Record
from drupe.container.store import Store
from drupe.errors import DrupeError


def add_containers(parser: argparse.ArgumentParser) -> None:
    """Declares the containers."""
    parser.add_argument(
        "containers", nargs="+", metavar="container", help="name, id, or the beginning of an id"
    )


def for_each(references: Iterable[str], act: Callable[[Store, Record], str | None]) -> int:
    """Acts on each container and prints what ``act`` returns, or what was asked for.

    Raises:
        DrupeError: the first error, after all were tried.
    """
    store = open_store()
    return each(references, lambda name: print(act(store, store.find(name)) or name))


def each(names: Iterable[str], act: Callable[[str], None]) -> int:
    """Acts on each.

    Raises:
        DrupeError: the first error, after all were tried.
    """
    first: DrupeError | None = None
    for name in names:
        try:
            act(name)
        except DrupeError as error:
            if first is not None:
                print(f"drupe: {error}", file=sys.stderr)
            first = first or error
    if first is not None:
        raise first
    return 0
