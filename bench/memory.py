"""Memory: pages touched, mapped, protected, moved and copied: ``bench/programs/memory.c``.

``touch``, ``fault``, ``munmap-touched`` and ``copy-on-write`` are of one page, the others of one
whole. Slow sides touch a part of the 256 MiB only. The host's setting of transparent huge pages is
in the result file.
"""

from __future__ import annotations

from bench import micro
from bench.goals import Goal
from bench.roots import small_root

_FAULT = Goal(1.0)
_MAP = Goal(3.0)
GOALS = {
    "touch-256M": _FAULT,
    "touch-again-256M": _FAULT,
    "fault-random": _FAULT,
    "mmap-munmap-4K": _MAP,
    "mmap-munmap-64K": _MAP,
    "mmap-munmap-1M": _MAP,
}


def main(arguments: list[str]) -> int:
    """Runs the benchmark."""
    return micro.run("memory", __doc__, GOALS, lambda _: small_root(), arguments)
