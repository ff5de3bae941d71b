"""What a container uses: of its host, as the host counts; inside, as its own kernel does."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drupe.container.lifecycle import ANSWER_TIMEOUT_S, running
from drupe.container.processes import machine_processes, network_process
from drupe.container.record import Record
from drupe.errors import StateError
from drupe.guest.figures import Inside, Task, ask_figures, ask_processes

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_STAT_TIMES = slice(11, 15)
"""User and system time, the same of children that were waited for; fields of /proc/PID/stat after
the name, counted from 0. Source: proc(5)."""
_BLOCK_BYTES = 512


class Figures(NamedTuple):
    """What a container uses at one moment.

    Attributes:
        cpu_ns: processor time of the host, of all its processes there, since its start.
        memory_bytes: memory of the host in its memory file, and what its processes have beside it.
        host_processes: processes of the host that are its machine, and its network.
        inside: what its own kernel counts.
    """

    cpu_ns: int
    memory_bytes: int
    host_processes: int
    inside: Inside


def figures(record: Record) -> Figures:
    """What a container uses now.

    Raises:
        StateError: it does not run.
        GuestError: its init does not tell.
    """
    condition = running(record)
    inside = ask_figures(record.control, timeout_s=ANSWER_TIMEOUT_S)
    pid = condition.pid
    if pid is None:
        raise StateError(f"failed to look into container '{record.spec.name}': it has ended")
    network = network_process(record)
    machine = machine_processes(pid) + ([] if network is None else [network.pid])
    return Figures(
        sum(map(_cpu_ns, machine)),
        _memory_file_bytes(pid) + sum(map(_private_bytes, machine)),
        len(machine),
        inside,
    )


def tasks(record: Record) -> list[Task]:
    """A container's processes, as its own kernel sees them; its init and kernel threads left out.

    Raises:
        StateError: it does not run.
        GuestError: its init does not tell.
    """
    running(record)
    return ask_processes(record.control, timeout_s=ANSWER_TIMEOUT_S)


def _cpu_ns(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return sum(map(int, fields[_STAT_TIMES])) * _TICK_NS
    return 0


def _memory_file_bytes(pid: int) -> int:
    """Of the largest file without a name that it holds: the memory of its guest."""
    held = [0]
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                file = entry.stat()
                if file.st_nlink == 0:
                    held.append(file.st_blocks * _BLOCK_BYTES)
    return max(held)


def _private_bytes(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "RssAnon":
                return int(value.split()[0]) << 10
    return 0
