"""kill -9 of anything at any moment: states are right, nothing leaks, the next command cleans."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import Home
from tests.integration.conftest import Cli

SLEEP = ("busybox", "sleep", "1000")


def state(cli: Cli, name: str) -> dict[str, object]:
    told = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", name))
    return dict(told["state"])


def machine_pid(cli: Cli, name: str) -> int:
    pid = state(cli, name)["pid"]
    assert isinstance(pid, int)
    return pid


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_the_kernel_of_a_detached_container(cli: Cli) -> None:
    cli("run", "-d", "--name", "k", *SLEEP)
    pid = machine_pid(cli, "k")
    stubs = children(pid)
    assert stubs
    os.kill(pid, signal.SIGKILL)
    for process in (pid, *stubs):
        wait_until_gone(process)
    assert state(cli, "k")["status"] == "dead"
    assert "ended without a word" in cli.out("ps", "-a")
    assert cli.out("wait", "k") == "137"
    assert b"it is dead" in cli("exec", "k", "true", status=125).stderr
    cli("stop", "k")
    cli("rm", "k")


def test_the_kernel_of_a_foreground_container(cli: Cli) -> None:
    process = cli.start("run", "--name", "k", "busybox", "sh", "-c", "echo up; sleep 1000")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    os.kill(machine_pid(cli, "k"), signal.SIGKILL)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 137
    assert b"container 'k' ended" in err
    cli("rm", "k")


def test_each_process_of_the_guest(cli: Cli) -> None:
    """The guest's init and its programs are processes of the host, too."""
    cli("run", "-d", "--name", "i", *SLEEP)
    pid = machine_pid(cli, "i")
    for victim in children(pid):
        if Path(f"/proc/{victim}").exists():
            os.kill(victim, signal.SIGKILL)
    wait_until_gone(pid)
    told = state(cli, "i")
    assert told["status"] in {"dead", "exited"}
    assert told["exit_status"] == 137
    cli("rm", "i")


def test_the_command_line_of_a_foreground_container(cli: Cli) -> None:
    """A foreground container ends with its caller."""
    process = cli.start("run", "--name", "f", "busybox", "sh", "-c", "echo up; sleep 1000")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    pid = machine_pid(cli, "f")
    process.kill()
    process.communicate()
    wait_until_gone(pid)
    assert state(cli, "f")["status"] == "exited"
    cli("rm", "f")


def test_the_command_line_of_a_container_that_is_removed(cli: Cli, private_home: Home) -> None:
    process = cli.start("run", "--rm", "busybox", "sh", "-c", "echo up; sleep 1000")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while cli.out("ps", "-aq") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list((private_home.state / "containers").iterdir()) == []


@pytest.mark.slow
def test_the_command_line_at_any_moment(cli: Cli, private_home: Home) -> None:
    """From the first instruction to the last: forty moments, evenly spread and shaken."""
    begin = time.monotonic()
    cli("run", "--rm", "busybox", "true")
    length = (time.monotonic() - begin) * 1.2
    said = 0
    for moment in range(40):
        process = cli.start("run", "--name", "m", "busybox", "true")
        time.sleep(length * (moment + random.random()) / 40)
        process.kill()
        process.communicate()
        # What it started ends by itself or is ended by the next command; then the name is free.
        deadline = time.monotonic() + 15
        while True:
            listed = cli("ps", "-a", "--format", "json")
            said += listed.stderr.count(b"left behind")
            found = json.loads(listed.stdout)
            if all(entry["state"] not in {"running", "created"} for entry in found):
                break
            assert time.monotonic() < deadline, found
        for entry in found:
            cli("rm", entry["id"])
        assert list((private_home.state / "containers").iterdir()) == []
    assert said > 0, "no moment left anything behind: the test does not test"


def test_nothing_is_left_of_a_boot_that_was_interrupted(cli: Cli, private_home: Home) -> None:
    for delay in (0.02, 0.1, 0.2, 0.4):
        process = cli.start("run", "--rm", *SLEEP)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while cli.out("ps", "-aq") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(private_home.state.glob("containers/*")) == []


def test_a_panic_ends_the_container_and_shows_its_console(cli: Cli, platform: str) -> None:
    """A kernel does not survive the end of its init."""
    says = {
        "um": b"in-process mode: a host process was ended, by signal    9",
        "um-strict": b"Kernel panic - not syncing: Lost the host process of init!",
    }[platform]
    command = ("busybox", "sh", "-c", "echo up; sleep 1000")
    process = cli.start("run", "--name", "panic", *command)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    pid = machine_pid(cli, "panic")
    init, *_ = children(pid)
    os.kill(init, signal.SIGKILL)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 137
    assert says in err
    wait_until_gone(pid)
    told = state(cli, "panic")
    assert told.pop("started_ns")
    nothing = dict.fromkeys(("pid", "ended_ns", "health"))
    assert told == {"status": "dead", "exit_status": 137, "restarts": 0, **nothing}
    cli("rm", "panic")


def test_a_container_that_is_stopped_and_continued_goes_on(cli: Cli, platform: str) -> None:
    """As a freezer does, or a debugger: calls that the stop interrupted are made again."""
    cli("run", "-d", "--name", "paused", "busybox", "sh", "-c", "while :; do sleep 0.05; done")
    pid = machine_pid(cli, "paused")
    for _ in range(3):
        # Those that are traced stop when their kernel does; signals to them are its affair.
        everyone = [pid] if platform == "um-strict" else [pid, *children(pid)]
        for process in everyone:
            os.kill(process, signal.SIGSTOP)
        time.sleep(0.1)
        for process in everyone:
            os.kill(process, signal.SIGCONT)
        time.sleep(0.1)
    assert cli.out("exec", "paused", "echo", "here") == "here"
    cli("rm", "-f", "paused")
