"""One session with a guest's init: a connection to the container's control socket."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from drupe.errors import BootError, GuestError
from drupe.guest.protocol import (
    CREDIT,
    CREDIT_MAX,
    EXITED,
    FRAME_MAX,
    SIGNAL,
    STDIN_WINDOW,
    STOP,
    WINDOW,
    Parser,
    Type,
    broken,
    decode_error,
    encode,
    hello,
)

_RECEIVE_BYTES = 1 << 18
_SEND_TIMEOUT_S = 60
"""No guest may hold up a command by reading nothing; a booting one reads late."""
_TIMEVAL = struct.Struct("@ll")


@contextlib.contextmanager
def short_name(path: Path) -> Iterator[str]:
    """Yields another path of the same file, one that fits into a socket's address (108 bytes)."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def connect(path: Path) -> socket.socket:
    """Connects to a control socket, however long its path is.

    Raises:
        OSError: nothing listens there, or nobody has accepted for long.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # Bounds connect() as well, which waits while the queue of the listener is full.
        timeout = _TIMEVAL.pack(_SEND_TIMEOUT_S, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        with short_name(path) as name:
            connection.connect(name)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _RECEIVE_BYTES)
    except BaseException:
        connection.close()
        raise
    return connection


class Session:
    """A session, after connect(): sends frames whole, hands out what the guest sends.

    Attributes:
        credit: bytes of input that the guest still takes.
        greeted: whether the guest has said HELLO.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._parser = Parser()
        self._pending: list[tuple[Type, bytes]] = []
        self.credit = STDIN_WINDOW
        self.greeted = False
        self.send(hello())

    def fileno(self) -> int:
        """For select() and friends."""
        return self._connection.fileno()

    def close(self) -> None:
        """Ends the session; what it started ends too, unless detached."""
        with contextlib.suppress(OSError):
            # Closing alone ends nothing while a fork of this process holds the connection, too.
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def hang_up(self) -> None:
        """Ends it from another thread: who waits for it sees its end, and closes it."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def set_blocking(self, blocking: bool) -> None:
        """Whether ``send``, ``receive`` and the like wait; they do at first."""
        self._connection.setblocking(blocking)

    def send(self, frames: bytes) -> None:
        """Sends whole frames.

        Raises:
            GuestError: the guest has gone.
        """
        try:
            self._connection.sendall(frames)
        except BlockingIOError as error:
            raise GuestError("failed to talk to the guest: it does not read") from error
        except OSError as error:
            raise GuestError(
                f"failed to talk to the guest: {error.strerror}: it has gone"
            ) from error

    def send_once(self, frames: bytes | bytearray) -> int:
        """Sends what the connection takes now; returns how many bytes: 0 where it would wait.

        Raises:
            GuestError: the guest has gone.
        """
        try:
            return self._connection.send(frames)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise GuestError(
                f"failed to talk to the guest: {error.strerror}: it has gone"
            ) from error

    def send_input(self, chunk: bytes) -> None:
        """Sends input, within the credit."""
        self.send(self.input_frames(chunk))

    def input_frames(self, chunk: bytes) -> bytes:
        """The frames for input, within the credit, which they use up."""
        if len(chunk) > self.credit:
            raise ValueError(f"{len(chunk)} bytes of input, credit is {self.credit}")
        self.credit -= len(chunk)
        starts = range(0, len(chunk), FRAME_MAX)
        return b"".join(encode(Type.STDIN, chunk[start : start + FRAME_MAX]) for start in starts)

    def end_input(self) -> None:
        """Tells that no more input comes."""
        self.send(encode(Type.STDIN_EOF))

    def send_signal(self, number: int) -> None:
        """Sends a signal to the session's process."""
        self.send(encode(Type.SIGNAL, SIGNAL.pack(number)))

    def send_window(self, rows: int, columns: int) -> None:
        """Tells a new size of the terminal."""
        self.send(encode(Type.WINDOW, WINDOW.pack(rows, columns)))

    def detach(self) -> None:
        """Lets the session's process outlive it."""
        self.send(encode(Type.DETACH))

    @property
    def buffered(self) -> bool:
        """Whether ``receive`` returns at once: frames came along with one that was expected."""
        return bool(self._pending)

    def receive(self) -> list[tuple[Type, bytes]] | None:
        """Waits for the guest to send something; returns the frames in it, None at the end.

        The list is empty where all that came was credit, which is accounted here.

        Raises:
            GuestError: the guest broke the protocol.
        """
        if self._pending:
            frames, self._pending = self._pending, []
            return frames
        try:
            received = self._connection.recv(_RECEIVE_BYTES)
        except ConnectionResetError:
            received = b""
        if not received:
            return None
        return [frame for frame in self._parser.feed(received) if not self._handled(*frame)]

    def _handled(self, kind: Type, payload: bytes) -> bool:
        if kind is Type.STDIN_CREDIT:
            (grant,) = CREDIT.unpack(payload)
            if not grant or self.credit + grant > CREDIT_MAX:
                raise broken(f"credit of {grant} bytes")
            self.credit += grant
            return True
        if kind is Type.HELLO:
            self.greeted = True
            return True
        return False

    def await_greeting(self, *, timeout_s: float) -> None:
        """Waits for the guest's HELLO: its init is up.

        Raises:
            GuestError: the guest broke the protocol, or speaks another version.
            BootError: the guest went away, or said nothing in time.
        """
        deadline = time.monotonic() + timeout_s
        while not self.greeted:
            self._pending += self._next("HELLO", deadline)

    def expect(self, kind: Type, *, timeout_s: float | None = None) -> bytes:
        """Waits for a frame of that kind and returns its payload.

        Raises:
            GuestError: the guest sent an error, or something else.
            BootError: the guest went away, or did not answer in time.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._pending:
            self._pending += self._next(kind.name, deadline)
        got, payload = self._pending.pop(0)
        if got is Type.ERROR:
            raise guest_error(payload)
        if got is not kind:
            raise broken(f"{got.name} instead of {kind.name}")
        return payload

    def _next(self, awaited: str, deadline: float | None) -> list[tuple[Type, bytes]]:
        if deadline is not None:
            left = deadline - time.monotonic()
            # Frames without end must not put the deadline off.
            if left <= 0 or not _readable(self, left):
                raise BootError(f"failed to hear {awaited} from the guest: no answer")
        frames = self.receive()
        if frames is None:
            raise BootError(f"failed to hear {awaited} from the guest: it has gone")
        return frames


def _readable(session: Session, timeout_s: float) -> bool:
    poll = select.poll()  # select() takes no descriptor above 1023
    poll.register(session, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def guest_error(payload: bytes) -> GuestError:
    """The exception for an ERROR frame."""
    number, stage, text = decode_error(payload)
    # The number is the guest's word: strerror() takes not every one.
    cause = os.strerror(number) if number in errno.errorcode else ""
    told = not cause or cause in text
    return GuestError(text if told else f"{text}: {cause}", number=number, stage=stage)


def request(path: Path, frames: bytes, *, timeout_s: float) -> None:
    """A session of one request: KILL or STOP.

    Raises:
        GuestError: refused.
        BootError: no answer in time.
        OSError: nothing listens there.
    """
    session = Session(connect(path))
    try:
        session.send(frames)
        session.expect(Type.DONE, timeout_s=timeout_s)
    finally:
        session.close()


def attach_frames() -> bytes:
    """Makes the session that of the main process, which was detached from."""
    return encode(Type.ATTACH)


def kill_frames(number: int) -> bytes:
    """Sends a signal to the main process."""
    return encode(Type.KILL, SIGNAL.pack(number))


def kill_all_frames(number: int) -> bytes:
    """Sends a signal to all processes of the container."""
    return encode(Type.KILL_ALL, SIGNAL.pack(number))


def release_frames() -> bytes:
    """Has a main process that is held execute its program."""
    return encode(Type.RELEASE)


def stop_frames(number: int, grace_ms: int) -> bytes:
    """Ends the container in order: a signal, a time of grace, SIGKILL, power-off."""
    return encode(Type.STOP, STOP.pack(number, grace_ms))


def exit_status(payload: bytes) -> int:
    """The shell's number for an EXITED frame: the exit status, or 128 + the signal."""
    code: int
    number: int
    code, number = EXITED.unpack(payload)
    if code > 255 or number > 64:
        raise broken(f"exit status {code}, signal {number}")
    return 128 + number if number else code
