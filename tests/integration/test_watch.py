"""Pausing, figures, processes, updates, conditions and events of real containers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import drupe
from drupe.container.processes import machine_processes
from tests.integration.conftest import Cli

COUNTS = ("busybox", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done")
COMPUTES = ("busybox", "sh", "-c", "while :; do :; done")


def machine(cli: Cli, name: str) -> list[int]:
    return machine_processes(int(cli.out("inspect", "-f", "{{.state.pid}}", name)))


def cpu_ticks(processes: list[int]) -> int:
    total = 0
    for pid in processes:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:13]))
    return total


def test_what_is_paused_stands_still_and_goes_on(cli: Cli) -> None:
    for name, program in (("counts", COUNTS), ("computes", COMPUTES)):
        cli("run", "-d", "--name", name, *program)
        cli("pause", name)
        assert "(Paused)" in cli.out("ps")
        time.sleep(0.05)
        before = cpu_ticks(machine(cli, name))
        time.sleep(0.3)
        assert cpu_ticks(machine(cli, name)) - before <= 1
        done = cli("exec", name, "true", status=125)
        assert b"it is paused, not running" in done.stderr
        cli("unpause", name)
        # The guest's clock is the host's all the time.
        begun = int(time.time())
        assert begun <= int(cli.out("exec", name, "date", "+%s")) <= time.time()
        cli("pause", name)
        cli("stop", "-t", "0", name)
        cli("rm", name)


def test_a_pause_that_was_killed_can_be_undone(cli: Cli) -> None:
    cli("run", "-d", "--name", "c", *COUNTS)
    first, *_ = machine(cli, "c")
    os.kill(first, signal.SIGSTOP)
    time.sleep(0.05)
    assert "(Paused)" in cli.out("ps")
    cli("unpause", "c")
    assert cli.out("exec", "c", "echo", "on") == "on"
    cli("rm", "-f", "c")


def test_figures_are_told(cli: Cli) -> None:
    script = "head -c 30m /dev/zero >/dev/shm/x; sleep 1000 & while :; do :; done"
    cli("run", "-d", "--name", "c", "-m", "256m", "busybox", "sh", "-c", script)
    deadline = time.monotonic() + 60
    while True:
        (line,) = cli.out("stats", "--no-stream", "--format=json").splitlines()
        told = json.loads(line)
        if told["pids"] == 2 and told["memory_used_inside_bytes"] > 30 << 20:
            break
        assert time.monotonic() < deadline, told
    assert told["name"] == "c"
    assert 0 < told["cpu_percent"] < 150
    assert 30 << 20 < told["memory_bytes"] < 200 << 20
    assert told["memory_limit_bytes"] == 256 << 20
    assert told["block_read_bytes"] > 0
    heading, line = cli.out("stats", "--no-stream", "c").splitlines()
    assert heading.split()[:2] == ["CONTAINER", "ID"]
    assert line.split()[1] == "c"
    commands = cli.out("top", "--format", "{{.Uid}} {{.State}} {{.Command}}", "c").splitlines()
    assert commands == [f"0 R sh -c {script}", "0 S sleep 1000"]
    cli("rm", "-f", "c")


def test_updates_hold_at_once_and_later(cli: Cli) -> None:
    cli("run", "-d", "--name", "c", "busybox", "sleep", "1000")
    cli("update", "--pids-limit", "5", "--restart", "always", "c")
    forks = ("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 100 & done")
    assert b"can't fork" in cli("exec", "c", *forks, status=None).stderr
    cli("update", "--pids-limit", "0", "c")
    cli("exec", "c", *forks)
    assert b"a container's kernel keeps" in cli("update", "-m", "1g", "c", status=125).stderr
    assert b"no change given" in cli("update", "c", status=125).stderr
    told = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", "c"))
    assert told["restart"] == {"policy": "always", "attempts": 0}
    cli("rm", "-f", "c")


def test_wait_for_health(cli: Cli) -> None:
    check = ("--health-cmd", "test -e /ok", "--health-interval", "50ms")
    script = "sleep 0.3; touch /ok; sleep 1000"
    cli("run", "-d", "--name", "c", *check, "busybox", "sh", "-c", script)
    assert cli.out("wait", "--condition", "healthy", "--timeout", "30", "c") == "healthy"
    assert cli.out("wait", "--condition", "running", "c") == "running"
    assert b"not ended in 0.1 s" in cli("wait", "--timeout", "0.1", "c", status=125).stderr
    cli("rm", "-f", "c")


def test_events_are_seen_as_they_happen(cli: Cli) -> None:
    begun = time.time()
    options = ("--since", "1s", "--filter", "container=c", "--format", "json")
    follower = cli.start("events", *options)
    assert follower.stdout is not None
    steps: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
        (("run", "-d", "--name", "c", "busybox", "sleep", "1000"), ("create", "start")),
        (("pause", "c"), ("pause",)),
        (("unpause", "c"), ("unpause",)),
        (("rm", "-f", "c"), ("destroy",)),
    ]
    for command, actions in steps:
        cli(*command)
        for action in actions:
            event = json.loads(follower.stdout.readline())
            assert event["action"] == action
            assert begun - 1 < event["time_ns"] / 1e9 < time.time()
    follower.send_signal(signal.SIGINT)
    out, err = follower.communicate(timeout=10)
    assert (follower.returncode, out, err) == (130, b"", b"")
    cli("run", "--name", "d", "busybox", "sh", "-c", "exit 3", status=3)
    line = cli.out("events", "--since", "1m", "--until", "0s", "-f", "event=die")
    assert line.split(maxsplit=3)[1:3] == ["container", "die"]
    assert "exit_status=3" in line
    cli("rm", "d")


def test_the_same_from_python(cli: Cli) -> None:
    with drupe.Container.run("busybox", ["sleep", "1000"], health_cmd="true") as container:
        container.pause()
        assert container.state == drupe.State.PAUSED
        container.unpause()
        container.update(restart="on-failure:3")
        assert container.stats().inside.threads == 1
        assert [task.command for task in container.top()] == ["sleep 1000"]
        container.wait_until("running", timeout=10)
        assert container.health is not None
        assert container.restarts == 0
        since = time.time() - 60
        found = [event.action for event in drupe.events(since=since, until=time.time())]
        assert found == ["create", "start"]

    async def main() -> list[str]:
        async with await drupe.aio.Container.run("busybox", ["sleep", "1000"]) as container:
            await container.pause()
            await container.unpause()
            await container.update(pids_limit=7)
            assert (await container.stats()).inside.threads == 1
            assert [task.pid for task in await container.top()]
            await container.wait_until("running", timeout=10)
            now = time.time()
            events = drupe.aio.events(since=now - 60, until=now)
            return [event.action async for event in events]

    assert asyncio.run(main()) == ["create", "start"]
