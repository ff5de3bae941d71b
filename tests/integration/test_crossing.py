"""Commands that cross, and are killed: each works or says why not; what is there is whole."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator

import pytest

from tests.bad_registry import BadRegistry, serving
from tests.faults import MOST
from tests.house import SLEEP, House
from tests.house import house as house  # noqa: PLC0414 (a fixture)
from tests.house import pantry as pantry  # noqa: PLC0414 (a fixture)
from tests.house import platform as platform  # noqa: PLC0414 (a fixture)
from tests.integration.conftest import Cli

ROUNDS = 2 * MOST
AT_ONCE = 5

RUN = ("run", "-d", "--name", "x", "-v", "data:/data", "--network", "plum", *SLEEP)
FAMILIES = {
    "containers": (
        RUN,
        ("run", "-d", "--name", "x", *SLEEP),
        ("rm", "-f", "-v", "x"),
        ("rm", "-f", "x"),
        ("start", "x"),
        ("stop", "-t", "0", "x"),
        ("restart", "-t", "0", "x"),
        ("rename", "x", "y"),
        ("rm", "-f", "y"),
        ("cp", "DIR/file", "x:/file"),
        ("container", "prune"),
        ("commit", "x", "new"),
    ),
    "images": (
        ("load", "-i", "PANTRY/image.tar"),
        ("load", "-i", "PANTRY/image.tar"),
        ("run", "--rm", "filled", "cat", "/b"),
        ("create", "--name", "x", "filled"),
        ("rmi", "-f", "filled"),
        ("rm", "-f", "x"),
        ("tag", "filled", "other"),
        ("rmi", "other"),
        ("image", "prune", "--all"),
        ("system", "prune"),
        ("save", "-o", "DIR/out.tar", "filled"),
    ),
    "places": (
        RUN,
        RUN,
        ("rm", "-f", "x"),
        ("volume", "rm", "data"),
        ("volume", "create", "data"),
        ("volume", "prune", "--all"),
        ("network", "rm", "plum"),
        ("network", "create", "plum"),
        ("network", "prune"),
        ("start", "x"),
    ),
}

SAYS = re.compile(rb"(?!.*Traceback)drupe: failed to ", re.DOTALL)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.timeout(0)
def test_commands_at_once(house: House, cli: Cli, family: str) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    cli("network", "create", "plum")
    for number in range(ROUNDS):
        chosen = [house.argv(chance.choice(FAMILIES[family])) for _ in range(AT_ONCE)]
        crossing = [cli.start(*argv) for argv in chosen]
        if chance.random() < 0.4:
            time.sleep(chance.random() * 0.3)
            chance.choice(crossing).kill()
        for argv, process in zip(chosen, crossing, strict=True):
            said = process.communicate(timeout=120)[1]
            fine = process.returncode in {0, -9} or SAYS.search(said)
            assert fine, (seed, number, argv, process.returncode, said)
        house.check((seed, number, chosen))
    house.check_cleared(seed)


@pytest.mark.timeout(0)
def test_two_starts(house: House, cli: Cli) -> None:
    """One machine comes of them."""
    cli("create", "--name", "x", *SLEEP)
    crossing = [cli.start("start", "x") for _ in range(3)]
    for process in crossing:
        process.communicate(timeout=60)
    assert [process.returncode for process in crossing] == [0, 0, 0]
    assert cli.out("exec", "x", "echo", "here") == "here"
    house.check_cleared("all")


@pytest.fixture
def registry() -> Iterator[BadRegistry]:
    """One that does nothing wrong, slowly."""

    def wait(_: object) -> bool:
        time.sleep(0.3)
        return False

    with serving() as server:
        server.trick("/v2/x/blobs/.*", wait)
        yield server


@pytest.mark.timeout(0)
def test_several_pull_and_one_is_killed(registry: BadRegistry, house: House, cli: Cli) -> None:
    crossing = [cli.start("pull", registry.name) for _ in range(3)]
    time.sleep(0.3)
    crossing[0].kill()
    said = [process.communicate(timeout=60)[1] for process in crossing]
    assert [process.returncode for process in crossing[1:]] == [0, 0], said
    house.check("the end")
    assert cli.out("images", "-q", "--filter", f"reference={registry.name}")
    house.check_cleared("all")
