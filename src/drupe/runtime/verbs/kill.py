"""``kill``: sends a signal to a container's main process, or to all."""

from __future__ import annotations

import signal

from drupe.errors import BootError, GuestError, StateError
from drupe.guest.session import kill_all_frames, kill_frames, request
from drupe.runtime.container import Container
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed, switch
from drupe.runtime.words import parse_signal

OPTIONS: tuple[Option, ...] = (switch("all", "a"),)

_ANSWER_TIMEOUT_S = 5.0


def main(home: Home, given: Parsed) -> int:
    """Sends it; SIGTERM where none is named."""
    from drupe.errors import SpecError

    if not 1 <= len(given.rest) <= 2:
        raise SpecError("one or two arguments are needed: the container's id, a signal")
    number = parse_signal(given.rest[1] if len(given.rest) > 1 else "TERM")
    kill(home.find(given.rest[0]), number, everybody=given.flag("all"))
    return 0


def kill(container: Container, number: int, *, everybody: bool = False) -> None:
    """Sends a signal; what was written before a SIGKILL still gets to the host.

    A container kernel that does not answer to SIGKILL is ended from outside.

    Raises:
        StateError: the container does not run.
    """
    status = container.require("container not running", "created", "running", "paused")
    if status == "paused" and number == signal.SIGKILL:
        container.end()  # it could not answer
        return
    frames = kill_all_frames(number) if everybody else kill_frames(number)
    try:
        request(container.record.control, frames, timeout_s=_ANSWER_TIMEOUT_S)
    except (BootError, GuestError, OSError) as error:
        if container.condition().ended or isinstance(error, GuestError):
            raise StateError("container not running") from error
        if number != signal.SIGKILL:
            raise
        container.end()
