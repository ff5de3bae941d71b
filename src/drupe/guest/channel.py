"""A session's process without waiting: what it sent is kept, what it is to get is queued.

For callers that wait in their own way: threads, event loops. ``Channel`` never blocks; who uses it
waits until the session can be read or written, and calls ``receive`` or ``flush``.
"""

from __future__ import annotations

from collections import deque

from drupe.errors import DrupeError, GuestError
from drupe.guest.protocol import FRAME_MAX, SIGNAL, WINDOW, Type, encode
from drupe.guest.session import Session, exit_status, guest_error

_OUTGOING_BYTES = FRAME_MAX
"""Input is cut into frames only while fewer bytes than this wait to be sent."""


class Channel:
    """The process of a session, after STARTED.

    Attributes:
        output: what it wrote and nobody took yet: ("stdout" or "stderr", bytes).
        exit_status: as a shell counts it, once it has ended and all its output is here.
        error: why the session broke off before that.
    """

    def __init__(self, session: Session) -> None:
        self.output: deque[tuple[str, bytes]] = deque()
        self.exit_status: int | None = None
        self.error: DrupeError | None = None
        self._session = session
        self._input = bytearray()
        self._input_ended = False
        self._outgoing = bytearray()
        session.set_blocking(False)
        self.receive()

    def fileno(self) -> int:
        """For select() and friends."""
        return self._session.fileno()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.exit_status is not None or self.error is not None

    @property
    def drained(self) -> bool:
        """Whether all input has been sent, or will never be."""
        return self.ended or not (self._input or self._outgoing)

    @property
    def wants_write(self) -> bool:
        """Whether ``flush`` is to be called once the session can be written."""
        return bool(self._outgoing) and not self.ended

    def receive(self) -> None:
        """Takes what has come; output may be kept, credit for input may be won."""
        if self.ended:
            return
        try:
            frames = self._session.receive()
            if frames is None:
                raise GuestError("failed to hear the end of the process: the guest has gone")
            for kind, payload in frames:
                self._take(kind, payload)
        except BlockingIOError:
            pass
        except DrupeError as error:
            self.error = error

    def write(self, data: bytes) -> None:
        """Queues input."""
        self._input += data
        self.flush()

    def end_input(self) -> None:
        """Queues the end of input."""
        if not self._input_ended:
            self._input_ended = True
            if not self._input:
                self._outgoing += encode(Type.STDIN_EOF)
            self.flush()

    def send_signal(self, number: int) -> None:
        """Queues a signal to the process; it overtakes input that waits for credit."""
        self._send(encode(Type.SIGNAL, SIGNAL.pack(number)))

    def send_window(self, rows: int, columns: int) -> None:
        """Queues a new size of its terminal."""
        self._send(encode(Type.WINDOW, WINDOW.pack(rows, columns)))

    def flush(self) -> None:
        """Sends what the session takes now."""
        while not self.ended:
            self._cut_input()
            if not self._outgoing:
                return
            try:
                sent = self._session.send_once(self._outgoing)
            except GuestError:
                # It closed its end; what it sent before that is still to be read.
                self._input.clear()
                self._outgoing.clear()
                return
            if not sent:
                return
            del self._outgoing[:sent]

    def _send(self, frame: bytes) -> None:
        self._outgoing += frame
        self.flush()

    def _cut_input(self) -> None:
        while self._input and self._session.credit and len(self._outgoing) < _OUTGOING_BYTES:
            piece = bytes(self._input[: min(self._session.credit, FRAME_MAX)])
            del self._input[: len(piece)]
            self._outgoing += self._session.input_frames(piece)
            if self._input_ended and not self._input:
                self._outgoing += encode(Type.STDIN_EOF)

    def _take(self, kind: Type, payload: bytes) -> None:
        if kind is Type.STDOUT:
            self.output.append(("stdout", payload))
        elif kind is Type.STDERR:
            self.output.append(("stderr", payload))
        elif kind is Type.EXITED:
            self.exit_status = exit_status(payload)
        elif kind is Type.ERROR:
            raise guest_error(payload)
