"""Verbs that do one thing to several things: all are tried, the first error counts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from drupe.cli.output import open_store
from drupe.container.record import Condition, Record
from drupe.container.store import Store
from drupe.errors import DrupeError, NotFoundError, SpecError, StateError


def add_containers(parser: argparse.ArgumentParser, *, every: str = "") -> None:
    """Declares the containers; ``every``: what --all stands for, where the verb has that."""
    if every:
        parser.add_argument("-a", "--all", action="store_true", help=every)
    parser.add_argument(
        "containers",
        nargs="*" if every else "+",
        metavar="container",
        help="name, id, or the beginning of an id",
    )


def running(condition: Condition) -> bool:
    """What --all stands for as a rule."""
    return condition.pid is not None


def chosen(
    args: argparse.Namespace, store: Store, every: Callable[[Condition], bool] = running
) -> Sequence[str]:
    """The containers that are named, or with --all those that ``every`` is true of.

    Raises:
        SpecError: neither, or both.
    """
    if not getattr(args, "all", False):
        if not args.containers:
            raise SpecError("failed to choose containers: none given", hint="name some, or --all")
        return list(args.containers)
    if args.containers:
        raise SpecError("failed to choose containers: both names and --all given")
    names = []
    for record in store.list():
        with suppress(NotFoundError, StateError):  # removed meanwhile, or spoilt
            if every(record.condition()):
                names.append(record.spec.name)
    return names


def for_each(
    args: argparse.Namespace,
    act: Callable[[Store, Record], str | None],
    every: Callable[[Condition], bool] = running,
) -> int:
    """Acts on each container that is chosen, and prints what ``act`` returns, or its name.

    Raises:
        DrupeError: the first error, after all were tried.
    """
    store = open_store()
    names = chosen(args, store, every)
    return each(names, lambda name: print(act(store, store.find(name)) or name))


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
