"""A session's bounds, against guests that say too much or hear nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path

import pytest

from drupe.errors import BootError, GuestError
from drupe.guest import session as session_module
from drupe.guest.protocol import CREDIT, FRAME_MAX, Type, encode, hello
from drupe.guest.session import Session, connect


def test_credit_without_end_breaks_the_protocol() -> None:
    ours, theirs = socket.socketpair()
    with theirs, contextlib.closing(Session(ours)) as session:
        theirs.sendall(hello() + encode(Type.STDIN_CREDIT, CREDIT.pack(0)))
        with pytest.raises(GuestError, match="broke the protocol: credit of 0 bytes"):
            session.expect(Type.READY)


def test_a_frame_without_end_does_not_put_off_the_deadline() -> None:
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def drip() -> None:
        theirs.sendall(hello() + encode(Type.STDOUT, b"x" * FRAME_MAX)[:8])
        while not stop.wait(0.001):
            theirs.sendall(b"x")

    with theirs, contextlib.closing(Session(ours)) as session:
        guest = threading.Thread(target=drip)
        guest.start()
        try:
            began = time.monotonic()
            with pytest.raises(BootError, match="READY from the guest: no answer"):
                session.expect(Type.READY, timeout_s=0.2)
            assert time.monotonic() - began < 2
        finally:
            stop.set()
            guest.join()


def test_a_guest_that_reads_nothing_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "_SEND_TIMEOUT_S", 1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control"))
        listener.listen(0)
        with contextlib.closing(Session(connect(tmp_path / "control"))) as session:
            with pytest.raises(GuestError, match="it does not read"):
                session.send(b"x" * (8 << 20))
            with pytest.raises(BlockingIOError):  # the listener's queue is full
                connect(tmp_path / "control")
