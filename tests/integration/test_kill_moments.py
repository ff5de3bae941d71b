"""Each verb is killed at its moments: all that is there is whole, and the same command works then.

``FAULT_MOMENTS=1000`` kills at all moments of each verb instead of a few.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.bad_registry import BadRegistry, serving
from tests.faults import Fault, Faults
from tests.faults import faults as faults  # noqa: PLC0414 (a fixture)
from tests.faults import faults_library as faults_library  # noqa: PLC0414 (a fixture)
from tests.house import GONE, RUNS, SLEEP, House, Scenario
from tests.house import house as house  # noqa: PLC0414 (a fixture)
from tests.house import pantry as pantry  # noqa: PLC0414 (a fixture)
from tests.house import platform as platform  # noqa: PLC0414 (a fixture)
from tests.integration.conftest import Cli

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
    with serving() as server:
        yield server


@pytest.mark.timeout(0)
def test_a_pull_is_killed(registry: BadRegistry, house: House, faults: Faults, cli: Cli) -> None:
    killed_at_moments(house, faults, cli, Scenario(("pull", registry.name)), Fault.KILL)
