"""Limits: what a container may use of its host, and that nothing of them is left behind."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from drupe.container.processes import machine_processes
from drupe.limits.hierarchy import find_parents
from tests.integration.conftest import Cli

GRANTED = find_parents()
BURN = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo burnt; sleep 100"


def needs(*controllers: str) -> pytest.MarkDecorator:
    """Skips a test where this host does not grant a controller."""
    missing = [name for name in controllers if name not in GRANTED]
    return pytest.mark.skipif(bool(missing), reason=f"no control group with {missing} to be had")


def state_of(cli: Cli, container: str) -> tuple[int, dict[str, Path]]:
    """Its kernel's process, and its groups."""
    told = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", container))
    groups = told["control_groups"]
    return told["state"]["pid"], {name: Path(path) for name, path in groups.items()}


def until_log(cli: Cli, container: str, text: str) -> None:
    deadline = time.monotonic() + 60
    while text.encode() not in (done := cli("logs", container)).stdout + done.stderr:
        assert time.monotonic() < deadline, done
        time.sleep(0.05)


@needs("memory", "pids")
def test_a_machine_is_in_groups_of_its_own_while_it_lives(cli: Cli) -> None:
    container = cli.out("run", "-d", "-m", "128m", "busybox", "sleep", "100")
    pid, groups = state_of(cli, container)
    machine = set(machine_processes(pid))
    for name in ("memory", "pids"):
        joined = set(map(int, (groups[name] / "cgroup.procs").read_text().split()))
        assert joined >= machine
    limit = "memory.max" if GRANTED["memory"].version == 2 else "memory.limit_in_bytes"
    assert int((groups["memory"] / limit).read_text()) == (128 + 64 + 64) << 20
    assert int((groups["pids"] / "pids.max").read_text()) == 1024 + 1024
    cli("stop", "-t", "0", container)
    assert not [path for path in groups.values() if path.exists()]
    cli("start", container)
    _, again = state_of(cli, container)
    assert all(path.exists() for path in again.values())
    cli("rm", "-f", container)
    assert not [path for path in again.values() if path.exists()]


@needs("memory")
def test_groups_of_a_kernel_that_was_killed_go_with_the_next_command(cli: Cli) -> None:
    container = cli.out("run", "-d", "busybox", "sleep", "100")
    pid, groups = state_of(cli, container)
    os.kill(pid, signal.SIGKILL)
    cli("wait", container)
    cli("ps")
    assert not [path for path in groups.values() if path.exists()]
    cli("rm", container)


@needs("cpu")
def test_cpus_are_a_share_of_time(cli: Cli) -> None:
    container = cli.out("run", "-d", "--cpus", "0.1", "busybox", "sh", "-c", "while :; do :; done")
    _, groups = state_of(cli, container)
    deadline = time.monotonic() + 60
    while "nr_throttled 0\n" in (told := (groups["cpu"] / "cpu.stat").read_text()):
        assert time.monotonic() < deadline, told
        time.sleep(0.1)
    assert "nr_throttled" in told
    cli("rm", "-f", container)


def test_cpus_are_refused_where_they_could_not_be_kept(user_cli: Cli) -> None:
    if os.geteuid() != 0 and "cpu" in GRANTED:
        pytest.skip("this user has a control group")
    done = user_cli("run", "--rm", "--cpus", "0.5", "busybox", "true", status=125)
    assert b"failed to use --cpus 0.5: no control group with the controller 'cpu'" in done.stderr
    assert b"hint: run as root" in done.stderr


def test_the_machine_stays_on_its_processors(cli: Cli) -> None:
    processor = max(os.sched_getaffinity(0))
    options = ("--cpuset-cpus", str(processor))
    container = cli.out("run", "-d", *options, "busybox", "sh", "-c", BURN)
    until_log(cli, container, "burnt")
    pid, _ = state_of(cli, container)
    for process in machine_processes(pid):
        assert os.sched_getaffinity(process) == {processor}
    cli("rm", "-f", container)


def test_processes_are_limited_but_exec_gets_in(cli: Cli) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 100 & done; wait"
    container = cli.out("run", "-d", "--pids-limit", "8", "busybox", "sh", "-c", script + "; true")
    until_log(cli, container, "can't fork")
    cli("rm", "-f", container)
    container = cli.out("run", "-d", "--pids-limit", "8", "busybox", "sleep", "100")
    done = cli("exec", container, "sh", "-c", script, status=None)
    assert b"can't fork: Resource temporarily unavailable" in done.stderr
    assert cli.out("exec", container, "echo", "in") == "in"
    cli("rm", "-f", container)


def test_memory_that_the_guest_frees_goes_back(cli: Cli, platform: str) -> None:
    if platform != "um":
        pytest.skip("on um-strict the guest does not report free memory")
    container = cli.out("run", "-d", "-m", "512m", "busybox", "sleep", "100")
    pid, _ = state_of(cli, container)
    before = held_bytes(pid)
    cli("exec", container, "sh", "-c", "head -c 200m /dev/zero >/dev/shm/x")
    assert held_bytes(pid) - before > 190 << 20
    cli("exec", container, "rm", "/dev/shm/x")
    deadline = time.monotonic() + 30
    while held_bytes(pid) - before > 40 << 20:
        assert time.monotonic() < deadline, f"{(held_bytes(pid) - before) >> 20} MiB are kept"
        time.sleep(0.1)
    cli("rm", "-f", container)


def held_bytes(pid: int) -> int:
    """Memory of the host in the memory file of a machine."""
    files = (entry.stat() for entry in Path(f"/proc/{pid}/fd").iterdir())
    return max(file.st_blocks * 512 for file in files if file.st_size >= 512 << 20)
