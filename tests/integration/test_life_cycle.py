"""Containers that are made first and started later, started again, renamed."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import drupe
from tests.conftest import Home
from tests.integration.conftest import Cli

COUNTS = ("busybox", "sh", "-c", "echo run; sleep 1000")


def state(cli: Cli, name: str) -> str:
    told = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", name))
    return str(told["state"]["status"])


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_container_is_created_started_and_started_again(cli: Cli, tmp_path: Path) -> None:
    script = "read line; echo got $line; exit 3"
    file = tmp_path / "id"
    identity = cli.out(
        "create", "-i", "--name", "c", "--cidfile", str(file), "busybox", "sh", "-c", script
    )
    assert file.read_text() == identity
    assert cli.out("ps", "-q") == ""
    assert state(cli, "c") == "created"
    assert b"it never ran" in cli("wait", "c", status=125).stderr
    for word in (b"one", b"two"):
        done = cli("start", "-ai", "c", status=3, input_bytes=word + b"\n")
        assert done.stdout == b"got " + word + b"\n"
        assert state(cli, "c") == "exited"
    assert cli.out("logs", "c") == "got one\ngot two"
    assert cli.out("start", "c") == "c"
    # Without -i it reads /dev/null.
    assert cli.out("wait", "c") == "3"
    cli("rename", "c", "d")
    assert cli.out("rm", "d") == "d"


def test_restart_and_start_of_one_that_runs(cli: Cli) -> None:
    cli("create", "--name", "c", *COUNTS)
    cli("start", "c")
    until(lambda: cli.out("logs", "c") == "run")
    first = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", "c"))
    cli("start", "c")
    same = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", "c"))
    assert same["state"] == first["state"]
    refused = cli("start", "-a", "c", status=125)
    assert b"failed to start container 'c': it is running" in refused.stderr
    cli("restart", "-t", "1", "c")
    second = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", "c"))
    assert second["state"]["pid"] != first["state"]["pid"]
    assert second["state"]["started_ns"] > first["state"]["started_ns"]
    until(lambda: cli.out("logs", "c") == "run\nrun")
    cli("stop", "-t", "1", "c")
    assert cli.out("wait", "c") == "143"
    cli("rm", "c")


def test_a_start_that_is_killed_at_any_moment(cli: Cli) -> None:
    """What it started goes on or has ended; the next start works."""
    cli("create", "--name", "c", "busybox", "true")
    begin = time.monotonic()
    cli("start", "-a", "c")
    length = time.monotonic() - begin
    for moment in range(8):
        process = cli.start("start", "-a", "c")
        time.sleep(length * (moment + random.random()) / 8)
        process.kill()
        process.communicate()
        assert state(cli, "c") in {"created", "running", "exited", "dead"}
        deadline = time.monotonic() + 15
        while cli("start", "-a", "c", status=None).returncode:
            assert time.monotonic() < deadline
        assert state(cli, "c") == "exited"
    cli("rm", "c")


def test_verbs_at_once(cli: Cli, private_home: Home) -> None:
    cli("create", "--name", "c", *COUNTS)
    verbs = [("start",), ("restart", "-t", "0"), ("stop", "-t", "0"), ("rm", "-f")] * 2
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda verb: cli(*verb, "c", status=None), verbs))
    for one in done:
        # Whoever comes too late finds nothing; whoever was stopped while it started is told.
        assert one.returncode in {0, 125}, one
        assert b"Traceback" not in one.stderr
    assert list((private_home.state / "containers").iterdir()) == []


def test_the_api_has_it_all(cli: Cli) -> None:
    with drupe.Container.create("busybox", ["sh", "-c", "echo run; sleep 1000"]) as container:
        assert container.state == "created"
        container.start()
        assert container.state == "running"
        container.rename("seed")
        assert drupe.get("seed").id == container.id
        until(lambda: len(list(container.logs())) == 1)
        container.restart(grace=1.0)
        until(lambda: len(list(container.logs())) == 2)
        assert container.stop(grace=1.0) == 143


def test_asyncio_has_it_all(cli: Cli) -> None:
    async def work() -> None:
        async with await drupe.aio.Container.create("busybox", ["sleep", "1000"]) as container:
            await container.start()
            await container.rename("seed")
            first = container.pid
            await container.restart(grace=0.0)
            assert first != container.pid is not None
            assert await container.stop(grace=0.0) in {137, 143}
            # Called off: it is as it was before.
            starting = asyncio.create_task(container.start())
            await asyncio.sleep(0.02)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            assert container.pid is None
            await container.start()
            assert container.state == "running"
        (usage,) = [one for one in await drupe.aio.disk_usage() if one.kind == "Containers"]
        assert usage.items == ()
        assert await drupe.aio.prune_containers() == []

    asyncio.run(work())
