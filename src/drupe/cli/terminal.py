"""The caller's terminal: raw mode, its size, the signals that it brings."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from drupe.errors import SpecError

_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def require(option: str) -> None:
    """Raises SpecError where standard input is no terminal."""
    if not sys.stdin or not os.isatty(0):
        raise SpecError(
            f"failed to use {option}: standard input is not a terminal",
            hint=f"leave {option} out, or run it in a terminal",
        )


def size() -> tuple[int, int]:
    """(rows, columns); a usual size where nobody knows."""
    for descriptor in (0, 1, 2):
        try:
            columns, rows = os.get_terminal_size(descriptor)
        except OSError:
            continue
        if rows and columns:
            return rows, columns
    return 24, 80


@contextmanager
def raw() -> Iterator[None]:
    """Passes each key on as it is typed; puts the terminal right again at the end."""
    import termios
    import tty

    before = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSANOW)
    try:
        yield
    finally:
        with suppress(termios.error):  # it was closed meanwhile
            termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextmanager
def signals(*, window: bool, keys: bool) -> Iterator[int]:
    """Yields a descriptor that delivers the numbers of signals that concern the guest.

    ``window``: its terminal follows the size of the caller's. ``keys``: keys such as ctrl-c go
    through as bytes; otherwise they are signals, which go on to the guest.
    """
    caught = [signal.SIGTERM, signal.SIGHUP] if keys else list(_FORWARDED)
    caught += [signal.SIGWINCH] * window
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {number: signal.signal(number, lambda *_: None) for number in caught}
    old = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    try:
        yield read_end
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read_end)
        os.close(write_end)
