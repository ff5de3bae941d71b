"""Locks on shared files: between containers, and between them and the host."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Cli

PROGRAM = Path(__file__).parent / "programs/locks.py"


class Party:
    """A process that has the file open."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.answer()


@pytest.fixture
def parties(cli: Cli, tmp_path: Path) -> Iterator[list[Party]]:
    """Two containers and the host, with the same directory."""
    shutil.copy(PROGRAM, tmp_path)
    inside = ("run", "-i", "--rm", "--rootfs", "/", "-v", f"{tmp_path}:/v", "--")
    told = ("python3", "/v/locks.py", "/v/f")
    host = [sys.executable, str(PROGRAM), str(tmp_path / "f")]
    found = [Party(cli.start(*inside, *told)) for _ in range(2)]
    found.append(Party(subprocess.Popen(host, stdin=subprocess.PIPE, stdout=subprocess.PIPE)))
    yield found
    for party in found:
        party.process.communicate()
        assert party.process.returncode == 0


@pytest.mark.parametrize("kind", ["flock", "posix"])
def test_locks_are_seen_by_others(parties: list[Party], kind: str) -> None:
    for holder in parties:
        others = [party for party in parties if party is not holder]
        assert holder.ask(f"lock {kind} ex") == "ok"
        assert [party.ask(f"lock {kind} sh") for party in others] == ["EAGAIN"] * 2
        assert holder.ask(f"lock {kind} sh") == "ok"
        assert [party.ask(f"lock {kind} sh") for party in others] == ["ok"] * 2
        assert holder.ask(f"lock {kind} ex") == "EAGAIN"
        assert [party.ask(f"lock {kind} un") for party in parties] == ["ok"] * 3


def test_ranges_are_kept_apart(parties: list[Party]) -> None:
    one, other, host = parties
    assert one.ask("lock posix ex 10 10") == "ok"
    assert one.ask("lock posix sh 15 10") == "ok"
    for party in (other, host):
        assert party.ask("held 0 100") == "ex 10 5"
        assert party.ask("held 15 100") == "sh 15 10"
        assert party.ask("held 25 0") == "un 25 0"
        assert party.ask("lock posix sh 14 1") == "EAGAIN"
        assert party.ask("lock posix sh 15 1") == "ok"
        assert party.ask("lock posix un 15 1") == "ok"
    assert one.ask("lock posix un 0 20") == "ok"
    assert other.ask("held 0 100") == "sh 20 5"
    assert one.ask("lock posix un") == "ok"
    assert other.ask("held 0 0") == "un 0 0"


@pytest.mark.parametrize("kind", ["flock", "posix"])
def test_who_waits_gets_the_lock_and_sees_the_data(parties: list[Party], kind: str) -> None:
    for turn, holder in enumerate(parties):
        waiting = parties[turn - 1]
        assert waiting.ask("read 20") == ("" if not turn else f"by-{turn - 1}")
        assert holder.ask(f"lock {kind} ex") == "ok"
        waiting.tell(f"lock {kind}-wait ex")
        time.sleep(0.1)
        assert holder.ask(f"write by-{turn}") == "ok"
        assert holder.ask(f"lock {kind} un") == "ok"
        assert waiting.answer() == "ok"
        assert waiting.ask("read 20") == f"by-{turn}"
        assert waiting.ask(f"lock {kind} un") == "ok"


def test_a_database_has_several_writers(parties: list[Party], tmp_path: Path) -> None:
    turns = 40
    for party, directory in zip(parties, ("/v", "/v", tmp_path), strict=True):
        party.tell(f"count {directory}/db {turns}")
    assert [party.answer() for party in parties] == ["ok"] * 3
    database = sqlite3.connect(tmp_path / "db")
    ((most, rows),) = database.execute("SELECT max(n), count(*) FROM t").fetchall()
    assert (most, rows) == (3 * turns, 3 * turns)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def test_the_end_of_a_holder_is_the_end_of_its_locks(cli: Cli, parties: list[Party]) -> None:
    one, other, host = parties
    assert one.ask("lock flock ex") == "ok"
    assert one.ask("lock posix ex") == "ok"
    one.process.kill()
    other.tell("lock flock-wait ex")
    host.tell("lock posix-wait ex")
    assert (other.answer(), host.answer()) == ("ok", "ok")
    one.process.communicate()
    parties.remove(one)
    while len(cli.out("ps", "-q").split()) > 1:
        time.sleep(0.1)
