"""The guest's own services on files, at work: no tool of the image is needed for them.

What they are is told in guest/files/services.h. What they answer is a guest's word.
"""

from __future__ import annotations

import errno
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from drupe.container import lifecycle
from drupe.container.record import Record
from drupe.errors import DrupeError, GuestError, NotFoundError, StateError
from drupe.guest.channel import Channel
from drupe.guest.protocol import broken
from drupe.guest.session import Session
from drupe.guest.spec import Process

_ERRORS_MOST_BYTES = 1 << 16
_ANSWER_MOST_BYTES = 256 << 20
"""Of an answer that is kept whole: more than a directory of a million entries."""


T = TypeVar("T")


class Call:
    """Some work with services, which another thread may call off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._called_off = False

    def run(self, work: Callable[[], T]) -> T:
        """Does it, in this thread.

        Raises:
            StateError: it was called off, where nothing else came of that.
        """
        token = _CALL.set(self)
        try:
            return work()
        finally:
            _CALL.reset(token)

    def call_off(self) -> None:
        """Has ``run`` end soon, with some error."""
        with self._lock:
            self._called_off = True
            if self._session is not None:
                self._session.hang_up()

    def hold(self, session: Session | None) -> None:
        """The session that is used now, or none. For ``serving``."""
        with self._lock:
            self._session = session
            if session is not None and self._called_off:
                raise StateError("failed to use files: called off")


_CALL: ContextVar[Call | None] = ContextVar("call", default=None)


class Service:
    """A service that runs; blocks until there is something to read, or room to write."""

    def __init__(self, record: Record, session: Session, *, stdin: bool) -> None:
        """Use ``serving``."""
        self._stdin = stdin
        self._record = record
        self._channel = Channel(session)
        self._errors = b""

    def pieces(self) -> Iterator[bytes]:
        """What it writes, as it comes.

        Raises:
            NotFoundError, GuestError: it failed; see ``finish``.
        """
        while (piece := self._next()) is not None:
            yield piece
        self._check()

    def write(self, data: bytes) -> None:
        """Passes input to it; returns when that is on its way.

        Raises:
            NotFoundError, GuestError: it failed; see ``finish``.
        """
        self._channel.write(data)
        while not self._channel.drained:
            self._step()
        if self._channel.ended:
            self.finish()

    def finish(self) -> None:
        """Ends its input, if it has any, and waits for its end.

        Raises:
            NotFoundError: it did not find what it was to work on.
            GuestError: it failed in another way, which ``number`` tells, or its kernel ended.
        """
        if self._stdin:
            self._channel.end_input()
        while self._next() is not None:
            raise broken("output of a service that has none")
        self._check()

    def _next(self) -> bytes | None:
        """A piece of output; None: it has ended."""
        channel = self._channel
        while True:
            while channel.output:
                stream, data = channel.output.popleft()
                if stream == "stdout":
                    return data
                self._errors = (self._errors + data)[:_ERRORS_MOST_BYTES]
            if channel.ended:
                return None
            self._step()

    def _step(self) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN | select.POLLOUT * self._channel.wants_write)
        poll.poll()
        self._channel.receive()
        self._channel.flush()

    def _check(self) -> None:
        if self._channel.error is not None:
            raise self._channel.error
        if self._channel.exit_status:
            raise self._failure()

    def _failure(self) -> DrupeError:
        number, _, text = self._errors.decode("utf-8", "replace").partition("\n")[0].partition("\t")
        text = "".join(c if c.isprintable() else "?" for c in text)
        if not number.isdecimal() or not text:
            text = f"failed to use files: a service ended with {self._channel.exit_status}"
        text = text.replace(" '/", f" '{self._record.spec.name}:/", 1)
        code = int(number) if number in _NUMBERS else 0
        if code == errno.ENOENT:
            return NotFoundError(text)
        return GuestError(text, number=code)


_NUMBERS = {str(number) for number in errno.errorcode}


@contextmanager
def serving(record: Record, *args: str, stdin: bool = False) -> Iterator[Service]:
    """Has a running container's init run a service; it is ended with the block.

    Raises:
        StateError: the container does not run.
        GuestError: there is no such service.
    """
    process = Process(args=args, stdin=stdin, helper=True)
    call = _CALL.get()
    with lifecycle.executed(record, process) as session:
        if call is None:
            yield Service(record, session, stdin=stdin)
            return
        call.hold(session)
        try:
            yield Service(record, session, stdin=stdin)
        finally:
            call.hold(None)


def answer(record: Record, *args: str) -> bytes:
    """All that a service writes.

    Raises:
        NotFoundError, GuestError: it failed, or wrote too much.
    """
    parts, size = [], 0
    with serving(record, *args) as service:
        for piece in service.pieces():
            size += len(piece)
            if size > _ANSWER_MOST_BYTES:
                raise broken(f"an answer of more than {_ANSWER_MOST_BYTES} bytes")
            parts.append(piece)
    return b"".join(parts)
