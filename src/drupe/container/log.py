"""Reads a container's log: lines in the CRI format, as the guest wrote them, hence hostile.

Source: the Kubernetes container runtime interface's log format: TIME STREAM TAG TEXT.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import repeat
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


class Part(NamedTuple):
    """Which entries are wanted.

    Attributes:
        tail: only the last so many of what is there, or None.
        since: not those before that time, in the form of ``stamp``.
        until: not those from that time on.
    """

    tail: int | None = None
    since: str = ""
    until: str = ""

    @classmethod
    def of(
        cls, tail: int | None = None, since_ns: int | None = None, until_ns: int | None = None
    ) -> Part:
        """With times in nanoseconds since the epoch."""
        times = ("" if ns is None else stamp(ns) for ns in (since_ns, until_ns))
        return cls(tail, *times)

    @property
    def over(self) -> bool:
        """Whether nothing more can come."""
        return bool(self.until) and stamp(time.time_ns()) >= self.until


ALL = Part()


def read_log(record: Record, part: Part = ALL, *, follow: bool = False) -> Iterator[Entry]:
    """The entries of a container's log; with ``follow`` also those to come, until it has ended."""
    for _, entry in read_logs([record], part, follow=follow):
        yield entry


def read_logs(
    records: Sequence[Record], part: Part = ALL, *, follow: bool = False
) -> Iterator[tuple[Record, Entry]]:
    """The entries of several logs, by time; with ``follow`` also those to come, as they come."""
    with contextlib.ExitStack() as stack:
        readers = [(record, stack.enter_context(LogReader(record, part))) for record in records]
        found = (zip(repeat(record), reader.entries()) for record, reader in readers)
        yield from merge(*found, key=lambda pair: pair[1].time)
        living = [(r, reader, p) for r, reader in readers if follow and (p := r.process())]
        while living and not part.over:
            # What was written before the end is read after the end was seen.
            ended = [living[0][2].wait(_FOLLOW_POLL_S), *(not p.alive() for _, _, p in living[1:])]
            for record, reader, _ in living:
                yield from zip(repeat(record), reader.entries())
            living = [one for one, over in zip(living, ended, strict=True) if not over]


class LogReader:
    """Reads a container's log from its beginning, as it grows; waits for nothing."""

    def __init__(self, record: Record, part: Part = ALL) -> None:
        self._rest = b""
        self._part = part
        self._tail = part.tail
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

    def entries(self) -> Iterator[Entry]:
        """All wanted entries from where the last call ended to now."""
        since, until = self._part.since, self._part.until
        found = (e for e in self._entries() if e.time >= since and (not until or e.time < until))
        tail, self._tail = self._tail, None
        return found if tail is None else iter(deque(found, maxlen=tail))

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


def stamp(ns: int) -> str:
    """A time as a log has it; such texts are in the order of their times."""
    seconds, rest = divmod(max(0, ns), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09}Z"
