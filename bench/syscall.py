"""System calls one by one: ``bench/programs/syscall.c``.

Names ending in -syscall go through libc's ``syscall()``, those in -inline are an instruction of the
program's own, the others go through libc's functions; ``open-close`` and ``stat`` concern a file in
memory, those ending in -root one of the root.
"""

from __future__ import annotations

from bench import micro
from bench.goals import Goal
from bench.roots import small_root

_CALL = Goal(0.4)
_FILE = Goal(0.9)
GOALS = {
    "getppid": _CALL,
    "getppid-syscall": _CALL,
    "getppid-inline": _CALL,
    "read": _CALL,
    "read-inline": _CALL,
    "open-close": _FILE,
    "stat": _FILE,
}


def main(arguments: list[str]) -> int:
    """Runs the benchmark."""
    return micro.run("syscall", __doc__, GOALS, lambda _: small_root(), arguments)
