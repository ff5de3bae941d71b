"""Reads a container's log: lines in the CRI format, as the guest wrote them, hence hostile.

Source: the Kubernetes container runtime interface's log format: TIME STREAM TAG TEXT.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, Self

from drupe.container.record import Record

_READ_BYTES = 1 << 20
_LINE_MOST_BYTES = 1 << 17
_FOLLOW_POLL_S = 0.1


class Entry(NamedTuple):
    """One line of output, or part of one.

    Attributes:
        time: RFC 3339, nanoseconds, UTC.
        stream: "stdout" or "stderr".
        text: what was written, with its newline unless ``partial``.
        partial: the line goes on in the next entry of its stream.
    """

    time: str
    stream: str
    text: bytes
    partial: bool


def read_log(record: Record, *, follow: bool = False, tail: int | None = None) -> Iterator[Entry]:
    """The entries of a container's log, or the last ``tail`` of them.

    With ``follow`` also those to come, until the container has ended.
    """
    with LogReader(record) as reader:
        yield from reader.entries(tail)
        process = record.process() if follow else None
        while process is not None:
            # What was written before the end is read after the end was seen.
            ended = process.wait(_FOLLOW_POLL_S)
            yield from reader.entries()
            if ended:
                break


class LogReader:
    """Reads a container's log from its beginning, as it grows; waits for nothing."""

    def __init__(self, record: Record) -> None:
        self._rest = b""
        self._descriptor: int | None = None
        with contextlib.suppress(FileNotFoundError):  # it keeps none
            self._descriptor = os.open(
                record.directory / "log", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def entries(self, tail: int | None = None) -> Iterator[Entry]:
        """All whole lines from where the last call ended to now; the last ``tail`` of them."""
        return self._entries() if tail is None else iter(deque(self._entries(), maxlen=tail))

    def _entries(self) -> Iterator[Entry]:
        while self._descriptor is not None:
            chunk = os.read(self._descriptor, _READ_BYTES)
            if not chunk:
                return
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                entry = parse_line(line)
                if entry is not None:
                    yield entry
            if len(self._rest) > _LINE_MOST_BYTES:
                self._rest = b""


def parse_line(line: bytes) -> Entry | None:
    """One line of a log; None for one that is not in the format."""
    fields = line.split(b" ", 3)
    if len(fields) != 4 or fields[1] not in {b"stdout", b"stderr"} or fields[2] not in {b"F", b"P"}:
        return None
    time, stream, tag, text = fields
    if not time.isascii() or not time.decode().isprintable():
        return None
    partial = tag == b"P"
    return Entry(time.decode(), stream.decode(), text if partial else text + b"\n", partial)
