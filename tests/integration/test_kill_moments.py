"""Each verb is killed at its moments: all that is there is whole, and the same command works then.

``FAULT_MOMENTS=1000`` kills at all moments of each verb instead of a few.
"""

from __future__ import annotations

import re
import subprocess
import threading
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
from tests.bad_registry import BadRegistry
from tests.conftest import Home, traces
from tests.consistency import broken, leftovers
from tests.faults import Fault, Faults
from tests.faults import faults as faults  # noqa: PLC0414 (a fixture)
from tests.faults import faults_library as faults_library  # noqa: PLC0414 (a fixture)
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


SCENARIOS = (
    Scenario(("run", "--name", "c", "busybox", "true"), done="has it"),
    Scenario(
        ("run", "-d", "--name", "c", "-v", "data:/data", "--network", "plum", *SLEEP),
        (("network", "create", "plum"),),
        "has it",
    ),
    Scenario(("run", "-d", "--name", "c", "-p", "127.0.0.1::80", *SLEEP), done="has it"),
    Scenario(("create", "--name", "c", "-v", "/data", *SLEEP), done="has it"),
    Scenario(("start", "c"), (("create", "--name", "c", "-v", "data:/data", *SLEEP),)),
    Scenario(("stop", "-t", "1", "c"), (RUNS,)),
    Scenario(("restart", "-t", "1", "c"), (RUNS,)),
    Scenario(("kill", "c"), (RUNS,), "not running"),
    Scenario(("pause", "c"), (RUNS,), "it is paused"),
    Scenario(("unpause", "c"), (RUNS, ("pause", "c")), "it is running"),
    Scenario(("update", "--pids-limit", "50", "c"), (RUNS,)),
    Scenario(("exec", "c", "true"), (RUNS,)),
    Scenario(("rename", "c", "d"), (RUNS,), GONE),
    Scenario(("rm", "-f", "-v", "c"), (("run", "-d", "--name", "c", "-v", "/d", *SLEEP),), GONE),
    Scenario(("container", "prune"), (("run", "--name", "c", "busybox", "true"),)),
    Scenario(("cp", "DIR/file", "c:/file"), (RUNS,)),
    Scenario(("cp", "c:/bin", "DIR/bin"), (("create", "--name", "c", *SLEEP),)),
    Scenario(("export", "-o", "DIR/out.tar", "c"), (RUNS,)),
    Scenario(("commit", "c", "new"), (("run", "-d", "--name", "c", "busybox", "sleep", "99"),)),
    Scenario(("load", "-i", "PANTRY/image.tar")),
    Scenario(("import", "PANTRY/files.tar", "new")),
    Scenario(("save", "-o", "DIR/out.tar", "busybox")),
    Scenario(("tag", "busybox", "plum:1")),
    Scenario(("rmi", "plum:1"), (("tag", "busybox", "plum:1"),), GONE),
    Scenario(("rmi", "filled"), (("load", "-i", "PANTRY/image.tar"),), GONE),
    Scenario(("image", "prune", "--all"), (("load", "-i", "PANTRY/image.tar"),)),
    Scenario(("volume", "create", "data")),
    Scenario(("volume", "rm", "data"), (("volume", "create", "data"),), GONE),
    Scenario(("volume", "prune", "--all"), (("volume", "create", "data"),)),
    Scenario(("network", "create", "plum"), done="there is one already"),
    Scenario(("network", "rm", "plum"), (("network", "create", "plum"),), GONE),
    Scenario(("network", "prune"), (("network", "create", "plum"),)),
    Scenario(
        ("system", "prune"), (("load", "-i", "PANTRY/image.tar"), ("create", "busybox", "true"))
    ),
)


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
        assert broken(self._home) == [], f"at moment {moment}"

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
        assert leftovers(self._home) == [], f"at moment {moment}"
        deadline = time.monotonic() + 5
        while left := self._traces() - self._before:
            assert time.monotonic() < deadline, f"left at moment {moment}: {left}"
            time.sleep(0.02)


@pytest.fixture
def house(cli: Cli, private_home: Home, pantry: Path) -> House:
    """A home with an image."""
    return House(cli, private_home, pantry)


def killed_at_moments(
    house: House, faults: Faults, cli: Cli, scenario: Scenario, fault: Fault
) -> None:
    """Kills a command, looks, gives it again, clears up, and looks; and again."""
    argv, killed = house.argv(scenario.argv), 0
    house.prepare(scenario)
    moments = list(faults.moments(cli, fault, *argv))
    house.check_cleared("none")
    for moment in moments:
        house.prepare(scenario)
        done = faults.disturb(cli, fault, moment, *argv)
        killed += done.returncode != 0
        assert b"Traceback" not in done.stderr, (moment, done.stderr)
        house.check(moment)
        again = cli(*argv, status=None)
        as_it_should = again.returncode == 0 or re.search(scenario.done, again.stderr.decode())
        assert as_it_should, (moment, again)
        house.check(moment)
        house.check_cleared(moment)
    assert killed, "it was never killed before its end: the test does not test"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
@pytest.mark.timeout(0)
def test_a_verb_is_killed(house: House, faults: Faults, cli: Cli, scenario: Scenario) -> None:
    killed_at_moments(house, faults, cli, scenario, Fault.KILL)


@pytest.mark.parametrize("scenario", [SCENARIOS[1], SCENARIOS[4], SCENARIOS[16]], ids=str)
@pytest.mark.timeout(0)
def test_what_a_verb_has_forked_is_killed(
    house: House, faults: Faults, cli: Cli, scenario: Scenario
) -> None:
    """It fails, then, and leaves nothing; or it had done its work."""
    killed_at_moments(house, faults, cli, scenario, Fault.CHILD)


@pytest.fixture
def registry() -> Iterator[BadRegistry]:
    """One that does nothing wrong."""
    server = BadRegistry()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.timeout(0)
def test_a_pull_is_killed(registry: BadRegistry, house: House, faults: Faults, cli: Cli) -> None:
    killed_at_moments(house, faults, cli, Scenario(("pull", registry.name)), Fault.KILL)
