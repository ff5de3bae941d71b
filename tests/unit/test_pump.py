"""The pump between a session and the caller's streams, against a scripted guest."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drupe.errors import GuestError
from drupe.guest import protocol
from drupe.guest.protocol import Stage, Type, encode
from drupe.guest.pump import DetachKeys, Streams, parse_detach_keys, pump
from drupe.guest.session import Session

BIG = 5_000_000


class Guest:
    """The other end of a session: what a script makes it say."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.credit = protocol.STDIN_WINDOW
        self.buffer = b""
        assert self.frame() == (Type.HELLO, protocol.HELLO.pack(protocol.MAGIC, 2, 0))
        with contextlib.suppress(BrokenPipeError):  # a host that has left already
            connection.sendall(protocol.hello())

    def frame(self) -> tuple[Type, bytes] | None:
        """The next frame from the host; None at the end."""
        while (
            len(self.buffer) < 8 or len(self.buffer) < 8 + struct.unpack_from("<I", self.buffer)[0]
        ):
            try:
                received = self.connection.recv(1 << 16)
            except ConnectionResetError:  # closed with something unread
                received = b""
            if not received:
                return None
            self.buffer += received
        size, kind, _ = struct.unpack_from("<IHH", self.buffer)
        payload, self.buffer = self.buffer[8 : 8 + size], self.buffer[8 + size :]
        if kind == Type.STDIN:
            self.credit -= size
            assert self.credit >= 0, "more input than there was credit for"
        return Type(kind), payload

    def send(self, kind: Type, payload: bytes = b"") -> None:
        self.connection.sendall(encode(kind, payload))

    def grant(self, size: int) -> None:
        self.credit += size
        self.send(Type.STDIN_CREDIT, protocol.CREDIT.pack(size))

    def exit(self, code: int = 0, number: int = 0) -> None:
        self.send(Type.EXITED, protocol.EXITED.pack(code, number))

    def read_input(self, step: int = 32_768) -> bytes:
        """All input to its end; credit is granted again in steps."""
        taken = bytearray()
        granted = 0
        while (got := self.frame()) is not None and got[0] is not Type.STDIN_EOF:
            assert got[0] is Type.STDIN
            taken += got[1]
            while len(taken) - granted >= step:
                self.grant(step)
                granted += step
        assert got is not None, "no end of input"
        return bytes(taken)


Script = Callable[[Guest], object]


