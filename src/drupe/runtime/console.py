"""The engine's terminal: a PTY of the host, whose master goes to the engine over a socket."""

from __future__ import annotations

import os
import socket
import termios

from drupe.errors import HostError
from drupe.guest.session import short_name


def open_console() -> tuple[int, int]:
    """(master, slave) of a new PTY that passes all bytes on as they are.

    What a terminal does to lines and keys is done once, in the guest.

    Raises:
        HostError: there are no more.
    """
    try:
        master, slave = os.openpty()
    except OSError as error:
        raise HostError(f"failed to allocate a terminal: {error.strerror}") from error
    make_raw(slave)
    return master, slave


def make_raw(terminal: int) -> None:
    """Has a terminal pass all bytes on as they are. Source: cfmakeraw(3)."""
    mode = termios.tcgetattr(terminal)
    mode[0] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    mode[1] &= ~termios.OPOST
    mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    termios.tcsetattr(terminal, termios.TCSANOW, mode)


def send_master(master: int, path: str) -> None:
    """Gives a terminal's master to whoever listens at ``path``.

    Raises:
        HostError: nobody does.
    """
    from pathlib import Path

    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
            with short_name(Path(path).absolute()) as name:
                engine.connect(name)
            socket.send_fds(engine, [b"/dev/ptmx"], [master])
    except OSError as error:
        raise HostError(f"failed to send a terminal to '{path}': {error.strerror}") from error
