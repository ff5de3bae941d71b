"""Reaching a container's files, whether it runs or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from drupe.container import lifecycle
from drupe.container.record import Record
from drupe.container.store import Store


@contextmanager
def reached(_: Store, record: Record) -> Iterator[Record]:
    """The container, for the services of ``container.service``.

    Raises:
        StateError: it does not run.
    """
    lifecycle.running(record)
    yield record
