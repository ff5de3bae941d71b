"""Makes things go wrong at exact moments of a command: it is killed, or the disk is full.

A moment is a call by which the command changes files or talks to others (``faults.c``); so each
state that a killed command can leave on the disk is reached, and reached again.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import pytest

from tests.integration.conftest import Cli

MOST = int(os.environ.get("FAULT_MOMENTS", "2"))
"""At how many moments each command is disturbed; there are some twenty to a hundred."""


class Fault(StrEnum):
    """What goes wrong: see ``faults.c``."""

    KILL = "kill"
    CHILD = "child"
    FULL = "full"


@dataclass(frozen=True)
class Faults:
    """Commands that are disturbed."""

    library: Path
    counter: Path

    def disturb(
        self, cli: Cli, fault: Fault, at: int, *argv: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs a command in which something goes wrong at a moment; 0: nothing does."""
        self.counter.write_bytes(bytes(8))
        told = {"LD_PRELOAD": str(self.library), "FAULT_COUNT": str(self.counter)}
        return replace(cli, env={**cli.env, **told, "FAULT": f"{fault} {at}"})(*argv, status=None)

    @property
    def seen(self) -> int:
        """How many moments the last command had."""
        return int.from_bytes(self.counter.read_bytes(), "little")

    def moments(self, cli: Cli, fault: Fault, *argv: str) -> Iterator[int]:
        """Moments of a command to disturb it at, evenly spread; it must succeed now."""
        done = self.disturb(cli, fault, 0, *argv)
        assert done.returncode == 0, (argv, done.stderr)
        there = self.seen
        chosen = min(there, MOST)
        # Another part of them with each call: in the end, all are reached.
        first = os.getpid() % max(1, there // max(1, chosen))
        yield from sorted(
            {1 + (first + number * there // chosen) % there for number in range(chosen)}
        )


@pytest.fixture(scope="session")
def faults_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``faults.c``, to be preloaded."""
    path = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).with_suffix(".c")
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", path, source, "-ldl"], check=True)
    return path


@pytest.fixture
def faults(faults_library: Path, tmp_path: Path) -> Faults:
    """Commands that are disturbed."""
    return Faults(faults_library, tmp_path / "fault-counter")
