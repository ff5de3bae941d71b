"""Pulls and pushes that another thread may end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drupe.errors import StateError

if TYPE_CHECKING:
    from drupe.registry.client import Client


class CallOff:
    """Ends a pull or a push from another thread, when it is called; it then fails soon."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._called = False
        self._client: Client | None = None

    def __call__(self) -> None:
        """Ends it; before it has begun, too."""
        with self._lock:
            self._called = True
            if self._client is not None:
                self._client.cut()

    @contextmanager
    def watching(self, client: Client, what: str) -> Iterator[None]:
        """What the block does with a client can be called off.

        Raises:
            StateError: it was.
        """
        with self._lock:
            self._client = client
            if self._called:
                client.cut()
        try:
            yield
        except ConnectionAbortedError as error:
            raise StateError(f"failed to {what}: called off") from error
