"""Named networks as far as they are files: names, subnets, addresses, who is on them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drupe.errors import NotFoundError, SpecError, StateError
from drupe.net import holder, named
from drupe.net.config import Attachment
from drupe.net.named import Member, Networks

NET = Attachment("net")


@pytest.fixture
def networks(tmp_path: Path) -> Networks:
    return Networks(tmp_path)


@pytest.fixture
def plugs(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """What the holder of every network has; each container that joins plugs one in."""
    sleeper = subprocess.Popen(["sleep", "60"])
    found: set[str] = set()

    def plug(_: int, name: str) -> int:
        found.add(name)
        return -1

    monkeypatch.setattr(holder, "start", lambda note: note(sleeper.pid))
    monkeypatch.setattr(holder, "plug", plug)
    monkeypatch.setattr(holder, "plugged", lambda _: frozenset(found))
    yield found
    sleeper.kill()
    sleeper.wait()


def test_networks_are_made_listed_and_removed(networks: Networks) -> None:
    one = networks.create("one", labels={"a": "b"})
    two = networks.create("two", subnet="192.0.2.0/24", subnet6="2001:db8::/64")
    assert one.subnet != two.subnet
    assert networks.list() == [one, two]
    assert networks.find("two") == two
    with pytest.raises(SpecError, match="failed to make network 'one': there is one already"):
        networks.create("one")
    assert networks.prune() == ["one", "two"]
    with pytest.raises(NotFoundError, match="failed to find network 'one'"):
        networks.remove("one")
    with pytest.raises(NotFoundError, match=r"failed to find network '\.\./x'"):
        networks.find("../x")


@pytest.mark.parametrize("name", ["", "a b", "../x", ".x", "none", "host", "x" * 64])
def test_names_that_no_network_has(networks: Networks, name: str) -> None:
    with pytest.raises(SpecError, match="not a name for a network"):
        networks.create(name)


@pytest.mark.parametrize(
    ("subnet", "cause"),
    [
        ("192.0.2.1/24", "has host bits set"),
        ("x", "does not appear to be"),
        ("2001:db8::/64", "of the other IP version"),
        ("192.0.2.0/31", "too small"),
        ("10.214.0.0/16", "another network has a part of it"),
    ],
)
def test_subnets_that_cannot_be(networks: Networks, subnet: str, cause: str) -> None:
    networks.create("other")
    with pytest.raises(SpecError, match=cause):
        networks.create("new", subnet=subnet)


def test_members_have_addresses_while_their_plugs_are_there(
    networks: Networks, plugs: set[str]
) -> None:
    networks.create("net", subnet="192.0.2.0/29", subnet6="2001:db8::/64")
    ids = [digit * 64 for digit in "abcdef"]
    first = networks.join(NET._replace(aliases=("w", "web")), ids[0], ("web",))
    assert first.member == Member(ids[0], "192.0.2.2", "2001:db8::2", ("web", "w"))
    assert (first.bits, first.bits6) == (29, 64)
    second = networks.join(NET._replace(address="192.0.2.3"), ids[1], ("db",))
    assert second.member.address == "192.0.2.3"
    with pytest.raises(SpecError, match=r"'192\.0\.2\.3': another container has it"):
        networks.join(NET._replace(address="192.0.2.3"), ids[2], ())
    with pytest.raises(SpecError, match=r"'198\.51\.100\.1': not one of 192"):
        networks.join(NET._replace(address="198.51.100.1"), ids[2], ())
    assert [member.address for member in networks.members("net")] == ["192.0.2.2", "192.0.2.3"]
    with pytest.raises(StateError, match=f"container {ids[0][:12]} is on it"):
        networks.remove("net")
    for container_id in ids[2:5]:
        networks.join(NET, container_id, ())
    with pytest.raises(SpecError, match=r"all addresses of 192\.0\.2\.0/29 are taken"):
        networks.join(NET, ids[5], ())
    plugs.clear()
    networks.remove("net")
    assert networks.list() == []


def test_what_keeps_a_network_is_read_from_the_kernel() -> None:
    assert holder.plugged(0) == frozenset()
    assert "lo" not in holder.plugged(1)
    assert named.check_network_name("a.b-c_d") == "a.b-c_d"
