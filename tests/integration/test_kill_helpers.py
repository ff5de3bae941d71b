"""kill -9 of what stands beside a container: its user-mode network, a network's holder, the broker.

The container goes on without, or ends; nothing is left, and the next start has all again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.house import SLEEP, House
from tests.house import house as house  # noqa: PLC0414 (a fixture)
from tests.house import pantry as pantry  # noqa: PLC0414 (a fixture)
from tests.house import platform as platform  # noqa: PLC0414 (a fixture)
from tests.integration.conftest import Cli
from tests.integration.test_kills import children, machine_pid, state, wait_until_gone

WRITE = "i=0; while :; do echo $i >/data/$i; i=$((i+1)); done"


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_user_mode_network(house: House, cli: Cli) -> None:
    """Its container has no network any more, until it is started again."""
    serve = ("busybox", "sh", "-c", "echo hello >/index.html; httpd -f -h /")
    cli("run", "-d", "--name", "c", "-p", "127.0.0.1::80", *serve)
    (record,) = Path(os.environ["XDG_STATE_HOME"]).glob("drupe/containers/*")
    network = int((record / "network.json").read_text().split('"pid": ')[1].split(",")[0])
    os.kill(network, signal.SIGKILL)
    wait_until_gone(network)
    assert cli.out("exec", "c", "echo", "alive") == "alive"
    house.check("killed")
    cli("restart", "-t", "0", "c")
    port = cli.out("port", "c").rpartition(":")[2]
    fetch = ("run", "--rm", "--net-allow", "host", "--add-host", "h:host-gateway", "busybox")
    eventually(lambda: cli(*fetch, "wget", "-qO-", f"http://h:{port}/", status=None).stdout)
    house.check_cleared("all")


def test_the_holder_of_a_network(house: House, cli: Cli) -> None:
    """Who joins next has it made again."""
    cli("network", "create", "plum")
    cli("run", "-d", "--name", "a", "--network", "plum", *SLEEP)
    (record,) = Path(os.environ["XDG_STATE_HOME"]).glob("drupe/networks/plum/holder.json")
    holder = int(record.read_text().split('"pid": ')[1].split(",")[0])
    os.kill(holder, signal.SIGKILL)
    wait_until_gone(holder)
    assert cli.out("exec", "a", "echo", "alive") == "alive"
    house.check("killed")
    cli("run", "-d", "--name", "b", "--network", "plum", *SLEEP)
    cli("restart", "-t", "0", "a")
    assert "1 packets received" in cli.out("exec", "b", "ping", "-c", "1", "-w", "5", "a")
    house.check_cleared("all")


def test_each_process_of_a_machine_with_a_share(house: House, cli: Cli) -> None:
    """The broker among them: whichever is killed, the container ends or goes on, and goes whole."""
    cli("run", "-d", "--name", "c", "-v", "data:/data", *SLEEP)
    for place in range(8):
        process = children(machine_pid(cli, "c"))
        if place >= len(process):
            break
        busy = cli.start("exec", "c", "sh", "-c", WRITE)
        time.sleep(0.2)
        os.kill(process[place], signal.SIGKILL)
        time.sleep(0.2)
        busy.kill()
        busy.communicate()
        house.check(place)
        assert state(cli, "c")["status"] in {"running", "dead", "exited"}
        cli("restart", "-t", "0", "c")
        assert cli.out("exec", "c", "sh", "-c", "echo 1 >/data/again; cat /data/again") == "1"
    house.check_cleared("all")