class Bench:
    """Runs a script against the pump; the outputs are kept in their order."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes]] = []
        self.script_returned: object = None
        self._failures: list[BaseException] = []

    def run(
        self,
        script: Script,
        stdin: int | None = None,
        *,
        keys: bytes = b"",
        wakeup: int | None = None,
        on_signal: Callable[[Session, int], None] = lambda *_: None,
    ) -> int | None:
        ours, theirs = socket.socketpair()
        session = Session(ours)
        guest = threading.Thread(target=self._play, args=(script, theirs))
        guest.start()
        try:
            streams = Streams(
                stdin=stdin,
                stdout=lambda piece: self.said.append(("out", piece)),
                stderr=lambda piece: self.said.append(("err", piece)),
                detach_keys=keys,
                wakeup=wakeup,
                on_signal=lambda number: on_signal(session, number),
            )
            return pump(session, streams)
        finally:
            session.close()
            guest.join(30)
            assert not guest.is_alive()
            for failure in self._failures:
                raise failure

    def _play(self, script: Script, connection: socket.socket) -> None:
        with connection:
            try:
                self.script_returned = script(Guest(connection))
            except (AssertionError, OSError) as failure:
                self._failures.append(failure)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def feed(descriptor: int, data: bytes) -> threading.Thread:
    """Writes it all from a thread, and closes."""

    def write() -> None:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


# Output and the end


def test_output_keeps_its_order(bench: Bench) -> None:
    pieces = [(Type.STDOUT, b"1"), (Type.STDERR, b"2"), (Type.STDOUT, b"3"), (Type.STDERR, b"4")]

    def script(guest: Guest) -> None:
        for kind, payload in pieces:
            guest.send(kind, payload)
        guest.exit(7)

    assert bench.run(script) == 7
    assert bench.said == [("out", b"1"), ("err", b"2"), ("out", b"3"), ("err", b"4")]


def test_much_output_comes_whole(bench: Bench) -> None:
    data = os.urandom(BIG)

    def script(guest: Guest) -> None:
        for start in range(0, BIG, protocol.FRAME_MAX):
            guest.send(Type.STDOUT, data[start : start + protocol.FRAME_MAX])
        guest.exit()

    assert bench.run(script) == 0
    assert b"".join(piece for _, piece in bench.said) == data


def test_a_signal_ends_as_a_shell_counts_it(bench: Bench) -> None:
    assert bench.run(lambda guest: guest.exit(0, 9)) == 137


def test_output_that_came_with_an_earlier_answer_needs_no_event() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        session = Session(ours)
        guest = Guest(theirs)
        started = encode(Type.STARTED, protocol.STARTED.pack(2, 0))
        theirs.sendall(started + encode(Type.STDOUT, b"$ "))
        session.expect(Type.STARTED)
        said: list[bytes] = []

        def stdout(piece: bytes) -> None:
            said.append(piece)
            guest.exit()

        assert pump(session, Streams(None, stdout, said.append)) == 0
        assert said == [b"$ "]
        session.close()


def test_a_session_that_breaks_off_is_told(bench: Bench) -> None:
    with pytest.raises(GuestError, match="failed to hear the end of the process: the guest has"):
        bench.run(lambda guest: guest.send(Type.STDOUT, b"a"))
    assert bench.said == [("out", b"a")]


def test_an_error_frame_raises(bench: Bench) -> None:
    def script(guest: Guest) -> None:
        guest.send(Type.ERROR, protocol.ERROR.pack(5, Stage.PROCESS) + b"failed to go on")

    with pytest.raises(GuestError, match="failed to go on: Input/output error") as caught:
        bench.run(script)
    assert (caught.value.number, caught.value.stage) == (5, Stage.PROCESS)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (struct.pack("<IHH", 0, 999, 0), "frame of type 999"),
        (encode(Type.STDIN_CREDIT, protocol.CREDIT.pack(1 << 21)), "credit of 2097152 bytes"),
        (encode(Type.STDIN_CREDIT, protocol.CREDIT.pack(1 << 20)), "credit of 1048576 bytes"),
        (encode(Type.EXITED, protocol.EXITED.pack(256, 0)), "exit status 256"),
        (encode(Type.EXITED, protocol.EXITED.pack(0, 65)), "signal 65"),
    ],
)
def test_a_broken_protocol_raises(bench: Bench, stream: bytes, message: str) -> None:
    with pytest.raises(GuestError, match=f"it broke the protocol: .*{message}"):
        bench.run(lambda guest: guest.connection.sendall(stream))


# Input


@pytest.mark.parametrize("step", [1, 4096, 32_768, protocol.STDIN_WINDOW])
def test_input_ends(bench: Bench, pipe: tuple[int, int], step: int) -> None:
    writer = feed(pipe[1], b"hello")

    def script(guest: Guest) -> bytes:
        taken = guest.read_input(step)
        guest.exit()
        return taken

    assert bench.run(script, pipe[0]) == 0
    writer.join()
    assert bench.script_returned == b"hello"


@pytest.mark.parametrize("step", [5000, 32_768, protocol.STDIN_WINDOW])
def test_much_input_goes_within_the_credit(bench: Bench, pipe: tuple[int, int], step: int) -> None:
    """The guest says nothing but credit until it has everything, as ``sort`` does."""
    data = os.urandom(BIG)
    writer = feed(pipe[1], data)

    def script(guest: Guest) -> bytes:
        taken = guest.read_input(step)
        guest.exit()
        return taken

    assert bench.run(script, pipe[0]) == 0
    writer.join()
    assert bench.script_returned == data


@pytest.mark.parametrize("size", [0, 1, protocol.STDIN_WINDOW, BIG])
def test_a_regular_file_is_input(bench: Bench, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "input").write_bytes(data)

    def script(guest: Guest) -> bytes:
        taken = guest.read_input()
        guest.exit()
        return taken

    with (tmp_path / "input").open("rb") as file:
        assert bench.run(script, file.fileno()) == 0
    assert bench.script_returned == data


def test_no_input_is_an_end_at_once(bench: Bench) -> None:
    def script(guest: Guest) -> bytes:
        taken = guest.read_input()
        guest.exit()
        return taken

    null = os.open(os.devnull, os.O_RDONLY)
    try:
        assert bench.run(script, null) == 0
    finally:
        os.close(null)
    assert bench.script_returned == b""


def test_input_and_output_at_once(bench: Bench, pipe: tuple[int, int]) -> None:
    data = os.urandom(BIG)
    writer = feed(pipe[1], data)

    def script(guest: Guest) -> None:
        while (got := guest.frame()) is not None and got[0] is Type.STDIN:
            guest.send(Type.STDOUT, got[1])
            guest.grant(len(got[1]))
        guest.exit()

    assert bench.run(script, pipe[0]) == 0
    writer.join()
    assert b"".join(piece for _, piece in bench.said) == data


def test_a_guest_that_wants_no_more_input_is_heard_out(bench: Bench, pipe: tuple[int, int]) -> None:
    """It ends while input is under way: the status counts, not the broken connection."""

    def script(guest: Guest) -> None:
        guest.send(Type.STDOUT, b"enough")
        guest.exit(3)
        guest.connection.shutdown(socket.SHUT_RDWR)

    os.write(pipe[1], bytes(60_000))
    assert bench.run(script, pipe[0]) == 3
    assert bench.said == [("out", b"enough")]


def test_a_signal_to_a_guest_that_has_gone_is_no_error(bench: Bench) -> None:
    ready, ring = os.pipe()

    def script(guest: Guest) -> None:
        guest.exit(4)
        guest.connection.shutdown(socket.SHUT_RDWR)
        os.write(ring, bytes([signal.SIGTERM]))

    os.write(ring, bytes([signal.SIGTERM]))
    try:
        status = bench.run(
            script, wakeup=ready, on_signal=lambda session, number: session.send_signal(number)
        )
    finally:
        os.close(ready)
        os.close(ring)
    assert status == 4


def test_signals_go_to_the_guest(bench: Bench) -> None:
    ready, ring = os.pipe()

    def script(guest: Guest) -> list[tuple[Type, bytes] | None]:
        got = [guest.frame(), guest.frame()]
        guest.exit()
        return got

    os.write(ring, bytes([signal.SIGTERM, signal.SIGHUP]))
    try:
        bench.run(
            script, wakeup=ready, on_signal=lambda session, number: session.send_signal(number)
        )
    finally:
        os.close(ready)
        os.close(ring)
    wanted = [signal.SIGTERM, signal.SIGHUP]
    assert bench.script_returned == [(Type.SIGNAL, struct.pack("<I", n)) for n in wanted]


# Detaching


def test_the_detach_keys_leave_the_process_running(bench: Bench, pipe: tuple[int, int]) -> None:
    def script(guest: Guest) -> list[tuple[Type, bytes] | None]:
        return [guest.frame(), guest.frame(), guest.frame()]

    os.write(pipe[1], b"ls\r\x10\x11more")
    assert bench.run(script, pipe[0], keys=b"\x10\x11") is None
    assert bench.script_returned == [(Type.STDIN, b"ls\r"), (Type.DETACH, b""), None]


def test_the_detach_keys_in_a_file_detach(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"ls\x10\x11more" * 100_000)

    def script(guest: Guest) -> list[tuple[Type, bytes] | None]:
        return [guest.frame(), guest.frame(), guest.frame()]

    with (tmp_path / "input").open("rb") as file:
        assert bench.run(script, file.fileno(), keys=b"\x10\x11") is None
    assert bench.script_returned == [(Type.STDIN, b"ls"), (Type.DETACH, b""), None]


def test_a_key_held_back_is_within_the_credit(bench: Bench, tmp_path: Path) -> None:
    """It makes a chunk longer than what was read."""
    data = bytes(65_535) + b"\x10" + bytes(400_000)
    (tmp_path / "input").write_bytes(data)

    def script(guest: Guest) -> bytes:
        taken = guest.read_input(65_536)
        guest.exit()
        return taken

    with (tmp_path / "input").open("rb") as file:
        assert bench.run(script, file.fileno(), keys=b"\x10\x11") == 0
    assert bench.script_returned == data


keys = st.text("ab", min_size=1, max_size=4).map(str.encode)
typed = st.lists(st.text("abc", max_size=6).map(str.encode), max_size=8)


@given(keys, typed)
@example(b"aab", [b"aaab"])
@example(b"ab", [b"aab"])
@example(b"abab", [b"aba", b"abab"])
def test_all_passes_but_the_sequence(sequence: bytes, chunks: list[bytes]) -> None:
    text = b"".join(chunks)
    finder = DetachKeys(sequence)
    passed = b""
    found = False
    for chunk in filter(None, chunks):
        piece, found = finder.feed(chunk)
        passed += piece
        if found:
            break
    assert found == (sequence in text)
    if found:
        assert passed == text[: text.index(sequence)]
    else:
        held = text[len(passed) :]
        assert passed + held == text
        assert sequence.startswith(held)
        assert finder.feed(b"") == (held, False)


@given(typed)
def test_without_a_sequence_all_passes(chunks: list[bytes]) -> None:
    assert [DetachKeys(b"").feed(chunk) for chunk in chunks] == [(c, False) for c in chunks]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", b""),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a,Z", b"aZ"),
        ("ctrl-@,ctrl-[,ctrl-_", b"\0\x1b\x1f"),
        ("ctrl-a,x", b"\x01x"),
    ],
)
def test_detach_keys_are_read(text: str, wanted: bytes) -> None:
    assert parse_detach_keys(text) == wanted


@given(st.text(max_size=20) | st.text("ctrl-p,ß\u0131@", max_size=20))
@example("ctrl-ß")
@example("ctrl-\u0131")
def test_other_detach_keys_are_refused(text: str) -> None:
    try:
        found = parse_detach_keys(text)
    except ValueError as error:
        assert str(error) in text.split(",")  # noqa: PT017 (either outcome is right)
    else:
        assert len(found) == len(text.split(",")) * bool(text)
        assert text.isascii()
