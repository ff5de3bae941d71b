"""The host's end of a program that ``exec`` has started: its streams, its signals, its end."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from drupe.guest.pump import Streams, pump
from drupe.guest.session import Session

_KEPT = {signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGKILL, signal.SIGSTOP}
_LOST_STATUS = 137
"""As if by SIGKILL: the container has gone before the program."""


def run(session: Session, *, terminal: int | None = None) -> int:
    """Moves all until the program's end; its exit status.

    Args:
        session: the program's.
        terminal: what it reads from and writes to; None: the standard streams.
    """
    from drupe.errors import GuestError

    source = 0 if terminal is None else terminal

    def on_signal(number: int) -> None:
        if number != signal.SIGWINCH:
            session.send_signal(number)
        elif terminal is not None:
            session.send_window(*window(terminal))

    with _signals() as wakeup:
        streams = Streams(
            stdin=source,
            stdout=lambda data: _write(1 if terminal is None else terminal, data),
            stderr=lambda data: _write(2, data),
            wakeup=wakeup,
            on_signal=on_signal,
        )
        try:
            status = pump(session, streams)
        except (GuestError, OSError):
            status = None
    return _LOST_STATUS if status is None else status


def window(terminal: int) -> tuple[int, int]:
    """(rows, columns) of a terminal."""
    rows, columns, _, _ = struct.unpack("4H", fcntl.ioctl(terminal, termios.TIOCGWINSZ, b"\0" * 8))
    return rows, columns


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that delivers the numbers of all signals that can be passed on."""
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in signal.valid_signals() - _KEPT:
        if number < signal.SIGRTMIN:
            signal.signal(number, lambda *_: None)
    try:
        yield read_end
    finally:
        signal.set_wakeup_fd(-1)
