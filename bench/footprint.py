"""What host processes take: their share of memory, files in memory, page tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) (\d+)")
_BLOCK = 512

File = tuple[int, int, int]
"""A file: major and minor of its device, inode."""


class Footprint(NamedTuple):
    """What some processes take together.

    Attributes:
        processes: how many they are.
        pss_bytes: their proportional shares of all that they map, but for the files below.
        files_bytes: what is allocated to files without a name that they hold: memory that they
            share with each other, mapped at the moment or not.
        tables_bytes: their page tables.
    """

    processes: int = 0
    pss_bytes: int = 0
    files_bytes: int = 0
    tables_bytes: int = 0

    @property
    def memory_bytes(self) -> int:
        """All of it."""
        return self.pss_bytes + self.files_bytes + self.tables_bytes


def footprint(pids: Iterable[int]) -> Footprint:
    """What these processes take; those that have ended take nothing.

    Needs the right to look at them.
    """
    there = sorted(set(pids))
    files: dict[File, int] = {}
    for pid in there:
        files |= dict(_nameless(pid))
    pss = tables = count = 0
    for pid in there:
        with suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{pid}/smaps").read_text()
            status = Path(f"/proc/{pid}/status").read_text()
            count += 1
            pss += parse_pss(text, files)
            tables += 1024 * sum(int(n) for n in re.findall(r"^VmPTE:\s+(\d+) kB$", status, re.M))
    return Footprint(count, pss, sum(files.values()), tables)


def parse_pss(smaps: str, without: Iterable[File]) -> int:
    """Bytes of all mappings of a ``smaps`` file but those of certain files."""
    left_out = set(without)
    total = 0
    counts = True
    for line in smaps.splitlines():
        mapping = _MAPPING.match(line)
        if mapping:
            major, minor, inode = mapping.groups()
            counts = (int(major, 16), int(minor, 16), int(inode)) not in left_out
        elif counts and line.startswith("Pss:"):
            total += 1024 * int(line.split()[1])
    return total


def with_descendants(roots: Iterable[int]) -> set[int]:
    """These processes and all that descend from them."""
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid in found:
            continue
        found.add(pid)
        for thread in _entries(Path(f"/proc/{pid}/task")):
            with suppress(OSError):
                waiting += map(int, (thread / "children").read_text().split())
    return found


def naming(word: str) -> set[int]:
    """Processes whose command line has a word in it."""
    found = set()
    for entry in _entries(Path("/proc")):
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if word.encode() in (entry / "cmdline").read_bytes():
                    found.add(int(entry.name))
    return found


def _nameless(pid: int) -> Iterator[tuple[File, int]]:
    """Files in memory that a process holds and that have no name, with what is allocated."""
    for entry in _entries(Path(f"/proc/{pid}/fd")):
        with suppress(OSError):
            status = entry.stat()
            if status.st_nlink == 0 and entry.is_file():
                device = (os.major(status.st_dev), os.minor(status.st_dev))
                yield (*device, status.st_ino), status.st_blocks * _BLOCK


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []
