"""The disk becomes full at any moment of a verb: it says so, and leaves nothing half done.

It works again when there is room. What gives room back needs none.
"""

from __future__ import annotations

import re

import pytest

from tests.faults import Fault, Faults
from tests.faults import faults as faults  # noqa: PLC0414 (a fixture)
from tests.faults import faults_library as faults_library  # noqa: PLC0414 (a fixture)
from tests.house import RUNS, SLEEP, House, Scenario
from tests.house import house as house  # noqa: PLC0414 (a fixture)
from tests.house import pantry as pantry  # noqa: PLC0414 (a fixture)
from tests.house import platform as platform  # noqa: PLC0414 (a fixture)
from tests.integration.conftest import Cli

TAKE = (
    Scenario(("run", "--name", "c", "busybox", "true")),
    Scenario(
        ("run", "-d", "--name", "c", "-v", "data:/data", "--network", "plum", *SLEEP),
        (("network", "create", "plum"),),
    ),
    Scenario(("run", "-d", "--name", "c", "-p", "127.0.0.1::80", *SLEEP)),
    Scenario(("create", "--name", "c", "-v", "/data", *SLEEP)),
    Scenario(("start", "c"), (("create", "--name", "c", "-v", "data:/data", *SLEEP),)),
    Scenario(("restart", "-t", "1", "c"), (RUNS,)),
    Scenario(("update", "--pids-limit", "50", "c"), (RUNS,)),
    Scenario(("rename", "c", "d"), (RUNS,)),
    Scenario(("cp", "c:/bin", "DIR/bin"), (("create", "--name", "c", *SLEEP),)),
    Scenario(("export", "-o", "DIR/out.tar", "c"), (RUNS,)),
    Scenario(("commit", "c", "new"), (RUNS,)),
    Scenario(("load", "-i", "PANTRY/image.tar")),
    Scenario(("import", "PANTRY/files.tar", "new")),
    Scenario(("save", "-o", "DIR/out.tar", "busybox")),
    Scenario(("tag", "busybox", "plum:1")),
    Scenario(("volume", "create", "data")),
    Scenario(("network", "create", "plum")),
)

GIVE = (
    Scenario(("rm", "-f", "-v", "c"), (("run", "-d", "--name", "c", "-v", "/d", *SLEEP),)),
    Scenario(("stop", "-t", "1", "c"), (RUNS,)),
    Scenario(("container", "prune"), (("run", "--name", "c", "busybox", "true"),)),
    Scenario(("rmi", "filled"), (("load", "-i", "PANTRY/image.tar"),)),
    Scenario(("image", "prune", "--all"), (("load", "-i", "PANTRY/image.tar"),)),
    Scenario(("volume", "rm", "data"), (("volume", "create", "data"),)),
    Scenario(("volume", "prune", "--all"), (("volume", "create", "data"),)),
    Scenario(("network", "rm", "plum"), (("network", "create", "plum"),)),
    Scenario(("system", "prune"), (("create", "busybox", "true"),)),
)

SAYS = re.compile(rb"^drupe: failed to [^\n]*'[^\n]*No space left on device", re.MULTILINE)
"""It names what it could not make or write."""


@pytest.mark.parametrize("scenario", TAKE, ids=str)
@pytest.mark.timeout(0)
def test_a_verb_that_finds_no_room(
    house: House, faults: Faults, cli: Cli, scenario: Scenario
) -> None:
    argv, refused = house.argv(scenario.argv), 0
    house.prepare(scenario)
    moments = list(faults.moments(cli, Fault.FULL, *argv))
    house.check_cleared("none")
    for moment in moments:
        house.prepare(scenario)
        done = faults.disturb(cli, Fault.FULL, moment, *argv)
        assert b"Traceback" not in done.stderr, (moment, done.stderr)
        house.check_whole((moment, done.stderr))
        if done.returncode:
            refused += 1
            assert SAYS.search(done.stderr), (moment, done)
            cli(*argv)
            house.check_whole(moment)
        house.check_cleared(moment)
    assert refused, "the disk was never full: the test does not test"


@pytest.mark.parametrize("scenario", GIVE, ids=str)
@pytest.mark.timeout(0)
def test_a_verb_that_makes_room(house: House, faults: Faults, cli: Cli, scenario: Scenario) -> None:
    house.prepare(scenario)
    argv = house.argv(scenario.argv)
    done = faults.disturb(cli, Fault.FULL, 1, *argv)
    assert done.returncode == 0, done
    house.check_whole("the first")
    house.check_cleared("the first")
