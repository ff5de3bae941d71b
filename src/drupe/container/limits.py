"""Limits of a container, in docker's notation: shares of processors, numbers of processes."""

from __future__ import annotations

import math
import os
import re
from typing import NamedTuple

from drupe.errors import SpecError

_SHARES_LEAST, _SHARES_MOST = 2, 262_144
_PIDS_MOST = 1 << 22


class Limits(NamedTuple):
    """What a container may use beside memory; 0 or empty: no limit.

    Attributes:
        cpus: processors' worth of time.
        cpu_shares: weight against others.
        cpuset: the host's processors that it may run on.
        pids: processes and threads in it.
    """

    cpus: float = 0.0
    cpu_shares: int = 0
    cpuset: tuple[int, ...] = ()
    pids: int = 0


def parse_cpus(text: str) -> float:
    """Processors' worth of time: 0.5, 2; 0: as many as there are.

    Raises:
        SpecError: not a number, or more than the host has.
    """
    most = os.cpu_count() or 1
    try:
        cpus = float(text)
    except ValueError:
        cpus = math.nan
    if cpus != 0 and not 0.01 <= cpus <= most:
        raise SpecError(
            f"failed to use cpus '{text}': not a share of processors",
            hint=f"0.01 to {most}, which is all there are; 0: no limit",
        )
    return cpus


def check_cpu_shares(shares: int) -> int:
    """A weight against other groups.

    Raises:
        SpecError: out of bounds.
    """
    if shares and not _SHARES_LEAST <= shares <= _SHARES_MOST:
        raise SpecError(
            f"failed to use cpu shares {shares}: {_SHARES_LEAST} to {_SHARES_MOST}, please"
        )
    return shares


def parse_cpuset(text: str) -> tuple[int, ...]:
    """Processors: 0-2,5.

    Raises:
        SpecError: not a list of them, or one that we may not run on.
    """
    if not re.fullmatch(r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*", text):
        raise SpecError(f"failed to use processors '{text}': not a list", hint="such as 0-2,5")
    chosen: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        chosen.update(range(int(first), int(last or first) + 1))
    if missing := sorted(chosen - os.sched_getaffinity(0)):
        raise SpecError(
            f"failed to use processors '{text}': {missing[0]} is not one of yours",
            hint=f"those are {','.join(map(str, sorted(os.sched_getaffinity(0))))}",
        )
    return tuple(sorted(chosen))


def check_pids(count: int) -> int:
    """A number of processes; 0 or less: no limit.

    Raises:
        SpecError: too many.
    """
    if count > _PIDS_MOST:
        raise SpecError(f"failed to use pids limit {count}: {_PIDS_MOST} at most")
    return max(0, count)
