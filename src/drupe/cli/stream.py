"""Joins a session with the command line's own input, output and terminal."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

from drupe.cli import terminal
from drupe.errors import SpecError
from drupe.guest.pump import Streams, parse_detach_keys, pump
from drupe.guest.session import Session


def attach(session: Session, *, stdin: bool, tty: bool, detach_keys: str) -> int | None:
    """Runs until the session's process ends; its status, or None if it was detached from."""
    with ExitStack() as stack:
        keys = detach_bytes(detach_keys) if tty and stdin else b""
        typed = tty and stdin
        wakeup = stack.enter_context(terminal.signals(window=tty, keys=typed))
        if typed:
            stack.enter_context(terminal.raw())

        def on_signal(number: int) -> None:
            if number == signal.SIGWINCH:
                session.send_window(*terminal.size())
            else:
                session.send_signal(number)

        streams = Streams(
            stdin=0 if stdin else None,
            stdout=lambda piece: write_all(1, piece),
            stderr=lambda piece: write_all(2, piece),
            detach_keys=keys,
            wakeup=wakeup,
            on_signal=on_signal,
        )
        return pump(session, streams)


def detach_bytes(keys: str) -> bytes:
    """The bytes of a detach sequence.

    Raises:
        SpecError: not in docker's notation.
    """
    try:
        return parse_detach_keys(keys)
    except ValueError as error:
        raise SpecError(
            f"failed to use detach keys '{keys}': '{error}' is no key",
            hint="letters and ctrl-LETTER, by commas: ctrl-p,ctrl-q",
        ) from error


def write_all(descriptor: int, piece: bytes) -> None:
    """Writes all of it, whatever the descriptor takes at a time."""
    view = memoryview(piece)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            import select

            select.select([], [descriptor], [])
