"""What a guest's init tells of what goes on inside: hostile words, hence bounded and checked."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from drupe.guest.protocol import FIGURES, STATS, StatsKind, Type, broken, encode
from drupe.guest.session import Session, connect

_TICKS_A_SECOND = 100
_PAGE_BYTES = 4096


class Inside(NamedTuple):
    """What a container's own kernel counts.

    Attributes:
        memory_bytes: what programs may have; what the kernel keeps for itself is left out.
        memory_used_bytes: of that, what is not to be had at once.
        threads: of all processes in the container.
        block_read_bytes, block_written_bytes: through block devices.
        net_received_bytes, net_sent_bytes: through interfaces other than the loopback.
    """

    memory_bytes: int
    memory_used_bytes: int
    threads: int
    block_read_bytes: int
    block_written_bytes: int
    net_received_bytes: int
    net_sent_bytes: int


class Task(NamedTuple):
    """A process in a container.

    Attributes:
        pid, parent: by the container's count.
        uid: effective user, by the container's count.
        state: a letter, as in ps.
        cpu_s: processor time, seconds.
        memory_bytes: resident.
        command: its arguments, or its name in brackets.
    """

    pid: int
    parent: int
    uid: int
    state: str
    cpu_s: float
    memory_bytes: int
    command: str


def ask_figures(path: Path, *, timeout_s: float) -> Inside:
    """Asks the init behind a control socket.

    Raises:
        GuestError: it broke the protocol.
        BootError: no answer in time.
        OSError: nothing listens there.
    """
    payload = _ask(path, StatsKind.FIGURES, timeout_s)
    if len(payload) != FIGURES.size:
        raise broken(f"figures of {len(payload)} bytes")
    return Inside(*FIGURES.unpack(payload))


def ask_processes(path: Path, *, timeout_s: float) -> list[Task]:
    """The same for its processes; those of the kernel and the init itself are left out."""
    text = _ask(path, StatsKind.PROCESSES, timeout_s).decode("utf-8", "replace")
    return [parse_task(line) for line in text.split("\n") if line]


def parse_task(line: str) -> Task:
    """One line of the init's answer.

    Raises:
        GuestError: it is none.
    """
    fields = line.split(" ", 7)
    numbers = [*fields[:3], *fields[4:7]]
    if len(fields) != 8 or not all(n.isascii() and n.isdecimal() and len(n) < 20 for n in numbers):
        raise broken(f"a process told as {line!r:.60}")
    pid, parent, uid, ticks, _, pages = map(int, numbers)
    printable = "".join(c if c.isprintable() else "?" for c in fields[7])
    letter = fields[3][:1] if fields[3].isalpha() else "?"
    cpu_s, memory_bytes = ticks / _TICKS_A_SECOND, pages * _PAGE_BYTES
    return Task(pid, parent, uid, letter, cpu_s, memory_bytes, printable)


def _ask(path: Path, kind: StatsKind, timeout_s: float) -> bytes:
    session = Session(connect(path))
    try:
        session.send(encode(Type.STATS, STATS.pack(kind)))
        return session.expect(Type.FIGURES, timeout_s=timeout_s)
    finally:
        session.close()
