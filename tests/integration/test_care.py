"""What the guest's init does for the main process: restarts and health checks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from tests.integration.conftest import Cli


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state(cli: Cli, name: str) -> dict[str, object]:
    told = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", name))
    return dict(told["state"])


def test_a_main_process_that_fails_is_started_again(cli: Cli) -> None:
    script = "echo run; sleep 1000 & exit 3"
    # As docker does it, who waits sees the first end; the rest goes on by itself.
    done = cli(
        "run", "--name", "r", "--restart", "on-failure:2", "busybox", "sh", "-c", script, status=3
    )
    assert done.stdout == b"run\n"
    until(lambda: state(cli, "r")["status"] == "exited")
    assert (state(cli, "r")["exit_status"], state(cli, "r")["restarts"]) == (3, 2)
    assert cli.out("logs", "r").split() == ["run"] * 3
    cli("start", "r")
    until(lambda: cli.out("logs", "r").split() == ["run"] * 6)
    cli("rm", "-f", "r")


def test_stop_ends_what_is_always_started_again(cli: Cli) -> None:
    cli("run", "-d", "--name", "r", "--restart", "always", "busybox", "sh", "-c", "exit 1")
    until(lambda: "Restarting (1)" in cli.out("ps"))
    assert state(cli, "r")["status"] in {"restarting", "running"}
    cli("stop", "r")
    # It stopped between two starts, or in the middle of one: then by its SIGTERM.
    assert state(cli, "r")["exit_status"] in {1, 143}
    cli("rm", "r")
    done = cli("run", "--rm", "--restart", "always", "busybox", "true", status=125)
    assert b"failed to use restart policy 'always': the container is removed" in done.stderr


def test_health_is_told(cli: Cli) -> None:
    options = ("--health-cmd", "echo looking; test -e /ok", "--health-interval", "100ms")
    cli("run", "-d", "--name", "h", *options, "--health-retries=2", "busybox", "sleep", "1000")
    until(lambda: "(unhealthy)" in cli.out("ps"))
    assert state(cli, "h")["health"] == {"status": "unhealthy", "output": "looking"}
    cli("exec", "h", "touch", "/ok")
    until(lambda: "(healthy)" in cli.out("ps"))
    cli("rm", "-f", "h")
