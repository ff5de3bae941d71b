"""Named networks between real container kernels: by taps, and by veth where there are none."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.conftest import Cli
from tests.integration.networking import SERVE, eventually, fetch, free_port

MAC = "02:00:5e:10:00:01"


class Net(NamedTuple):
    """A named network, and the command line of the user whose it is."""

    name: str
    cli: Cli

    def run(self, name: str, *options: str, command: tuple[str, ...] = ("sleep", "100")) -> None:
        """Starts a container on it."""
        self.cli("run", "-d", "--name", name, "--network", self.name, *options, "busybox", *command)

    def members(self) -> list[dict[str, Any]]:
        """What ``inspect`` says of who is on it."""
        (shown,) = json.loads(self.cli.out("network", "inspect", self.name))
        return list(shown["members"])


@pytest.fixture(params=["tap", "veth"])
def fruit(request: pytest.FixtureRequest, platform: str) -> Iterator[Net]:
    """A network with taps, as a rule of root; and one with veth, of an ordinary user."""
    name = f"fruit-{platform}"
    if (platform, request.param) == ("um-strict", "veth"):
        pytest.skip("on um-strict, one of the two ways is enough")
    if request.param == "tap":
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            pytest.skip("no /dev/net/tun that may be opened")
        cli = request.getfixturevalue("cli")
    else:
        tun = Path("/dev/net/tun")
        if tun.exists() and tun.stat().st_mode & 0o006 == 0o006:
            pytest.skip("everybody may open /dev/net/tun: there are taps")
        cli = request.getfixturevalue("user_cli")
    cli("network", "create", name)
    yield Net(name, cli)
    cli("network", "rm", name)


def test_containers_on_a_network_find_each_other(fruit: Net) -> None:
    cli = fruit.cli
    fruit.run("one", "--network-alias", "uno")
    fruit.run("two", "--ip", "10.214.1.77")
    for command in (("-4", "uno"), ("-6", "one")):
        cli("exec", "two", "ping", "-c", "1", "-W", "5", *command)
    # It was there before the other came, and has been told.
    cli("exec", "one", "ping", "-c", "1", "-W", "5", "two")
    assert "10.214.1.77\ttwo" in cli.out("exec", "one", "cat", "/etc/hosts")
    assert "default via 10.213.77.1 dev eth1" in cli.out("exec", "one", "ip", "route")
    refused = cli("network", "rm", fruit.name, status=125)
    assert b"is on it" in refused.stderr
    cli("restart", "-t", "0", "two")
    cli("exec", "one", "ping", "-c", "1", "-W", "5", "two")
    cli("rm", "-f", "two")
    assert "two" not in cli.out("exec", "one", "cat", "/etc/hosts")
    assert ["one" in str(member["names"]) for member in fruit.members()] == [True]
    cli("rm", "-f", "one")


def test_a_network_carries_much_and_leads_outside(fruit: Net) -> None:
    """Frames of 64 KiB with checksums and segments left open; and a published port beside."""
    cli, port = fruit.cli, free_port()
    serve = f"mkdir /srv; head -c 16m /dev/zero >/srv/much; {SERVE.removeprefix('mkdir /srv; ')}"
    fruit.run("source", "-p", f"{port}:80", command=("sh", "-c", serve))
    eventually(lambda: fetch(port).endswith(b"served\n"))
    get = "wget -q -O - http://source/much | wc -c"
    begin = time.monotonic()
    run = ("run", "--rm", "--network", fruit.name, "busybox", "sh", "-c", get)
    assert cli.out(*run) == str(16 << 20)
    assert time.monotonic() - begin < 5  # a tenth of it, as a rule
    cli("rm", "-f", "source")


def test_a_killed_container_is_off_its_network(fruit: Net) -> None:
    """Whatever ends it, its plug goes with its last descriptor; and its address is free again."""
    for name, paused in (("one", False), ("two", True)):
        fruit.run(name, "--ip", "10.214.1.7")
        (member,) = fruit.members()
        assert (member["address"], member["names"][0]) == ("10.214.1.7", name)
        if paused:
            fruit.cli("pause", name)
        os.kill(int(fruit.cli.out("inspect", "-f", "{{.State.Pid}}", name)), signal.SIGKILL)
        eventually(lambda: not fruit.members())
    fruit.cli("rm", "-f", "one", "two")


def test_containers_on_several_networks(fruit: Net) -> None:
    """Each has its own interface, and finds by name who shares one of them; one leads outside."""
    cli, other = fruit.cli, f"{fruit.name}-2"
    cli("network", "create", "--internal", other)
    fruit.run("both", "--network", f"name={other},alias=two,ip=10.214.2.9", "--mac-address", MAC)
    shown = cli.out("exec", "both", "sh", "-c", "ip -4 -o addr; cat /sys/class/net/eth0/address")
    assert "eth0    inet 10.214.1.2/24" in shown
    assert "eth1    inet 10.214.2.9/24" in shown
    assert "eth2    inet 10.213.77.2/24" in shown
    assert shown.endswith(MAC)
    (member,) = fruit.members()
    assert member["mac"] == MAC
    cli("create", "--name", "late", "--network", other, "busybox", "sleep", "100")
    ping = ("ping", "-c", "1", "-W", "5")
    cli("start", "late")
    assert "default" not in cli.out("exec", "late", "ip", "route")
    cli("exec", "late", *ping, "two")
    refused = cli("network", "connect", fruit.name, "late", status=125)
    assert b"it is running, and its kernel has the interfaces" in refused.stderr
    cli("stop", "-t", "0", "late")
    cli("network", "connect", "--alias", "tardy", "--ip", "10.214.1.99", fruit.name, "late")
    cli("start", "late")
    assert cli("exec", "both", *ping, "tardy").stdout.startswith(b"PING tardy (10.214.1.99)")
    cli("stop", "-t", "0", "late")
    cli("network", "disconnect", other, "late")
    again = cli("network", "disconnect", other, "late", status=125)
    assert b"it is not on it" in again.stderr
    cli("start", "late")
    assert "10.214.2" not in cli.out("exec", "late", "cat", "/etc/hosts")
    assert cli.out("ps", "-q", "--no-trunc", "--filter", f"network={other}") == member["id"]
    cli("rm", "-f", "late", "both")
    cli("network", "rm", other)


def test_a_network_is_made_anew_when_what_keeps_it_was_killed(fruit: Net) -> None:
    ping = ("run", "--rm", "--network", fruit.name, "busybox", "ping", "-c", "1", "-W", "5")
    fruit.cli(*ping, "10.214.1.2")
    home = Path(fruit.cli.env.get("XDG_STATE_HOME") or fruit.cli.env["HOME"] + "/.local/state")
    record = home / "drupe/networks" / fruit.name / "holder.json"
    os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
    fruit.cli(*ping, "10.214.1.2")
