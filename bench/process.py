"""Processes and threads, made, ended and woken: ``bench/programs/process.c``.

``exec`` and ``spawn-static`` start a static program; ``exec-bare`` one without libc, since glibc
asks the processor much as it starts, and where this host is a virtual machine itself, each question
goes to the hypervisor: that costs the same on all sides and hides what they differ in.
``spawn-dynamic`` and each turn of ``shell-loop-true`` start ``/bin/true`` of a Debian tree. Round
trips are one byte or one event there and back.
"""

from __future__ import annotations

from bench import micro
from bench.goals import Goal
from bench.roots import debian_root

_MAKE = Goal(1.5)
GOALS = {
    "fork-wait": _MAKE,
    "fork-exec-wait": _MAKE,
    "thread-create-join": _MAKE,
    "pipe-round-trip": Goal(1.0, pinned_only=True),
    "python3-pass": _MAKE,
}


def main(arguments: list[str]) -> int:
    """Runs the benchmark."""
    return micro.run(
        "process", __doc__, GOALS, debian_root, arguments, more_programs=["bare", "nothing"]
    )
