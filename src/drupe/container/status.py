"""Lines of a container's status file, as the guest wrote them, hence hostile; no I/O.

guest/include/drupe/protocol.h tells their form. The last line counts.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_RUNNING = re.compile(r"running(?: (\d{1,10})(?: (starting|healthy|unhealthy)(?: (.{0,512}))?)?)?")
_ENDED = re.compile(
    r"(restarting|exited) (\d{1,3}) (\d{1,2}) (\d{1,11})\.(\d{9})(?: (\d{1,10}))?",
)
"""Of the time, eleven digits: until the year 5138, which all calendars here know."""


class Health(NamedTuple):
    """How a container does, as its checks tell.

    Attributes:
        status: starting, healthy or unhealthy.
        output: the beginning of what the check that led there wrote.
    """

    status: str
    output: str


class Status(NamedTuple):
    """What a line says.

    Attributes:
        word: created (its main process is held), running, restarting or exited.
        restarts: of the main process, so far.
        health: None: no checks, or it does not run.
        status: exit status of the main process as a shell counts it, once that has ended.
        ended_ns: when it ended, since the epoch.
    """

    word: str
    restarts: int = 0
    health: Health | None = None
    status: int | None = None
    ended_ns: int | None = None


def parse_status(line: str) -> Status | None:
    """What a line says; None: nothing that a guest of ours would write."""
    if line == "created":
        return Status(line)
    match = _RUNNING.fullmatch(line)
    if match is not None:
        health = None if match[2] is None else Health(match[2], _printable(match[3] or ""))
        return Status("running", int(match[1] or 0), health)
    match = _ENDED.fullmatch(line)
    if match is None or int(match[2]) > 255 or int(match[3]) > 64:
        return None
    code, number, seconds, nanoseconds = map(int, match.group(2, 3, 4, 5))
    return Status(
        match[1],
        int(match[6] or 0),
        status=128 + number if number else code,
        ended_ns=seconds * 1_000_000_000 + nanoseconds,
    )


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).strip()
