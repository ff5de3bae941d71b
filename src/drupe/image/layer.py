"""One layer on its way from a blob to a root: unpacked by a thread of its own.

zlib, zstandard and hashlib leave the interpreter's lock while they work: so one processor unpacks
while another takes the digest, reads the archive and writes the image, which is as much work.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from drupe.errors import DrupeError, SpecError
from drupe.image.compression import unpacked

_AHEAD = 8
"""Pieces (1 MiB each) that may wait."""


class LayerStream:
    """The plain tar of a layer, as it is unpacked.

    Attributes:
        unpacked_bytes: how many there were, at the end.
    """

    def __init__(self, blob: Path, what: str) -> None:
        self.unpacked_bytes = 0
        self._what = what
        self._blob = blob
        self._digest = hashlib.sha256()
        self._queue: queue.Queue[bytes | DrupeError | OSError | None] = queue.Queue(_AHEAD)
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._work, name="layer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._given_up.set()
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=0.05)
        self._thread.join()

    def __iter__(self) -> Iterator[bytes]:
        """All pieces, to the end of the stream.

        Raises:
            SpecError: it is spoilt.
            OSError: it cannot be read.
        """
        while (piece := self._queue.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            self._digest.update(piece)
            self.unpacked_bytes += len(piece)
            yield piece

    def check(self, diff_id: str) -> None:
        """After the end: whether it was what it should be.

        Raises:
            SpecError: it was something else.
        """
        found = f"sha256:{self._digest.hexdigest()}"
        if found != diff_id:
            raise SpecError(
                f"failed to read {self._what}: it unpacks to {found}, and should to {diff_id}",
                hint="whoever made the image, or brought it here, has changed it",
            )

    def _work(self) -> None:
        last: DrupeError | OSError | None = None
        try:
            with self._blob.open("rb") as file:
                for piece in unpacked(file, self._what):
                    if self._given_up.is_set():
                        break
                    self._queue.put(piece)
        except (DrupeError, OSError) as error:
            last = error
        self._queue.put(last)
