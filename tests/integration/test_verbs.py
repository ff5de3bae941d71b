"""The verbs on containers that run: ps, logs, exec, stop, kill, wait, rm, inspect."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Home
from tests.integration.conftest import Cli


def test_a_detached_container_from_birth_to_removal(cli: Cli) -> None:
    script = "echo hello; sleep 1000"
    identity = cli.out("run", "-d", "--name", "pit", "-l", "a=b", "busybox", "sh", "-c", script)
    assert len(identity) == 64
    (listed,) = json.loads(cli.out("ps", "--format", "json"))
    assert (listed["id"], listed["name"], listed["state"]) == (identity, "pit", "running")
    assert listed["labels"] == {"a": "b"}
    assert cli.out("exec", "pit", "echo", "inside") == "inside"
    assert cli("exec", identity[:12], "sh", "-c", "exit 9", status=9).stderr == b""
    assert cli.out("logs", "pit") == "hello"
    refused = cli("rm", "pit", status=125)
    assert b"it is running" in refused.stderr
    assert cli.out("stop", "-t", "1", "pit") == "pit"
    assert cli.out("ps", "-q") == ""
    (listed,) = json.loads(cli.out("ps", "-a", "--format", "json"))
    assert (listed["state"], listed["exit_status"]) == ("exited", 143)
    assert cli.out("wait", "pit") == "143"
    refused = cli("exec", "pit", "true", status=125)
    assert b"it is exited, not running" in refused.stderr
    assert cli.out("rm", "pit") == "pit"
    assert b"no such container" in cli("inspect", "pit", status=125).stderr


def test_stop_kills_what_will_not_end(cli: Cli) -> None:
    cli(
        "run",
        "-d",
        "--name",
        "stubborn",
        "busybox",
        "sh",
        "-c",
        "trap '' TERM; sleep 100 & wait; wait",
    )
    time.sleep(0.3)
    begin = time.monotonic()
    cli("stop", "-t", "1", "stubborn")
    assert 0.9 < time.monotonic() - begin < 5
    assert cli.out("wait", "stubborn") == "137"
    cli("rm", "stubborn")


def test_kill_sends_any_signal(cli: Cli) -> None:
    script = "trap 'echo usr1' USR1; while :; do sleep 0.05; done"
    cli("run", "-d", "--name", "k", "busybox", "sh", "-c", script)
    time.sleep(0.3)
    cli("kill", "-s", "USR1", "k")
    deadline = time.monotonic() + 5
    while cli.out("logs", "k") != "usr1" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert cli.out("logs", "k") == "usr1"
    cli("kill", "k")
    assert cli.out("wait", "k") == "137"
    cli("rm", "k")


def test_ten_thousand_lines_in_order(cli: Cli) -> None:
    script = "i=0; while [ $i -lt 10000 ]; do echo line $i; i=$((i+1)); done"
    cli("run", "--name", "lines", "busybox", "sh", "-c", script)
    assert cli.out("logs", "lines").splitlines() == [f"line {i}" for i in range(10_000)]
    assert cli.out("logs", "--tail", "2", "lines").splitlines() == ["line 9998", "line 9999"]
    stamped = cli.out("logs", "-t", "--tail", "1", "lines")
    assert stamped.endswith("Z line 9999")
    cli("rm", "lines")


def test_logs_keep_the_order_of_both_streams(cli: Cli) -> None:
    script = "for i in 1 2 3; do echo out $i; echo err $i >&2; sleep 0.1; done"
    cli("run", "--name", "both", "busybox", "sh", "-c", script)
    done = subprocess.run(
        cli.argv("logs", "both"),
        env=cli.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    )
    told = [b"out 1", b"err 1", b"out 2", b"err 2", b"out 3", b"err 3"]
    assert done.stdout.splitlines() == told
    cli("rm", "both")


def test_logs_of_several(cli: Cli) -> None:
    for name, wait in (("one", "0.4"), ("three", "0.1")):
        script = f"sleep {wait}; echo of {name}; echo to stderr >&2"
        cli("run", "-d", "--name", name, "busybox", "sh", "-c", script)
    done = cli("logs", "-f", "one", "three")
    assert sorted(done.stdout.splitlines()) == [b"one   | of one", b"three | of three"]
    assert b"three | to stderr" in done.stderr.splitlines()
    assert cli.out("logs", "--since", "10m", "one") == "of one"
    assert cli.out("logs", "--until", "10m", "one") == ""
    refused = cli("logs", "--since", "yesterday", "one", status=125)
    assert b"failed to use time 'yesterday'" in refused.stderr
    cli("rm", "one", "three")


def test_logs_follow_until_the_end(cli: Cli) -> None:
    script = "for i in 1 2 3 4 5; do echo $i; sleep 0.2; done; printf 'no newline'; echo e >&2"
    cli("run", "-d", "--name", "f", "busybox", "sh", "-c", script)
    done = cli("logs", "-f", "f")
    assert done.stdout == b"1\n2\n3\n4\n5\nno newline"
    assert done.stderr == b"e\n"
    cli("rm", "f")


def test_exec_passes_binary_input_and_output(cli: Cli) -> None:
    cli("run", "-d", "--name", "x", "busybox", "sleep", "1000")
    data = bytes(range(256)) * 4096
    assert cli("exec", "-i", "x", "cat", input_bytes=data).stdout == data
    assert (
        cli.out(
            "exec",
            "-e",
            "A=1",
            "-w",
            "/tmp",
            "-u",
            "nobody",
            "x",
            "sh",
            "-c",
            "echo $A; pwd; id -un",
        )
        == "1\n/tmp\nnobody"
    )
    assert cli("exec", "x", "/no/such", status=127).stdout == b""
    cli("rm", "-f", "x")


def test_redis_from_debian(cli: Cli) -> None:
    server = ("redis-server", "--port", "6379", "--save", "")
    cli("run", "-d", "--name", "redis", "--rootfs", "/", "--", *server)
    deadline = time.monotonic() + 10
    while b"Ready to accept" not in cli("logs", "redis").stdout and time.monotonic() < deadline:
        time.sleep(0.1)
    assert cli.out("exec", "redis", "redis-cli", "set", "fruit", "drupe") == "OK"
    assert cli.out("exec", "redis", "redis-cli", "get", "fruit") == "drupe"
    cli("stop", "redis")
    assert "bye bye" in cli.out("logs", "redis").splitlines()[-1]
    assert cli.out("wait", "redis") == "0"
    cli("rm", "redis")


@pytest.mark.slow
def test_fifty_containers_in_parallel_batches(cli: Cli, private_home: Home) -> None:
    def life(number: int) -> None:
        name = f"c{number}"
        cli(
            "run",
            "-d",
            "--name",
            name,
            "-m",
            "64m",
            "busybox",
            "sh",
            "-c",
            f"echo {number}; sleep 100",
        )
        assert cli.out("exec", name, "echo", name) == name
        cli("stop", "-t", "5", name)
        assert cli.out("logs", name) == str(number)
        cli("rm", name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(life, range(50)))
    assert cli.out("ps", "-aq") == ""
    assert list((private_home.state / "containers").iterdir()) == []


def test_two_commands_at_once_on_one_name(cli: Cli) -> None:
    with ThreadPoolExecutor(4) as pool:
        run = ("run", "-d", "--name", "same", "busybox", "sleep", "100")
        done = list(pool.map(lambda _: cli(*run, status=None), range(4)))
    assert sorted(d.returncode for d in done) == [0, 125, 125, 125]
    for failed in (d for d in done if d.returncode):
        assert b"failed to use name 'same'" in failed.stderr
    with ThreadPoolExecutor(4) as pool:
        removed = list(pool.map(lambda _: cli("rm", "-f", "same", status=None), range(4)))
    assert [d.returncode for d in removed] == [0, 0, 0, 0]
    assert [d.stdout for d in removed].count(b"same\n") == 1


def test_removed_when_it_ends(cli: Cli, private_home: Home) -> None:
    identity = cli.out("run", "-d", "--rm", "busybox", "sleep", "0.5")
    assert identity in cli.out("ps", "-q", "--no-trunc")
    deadline = time.monotonic() + 5
    while cli.out("ps", "-aq") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not (private_home.state / "containers" / identity).exists()


def test_inspect_tells_the_jail(cli: Cli) -> None:
    cli("run", "-d", "--name", "j", "busybox", "sleep", "100")
    told = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", "j"))
    jail = told["jail"]
    assert jail["capabilities"] == []
    assert "execve" not in jail["seccomp"]["allowed"]
    assert all(jail["seccomp"]["allowed"].values())
    pid = told["state"]["pid"]
    assert Path(f"/proc/{pid}/exe").readlink() == Path(told["kernel"])
    cli("rm", "-f", "j")


def test_no_python_stays_with_a_detached_container(cli: Cli, private_home: Home) -> None:
    cli("run", "-d", "--name", "p", "busybox", "sleep", "100")
    listed = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout
    ours = [
        line for line in listed.splitlines() if str(cli.source) in line and "run" in line.split()
    ]
    assert ours == []
    cli("rm", "-f", "p")
