"""Moves bytes between a session and the caller's own input and output, until the process ends."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
from collections.abc import Callable
from typing import NamedTuple

from drupe.errors import GuestError
from drupe.guest.protocol import Type
from drupe.guest.session import Session, exit_status, guest_error

_CHUNK_BYTES = 1 << 16


class Streams(NamedTuple):
    """Where bytes come from and go to.

    Attributes:
        stdin: descriptor to read, or None.
        stdout: called with each piece of output.
        stderr: the same for errors.
        detach_keys: input that detaches, as on a terminal; empty: none.
        wakeup: descriptor that delivers signal numbers (signal.set_wakeup_fd), or None.
        on_signal: called with each signal number from there.
    """

    stdin: int | None
    stdout: Callable[[bytes], None]
    stderr: Callable[[bytes], None]
    detach_keys: bytes = b""
    wakeup: int | None = None
    on_signal: Callable[[int], None] = lambda _: None


def pump(session: Session, streams: Streams) -> int | None:
    """Runs until the session's process ends; returns its status as a shell counts it.

    Returns None where the detach keys were typed: the process goes on without the session.

    Raises:
        GuestError: the guest broke the protocol, or went away before the process ended.
        OSError: the caller's own input or output failed.
    """
    return _Pump(session, streams).run()


class _Pump:
    def __init__(self, session: Session, streams: Streams) -> None:
        self._session = session
        self._streams = streams
        self._keys = DetachKeys(streams.detach_keys)
        self._status: int | None = None
        self._done = False
        self._input_open = streams.stdin is not None
        self._registered = False
        self._selector = selectors.DefaultSelector()

    def run(self) -> int | None:
        with self._selector:
            self._selector.register(self._session, selectors.EVENT_READ, self._on_session)
            if self._streams.wakeup is not None:
                self._selector.register(self._streams.wakeup, selectors.EVENT_READ, self._on_wakeup)
            while not self._done:
                if self._session.buffered:
                    self._on_session()
                    continue
                self._mind_input()
                if self._done:
                    break
                for key, _ in self._selector.select():
                    if not self._done:
                        key.data()
        return self._status

    def _mind_input(self) -> None:
        """Reads input only while the guest has credit for it."""
        wanted = self._wants_input()
        if wanted == self._registered or self._streams.stdin is None:
            return
        try:
            if wanted:
                self._selector.register(self._streams.stdin, selectors.EVENT_READ, self._on_input)
            else:
                self._selector.unregister(self._streams.stdin)
        except PermissionError:
            # A regular file cannot be polled and is always ready.
            while self._wants_input():
                self._on_input()
            return
        self._registered = wanted

    def _wants_input(self) -> bool:
        # What the detach keys held back comes with the next chunk.
        room = self._session.credit - len(self._streams.detach_keys)
        return self._input_open and not self._done and room >= _CHUNK_BYTES

    def _on_input(self) -> None:
        assert self._streams.stdin is not None  # noqa: S101 (registered only then)
        try:
            chunk = os.read(self._streams.stdin, _CHUNK_BYTES)
        except OSError:  # a terminal that went away
            chunk = b""
        passed, detached = self._keys.feed(chunk)
        try:
            if passed:
                self._session.send_input(passed)
            if detached:
                self._session.detach()
                self._done = True
            elif not chunk:
                self._input_open = False
                self._session.end_input()
        except GuestError:
            # It closed its end; what it sent before that is still to be read.
            self._input_open = False
        if not self._input_open and self._registered:
            self._selector.unregister(self._streams.stdin)
            self._registered = False

    def _on_session(self) -> None:
        frames = self._session.receive()
        if frames is None:
            raise GuestError("failed to hear the end of the process: the guest has gone")
        for kind, payload in frames:
            if kind is Type.STDOUT:
                self._streams.stdout(payload)
            elif kind is Type.STDERR:
                self._streams.stderr(payload)
            elif kind is Type.EXITED:
                self._status = exit_status(payload)
                self._done = True
            elif kind is Type.ERROR:
                raise guest_error(payload)

    def _on_wakeup(self) -> None:
        assert self._streams.wakeup is not None  # noqa: S101 (registered only then)
        for number in os.read(self._streams.wakeup, 4096):
            # A guest that has closed its end: what it sent before that is still to be read.
            with contextlib.suppress(GuestError):
                self._streams.on_signal(signal.Signals(number))


class DetachKeys:
    """Finds the detach sequence in typed input; holds back what may yet become it."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = bytearray()

    def feed(self, chunk: bytes) -> tuple[bytes, bool]:
        """Returns what is to be passed on, and whether the sequence was completed.

        An empty chunk is the end: nothing is held back any more.
        """
        if not self._keys:
            return chunk, False
        if not chunk:
            held, self._held = bytes(self._held), bytearray()
            return held, False
        passed = bytearray()
        for byte in chunk:
            self._held.append(byte)
            while not self._keys.startswith(self._held):
                passed.append(self._held.pop(0))
            if self._held == self._keys:
                return bytes(passed), True
        return bytes(passed), False


def parse_detach_keys(text: str) -> bytes:
    """Docker's notation: letters and ``ctrl-x``, by commas; returns the bytes typed.

    Raises:
        ValueError: not in that notation.
    """
    keys = bytearray()
    for name in text.split(",") if text else []:
        if not name.isascii():
            raise ValueError(name)
        if len(name) == 1:
            keys += name.encode()
        elif name.startswith("ctrl-") and len(name) == 6 and "@" <= name[5].upper() <= "_":
            keys.append(ord(name[5].upper()) & 0x1F)
        else:
            raise ValueError(name)
    return bytes(keys)
