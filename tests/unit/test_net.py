"""Networks as far as they are words: ports, rules, names, the user-mode network's options."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.container.networks import NetworkRequest, resolve_network
from drupe.errors import CommandError, DrupeError, HostError, SpecError
from drupe.guest.network import Interface, Route, network_frames
from drupe.net import host, names, passt
from drupe.net.config import Host, Mode, Network, Port, make_mac
from drupe.net.policy import encode_policy, parse_rule, reaches_host
from drupe.net.ports import claim, on_both, parse_publish
from drupe.net.tables import Tables
from drupe.process import Daemon
from drupe.store.schema import decode, encode

ABLE = None
"""A kernel of which nothing is known is taken to have the driver."""


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("8080:80", [Port("127.0.0.1", 8080, 80, "tcp")]),
        ("0.0.0.0:8080:80/udp", [Port("0.0.0.0", 8080, 80, "udp")]),  # noqa: S104
        ("[::1]:8080:80", [Port("::1", 8080, 80, "tcp")]),
        ("80", [Port("127.0.0.1", 0, 80, "tcp")]),
        ("192.0.2.7::80", [Port("192.0.2.7", 0, 80, "tcp")]),
        ("7-8:1-2", [Port("127.0.0.1", 7, 1, "tcp"), Port("127.0.0.1", 8, 2, "tcp")]),
    ],
)
def test_published_ports(text: str, ports: list[Port]) -> None:
    assert list(parse_publish(text)) == ports


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "not .*ADDRESS"),
        ("a:80", "not .*ADDRESS"),
        ("80/sctp", "not .*ADDRESS"),
        ("localhost:80:80", "not .*ADDRESS"),
        ("300.0.0.1:80:80", "'300.0.0.1' is not an address"),
        ("[1:2]:80:80", "'1:2' is not an address"),
        ("0:80", "ports are 1 to 65535"),
        ("80:65536", "ports are 1 to 65535"),
        ("9-8:1-2", "ports are 1 to 65535"),
        ("8-9:80", "2 ports of the host, 1 of the container"),
    ],
)
def test_ports_that_are_none(text: str, cause: str) -> None:
    with pytest.raises(SpecError, match=cause):
        parse_publish(text)


@given(st.text(alphabet="0123456789:-./[]tcpudp", max_size=24))
def test_any_text_is_ports_or_an_error(text: str) -> None:
    try:
        ports = parse_publish(text)
    except SpecError:
        return
    assert ports
    assert all(0 <= port.host < 65536 and 0 < port.guest < 65536 for port in ports)


def test_ports_are_claimed() -> None:
    (free,) = claim((Port("127.0.0.1", 0, 80, "tcp"),))
    assert free.host > 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = Port("127.0.0.1", taken.getsockname()[1], 80, "tcp")
        with pytest.raises(SpecError, match=rf"port '127.0.0.1:{port.host}': something listens"):
            claim((port,))
    assert claim((port,)) == (port,)
    with pytest.raises(SpecError, match="named twice"):
        claim((port, port))
    with pytest.raises(HostError, match=r"port '192.0.2.77:80': Cannot assign"):
        claim((Port("192.0.2.77", 80, 80, "tcp"),))


def test_a_port_on_an_address_of_each_family() -> None:
    four, six = Port("127.0.0.1", 80, 8080, "tcp"), Port("::1", 80, 8080, "tcp")
    assert on_both((four, six._replace(protocol="udp"), six._replace(host=81))) == {}
    assert on_both((six, four)) == {four: six}
    wanted = passt.Wanted(ports=(four, six), policy="x", resolvers=(), ipv6="eth7")
    text = " ".join(passt._command_line(Path("/bin/true"), wanted, Path("/o.so"), 9))
    assert text.endswith("--tcp-ports 80:8080")
    assert passt._policy(wanted) == "x\npublish tcp 80 127.0.0.1 ::1"
    for other in (four._replace(address="127.0.0.2"), six._replace(guest=81)):
        with pytest.raises(SpecError, match=r"failed to publish port '.*:80': '127.* is published"):
            on_both((four, other))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("host", ("host", 0, 65535)),
        ("host:5432", ("host", 5432, 5432)),
        ("none", ("none", 0, 65535)),
        ("10.0.0.0/8", ("10.0.0.0/8", 0, 65535)),
        ("192.0.2.7:80-90", ("192.0.2.7", 80, 90)),
        ("2001:db8::1", ("2001:db8::1", 0, 65535)),
        ("[2001:db8::/32]:443", ("2001:db8::/32", 443, 443)),
        ("example.org:443", ("example.org", 443, 443)),
    ],
)
def test_rules(text: str, rule: tuple[str, int, int]) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text",
    ["", ":80", "a b", "10.0.0.0/33", "host:9-8", "host:65536", "[::1", "[x]:1", "::/129", "a/b"],
)
def test_rules_that_are_none(text: str) -> None:
    with pytest.raises(SpecError, match="not something that can be reached"):
        parse_rule(text)


@given(st.text(max_size=30))
def test_any_text_is_a_rule_or_an_error(text: str) -> None:
    try:
        rule = parse_rule(text)
    except SpecError:
        return
    assert 0 <= rule.first <= rule.last <= 65535
    assert "\n" not in rule.target


def test_rules_become_words_for_who_enforces_them() -> None:
    everything = ["allow 0.0.0.0/0 0 65535", "allow ::/0 0 65535"]
    assert encode_policy((), denied=("10.1.0.0/24",), resolvers=("192.0.2.53",)).split("\n") == [
        "dns 192.0.2.53",
        "deny 10.1.0.0/24",
        *everything,
    ]
    # The host is one more thing; a rule about the outside closes the rest of it.
    assert encode_policy(("host:80",), denied=(), resolvers=()).split("\n") == [
        "host 80 80",
        *everything,
    ]
    assert encode_policy(("none",), denied=(), resolvers=()) == ""
    found = {"example.org": ("192.0.2.1", "2001:db8::1")}
    rules = ("example.org:443", "host")
    assert encode_policy(rules, denied=(), resolvers=(), names=found.__getitem__).split("\n") == [
        "allow 192.0.2.1 443 443",
        "allow 2001:db8::1 443 443",
        "host 0 65535",
    ]
    assert reaches_host(rules)
    assert not reaches_host(("example.org",))


def test_a_name_without_an_address_is_named() -> None:
    with pytest.raises(HostError, match=r"failed to look up 'nowhere\.invalid'"):
        encode_policy(("nowhere.invalid",), denied=(), resolvers=())


def test_the_resolver_of_the_host(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text(
        "# nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver fe80::1%eth0\n"
        "nameserver ::1\nnameserver\ndomain a.example\nsearch b.example c.example\n"
    )
    assert names.host_resolvers(conf) == ("192.0.2.2", "::1")
    assert names.host_search(conf) == ("b.example", "c.example")
    assert names.host_resolvers(tmp_path / "none") == ()
    assert names.host_search(tmp_path / "none") == ()


def test_files_of_names() -> None:
    assert names.resolv_conf(["192.0.2.1"], ["a.example"], ["ndots:2"]) == (
        b"nameserver 192.0.2.1\nsearch a.example\noptions ndots:2\n"
    )
    assert names.resolv_conf([], ["."], []) == b""
    text = names.hosts_file([("192.0.2.1", ("db", "db", "data"))]).decode()
    assert text.splitlines()[-1] == "192.0.2.1\tdb data"
    assert text.splitlines()[0] == "127.0.0.1\tlocalhost"


def test_hosts_and_lookups() -> None:
    assert names.parse_host("db:192.0.2.7") == Host("db", "192.0.2.7")
    assert names.parse_host("db=2001:db8::1") == Host("db", "2001:db8::1")
    assert names.parse_host("db:[::1]") == Host("db", "::1")
    with pytest.raises(SpecError, match="not NAME:ADDRESS"):
        names.parse_host("db")
    with pytest.raises(SpecError, match=r"'1\.2' is not an address"):
        names.parse_host("db:1.2")
    with pytest.raises(SpecError, match="not a word"):
        names.parse_dns((), ("a b",))
    with pytest.raises(SpecError, match="'x' is not an address"):
        names.parse_dns(("x",))


def test_ipv6_of_the_host(tmp_path: Path) -> None:
    routes = tmp_path / "ipv6_route"
    to = f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} 00000400 00000001 00000000 00000003"
    routes.write_text(f"{to}     lo\nfd{'0' * 30} 40 {'0' * 32} 00\n")
    assert not host.has_ipv6(routes)
    routes.write_text(f"{to}   eth0\n")
    assert host.has_ipv6(routes)
    assert not host.has_ipv6(tmp_path / "none")
    addresses = tmp_path / "if_inet6"
    addresses.write_text(f"{'0' * 31}1 01 80 10 80 lo\nfd{'0' * 30} 02 40 00 82 eth2\n")
    assert host.ipv6_interface(addresses) is None
    addresses.write_text(f"fd{'0' * 30} 02 40 00 82 eth2\nfe80{'0' * 28} 03 40 20 80 eth3\n")
    assert host.ipv6_interface(addresses) == "eth3"


def test_networks_that_are_asked_for(tmp_path: Path) -> None:
    unable = tmp_path / "config"
    unable.write_text("# CONFIG_UML_HOSTNET is not set\n")
    assert resolve_network(NetworkRequest(), unable).mode is Mode.NONE
    assert resolve_network(NetworkRequest(), ABLE).mode is Mode.USER
    assert resolve_network(NetworkRequest(networks=("none",)), ABLE).mode is Mode.NONE
    joined = resolve_network(NetworkRequest(networks=("ns:/dev/null,dev=net7",)), ABLE)
    assert joined[:3] == (Mode.NAMESPACE, "/dev/null", "net7")
    text = "macvtap:lo,ip=192.0.2.7/24,gateway=192.0.2.1,ip6=2001:db8::7/64"
    beside = resolve_network(NetworkRequest(networks=(text,)), ABLE)
    assert (beside.mode, beside.device, beside.gateways) == (Mode.MACVLAN, "lo", ("192.0.2.1",))
    assert beside.addresses == ("192.0.2.7/24", "2001:db8::7/64")
    made = resolve_network(NetworkRequest(mac="02:00:5E:10:00:01", publish=("80",)), ABLE)
    assert made.mac == "02:00:5e:10:00:01"
    assert made.ports[0].host > 0
    assert decode(Network, encode(made), "a network") == made


@pytest.mark.parametrize(
    ("wanted", "cause"),
    [
        (NetworkRequest(networks=("host",)), "a kernel, and so a network, of its own"),
        (NetworkRequest(networks=("container:x",)), "cannot share one network stack"),
        (NetworkRequest(networks=("none",), publish=("80",)), "failed to publish ports"),
        (NetworkRequest(networks=("none",), allow=("none",)), "nobody enforces it"),
        (NetworkRequest(ip="192.0.2.1"), "they are for named networks"),
        (NetworkRequest(aliases=("db",)), "they are for named networks"),
        (NetworkRequest(mac="1"), "not six bytes"),
        (NetworkRequest(networks=("none", "x")), "a container on it is on no other one"),
        (NetworkRequest(networks=("x", "ns:/dev/null")), "a container on it is on no other one"),
        (NetworkRequest(networks=("macvlan:lo", "x")), "a container on it is on no other one"),
        (NetworkRequest(networks=("macvlan:no-such",)), "this host has no interface 'no-such'"),
        (NetworkRequest(networks=("macvlan:lo,mtu=9",)), "not 'mtu=9'"),
        (NetworkRequest(networks=("macvlan:lo,ip=192.0.2.7",)), "is not IPv4 with its BITS"),
        (NetworkRequest(networks=("macvlan:lo,ip=::1/64",)), "is not IPv4 with its BITS"),
        (NetworkRequest(networks=("macvlan:lo,gateway=192.0.2.1",)), "cannot be reached"),
        (NetworkRequest(networks=("macvlan:lo",), publish=("80",)), "failed to publish ports"),
        (NetworkRequest(networks=("ns:relative",)), "not ns:PATH"),
        (NetworkRequest(networks=("ns:/x,dev=",)), "not ns:PATH"),
        (NetworkRequest(networks=("ns:/x,name=y",)), "not ns:PATH"),
        (NetworkRequest(networks=("ns:/no/such/file",)), "there is no '/no/such/file'"),
        (NetworkRequest(networks=("ns:/dev/null",), publish=("80",)), "failed to publish ports"),
        (NetworkRequest(hosts=("me:host-gateway",)), "may not reach its host"),
        (NetworkRequest(allow=("a b",)), "not something that can be reached"),
    ],
)
def test_networks_that_cannot_be(wanted: NetworkRequest, cause: str) -> None:
    with pytest.raises(SpecError, match=cause):
        resolve_network(wanted, ABLE)


def test_a_kernel_without_the_driver_is_named(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("")
    with pytest.raises(SpecError, match="the container's kernel has none"):
        resolve_network(NetworkRequest(networks=("default",)), tmp_path / "config")


def test_each_container_has_an_address_of_its_own() -> None:
    one, two = make_mac("ab" * 32), make_mac("ac" * 32)
    assert one == "02:ab:ab:ab:ab:ab"
    assert one != two
    assert make_mac("ab" * 32, 1) == "06:ab:ab:ab:ab:ab"


def test_interfaces_are_bounded() -> None:
    eth0 = Interface("eth0", "02:00:00:00:00:01", 1500, ("192.0.2.2/24",), (Route("::/0", "::1"),))
    assert network_frames((eth0,))
    for wrong, cause in (
        ((eth0,) * 9, "at most 8 interfaces"),
        ((eth0._replace(name="a" * 16),), "1 to 15 bytes"),
        ((eth0._replace(addresses=("x/8",)),), "'x/8': not an address"),
    ):
        with pytest.raises(SpecError, match=cause):
            network_frames(wrong)


def test_what_passt_is_told(tmp_path: Path) -> None:
    program = tmp_path / "passt"
    program.write_bytes(b"\0--dns-host\0")
    wanted = passt.Wanted(
        ports=(Port("127.0.0.1", 8080, 80, "tcp"), Port("::1", 53, 53, "udp")),
        policy="",
        resolvers=("192.0.2.53", "2001:db8::53"),
        ipv6="",
    )
    argv = passt._command_line(program, wanted, Path("/o.so"), 9)
    text = " ".join(argv)
    assert "--preload /o.so" in text
    assert "--tcp-ports 127.0.0.1/8080:80" in text
    assert "--udp-ports ::1/53:53" in text
    assert "--dns-host 192.0.2.53 --dns-forward 10.213.77.3" in text
    assert "--ipv4-only" in text
    assert "2001:db8::53" not in text
    program.write_bytes(b"")
    open_ = wanted._replace(ipv6="eth7")
    text = " ".join(passt._command_line(program, open_, Path("/o.so"), 9))
    assert "--dns-forward 10.213.77.3 --dns-forward fd64:7275:7065::3" in text
    assert "--dns " not in text
    assert "--interface eth7" in text


def test_a_network_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="failed to find 'passt'"):
        passt.find()
    complaint = "Failed to send 1 bytes to syslog\n\nDon't run as root. X\nInvalid port: 1\n"
    assert passt._complaint(complaint) == "Invalid port: 1"
    with pytest.raises(HostError, match="failed to run '/nonexistent/program': No such file"):
        Daemon(["/nonexistent/program"], env={})
    daemon = Daemon(["/bin/sh", "-c", "echo no >&2; exit 3"], env={})
    with pytest.raises(CommandError, match="no") as caught:
        daemon.wait_ready()
    assert isinstance(caught.value, DrupeError)
    assert caught.value.status == 3
    Daemon(["/bin/sh", "-c", "exit 0"], env={}).wait_ready()


def test_networks_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program = tmp_path / "passt"
    program.write_bytes(b"")
    first, other = Tables(program, ["-6"]), Tables(program, ["-6"])
    for each in (first, other):
        assert each.inherit == (each.descriptor,)
        os.write(each.descriptor, b"tables")
        each.keep()
        each.close()
        assert not each.inherit
    third, without = Tables(program, ["-6"]), Tables(program, ["-4"])
    assert os.read(third.descriptor, 100) == b"tables"
    without.keep()
    assert len(list((tmp_path / "cache/drupe/passt").iterdir())) == 1
    third.close()
    without.close()
    assert not Tables(tmp_path / "nothing", []).inherit
