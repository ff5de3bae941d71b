"""A home in which commands are disturbed, and what it takes to begin anew after each."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from drupe.container import volumes
from drupe.container.images import prune_images
from drupe.container.store import Store
from drupe.errors import NotFoundError, StateError
from drupe.limits.hierarchy import find_parents
from drupe.net.named import Networks
from drupe.platform.registry import VARIABLE
from tests.conftest import Home, traces
from tests.consistency import broken, leftovers
from tests.integration.conftest import Cli

SLEEP = ("busybox", "sleep", "1000")
RUNS = ("run", "-d", "--name", "c", *SLEEP)
GONE = "no such"


class Scenario(NamedTuple):
    """A command to be killed.

    Attributes:
        argv: the command; DIR stands for a directory, PANTRY for one with archives.
        stage: commands that come before it.
        done: what the same command says after one that was killed when it had done its work.
    """

    argv: tuple[str, ...]
    stage: tuple[tuple[str, ...], ...] = ()
    done: str = "-"

    def __str__(self) -> str:
        return "-".join(self.argv[:2])


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> str:
    """One: what is on disk is the same on all."""
    monkeypatch.setenv(VARIABLE, "um")
    return "um"


@pytest.fixture(scope="session")
def pantry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is made for the first test, and copied by the others."""
    return tmp_path_factory.mktemp("pantry")


class House:
    """The homes of a test, with what it takes to begin anew."""

    def __init__(self, cli: Cli, home: Home, pantry: Path) -> None:
        self._cli, self._home, self._ids = cli, home, set[str]()
        directory = home.path / "dir"
        directory.mkdir()
        (directory / "file").write_bytes(bytes(300_000))
        self._words = {"DIR": directory, "PANTRY": pantry}
        kept = {home.cache: pantry / "cache", home.data: pantry / "data"}
        for place, copy in kept.items():
            place.parent.mkdir(exist_ok=True)
            if copy.exists():
                subprocess.run(["cp", "-a", "--sparse=always", copy, place], check=True)
        if not home.data.exists():
            cli("run", "--name", "made", "busybox", "sh", "-c", "seq 99999 >/a; seq 9 >/b")
            cli("commit", "made", "filled")
            cli("save", "-o", f"{pantry}/image.tar", "filled")
            cli("export", "-o", f"{pantry}/files.tar", "made")
            self.clear()
            for place, copy in kept.items():
                subprocess.run(["cp", "-a", "--sparse=always", place, copy], check=True)
        self._before = self._traces()

    def _traces(self) -> set[str]:
        """What can be left; of control groups, those of the containers here."""
        groups = {
            f"control group {group}"
            for parent in find_parents().values()
            for group in parent.path.glob("drupe-*")
            if group.name.removeprefix("drupe-") in self._ids
        }
        return {line for line in traces(self._home) if not line.startswith("control")} | groups

    def argv(self, argv: tuple[str, ...]) -> list[str]:
        """A command with its words replaced."""
        replaced = []
        for word in argv:
            first, slash, rest = word.partition("/")
            replaced.append(str(self._words.get(first, first)) + slash + rest)
        return replaced

    def prepare(self, scenario: Scenario) -> None:
        """All that comes before a command."""
        for argv in scenario.stage:
            self._cli(*self.argv(argv))

    def check(self, moment: object) -> None:
        """Nothing that is there is broken."""
        found = broken(self._home)
        assert not found, f"at moment {moment}: {found}"

    def check_whole(self, moment: object) -> None:
        """Nothing is half done either."""
        self.check(moment)
        left = leftovers(self._home)
        assert not left, f"at moment {moment}: {left}"

    def clear(self) -> None:
        """Removes all but ``busybox``."""
        store = Store()
        self._ids |= {path.name[:12] for path in self._home.state.glob("containers/*")}
        store.sweep()
        for record in store.list():
            with suppress(NotFoundError, StateError):
                store.remove(record, force=True, volumes=True)
        volumes.prune(store, every=True)
        Networks().prune()
        prune_images(every=True)

    def check_cleared(self, moment: object) -> None:
        """What a killed command left is gone with all that the next ones removed."""
        self.clear()
        found = leftovers(self._home)
        assert not found, f"at moment {moment}: {found}"
        deadline = time.monotonic() + 5
        while left := self._traces() - self._before:
            assert time.monotonic() < deadline, f"left at moment {moment}: {left}"
            time.sleep(0.02)


@pytest.fixture
def house(cli: Cli, private_home: Home, pantry: Path) -> Iterator[House]:
    """A home with an image."""
    house = House(cli, private_home, pantry)
    yield house
    house.clear()
