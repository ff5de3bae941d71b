"""Networks of real containers: what they reach, who reaches them, what is left of it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.conftest import Cli
from tests.integration.networking import SERVE, alone, eventually, fetch, free_port

if shutil.which("passt") is None:
    pytest.fail("no passt: run tools/setup.sh", pytrace=False)


def networks(port: int) -> list[str]:
    """Processes that publish a port."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "passt" in command and any(f"/{port}:" in word for word in command):
            found.append(process.parent.name)
    return found


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server of the host's own."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        yield server


def test_the_default_network(cli: Cli) -> None:
    script = "ip -4 -o addr show eth0; ip route; ip link show eth0; hostname -i; cat /etc/hostname"
    text = cli.out("run", "--rm", "-h", "fruit", "--mac-address", "02:00:5E:10:00:01", "busybox",
                   "sh", "-c", script)  # fmt: skip
    assert "inet 10.213.77.2/24" in text
    assert "default via 10.213.77.1 dev eth0" in text
    assert "link/ether 02:00:5e:10:00:01" in text
    assert "mtu 65520" in text
    assert text.endswith("\n10.213.77.2\nfruit") or "\n10.213.77.2 " in text


def test_no_network(cli: Cli) -> None:
    script = "ls /sys/class/net; cat /etc/hosts; echo $HOSTNAME; test ! -s /etc/resolv.conf"
    text = cli.out("run", "--rm", "-h", "fruit", "--network", "none", "busybox", "sh", "-c", script)
    assert text.split("\n")[0] == "lo"
    assert "127.0.1.1\tfruit\nfruit" in text


def test_names_that_are_given(cli: Cli) -> None:
    options = ("--dns", "192.0.2.53", "--dns-search", "a.example", "--dns-option", "ndots:3")
    script = "cat /etc/resolv.conf; getent hosts db || cat /etc/hosts"
    text = cli.out("run", "--rm", *options, "--add-host", "db:192.0.2.9", "busybox", "sh", "-c",
                   script)  # fmt: skip
    assert text.startswith("nameserver 192.0.2.53\nsearch a.example\noptions ndots:3\n")
    assert "192.0.2.9" in text


def test_files_cover_links_and_are_made(cli: Cli, tmp_path: Path) -> None:
    """Whatever the root holds there, a link that leads out of it too, stays as it is."""
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin")
    (root / "etc").mkdir()
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    (root / "etc/resolv.conf").symlink_to("../../../../../../outside")
    (root / "etc/hosts").symlink_to("/nowhere/at/all")
    script = "/bin/busybox cat /etc/hosts /etc/resolv.conf /etc/hostname; echo mine >>/etc/hosts"
    text = cli.out("run", "--rm", "-h", "fruit", "--dns", "192.0.2.53", "--rootfs", str(root),
                   "/bin/busybox", "sh", "-c", script)  # fmt: skip
    assert "10.213.77.2\tfruit" in text
    assert "nameserver 192.0.2.53" in text
    assert text.endswith("fruit")
    assert outside.read_text() == "untouched"
    assert (root / "etc/hosts").is_symlink()
    assert not (root / "etc/hostname").exists()


def test_a_port_is_published_until_the_end(cli: Cli) -> None:
    port = free_port()
    name = f"web-{port}"
    cli("run", "-d", "--name", name, "-p", f"{port}:80", "busybox", "sh", "-c", SERVE)
    eventually(lambda: fetch(port).endswith(b"served\n"))
    assert len(networks(port)) == 1
    assert f"127.0.0.1:{port}->80/tcp" in cli.out("ps")
    assert cli.out("port", name) == f"80/tcp -> 127.0.0.1:{port}"
    assert cli.out("port", name, "80") == f"127.0.0.1:{port}"
    refused = cli("port", name, "81", status=125)
    assert b"port '81' is not published" in refused.stderr
    # Taken now: the next one does not come to be.
    taken = cli("run", "-d", "--name", "second", "-p", f"{port}:80", "busybox", "true", status=125)
    assert b"something listens there already" in taken.stderr
    assert "second\n" not in cli.out("ps", "-a") + "\n"
    cli("restart", "-t", "0", name)
    eventually(lambda: fetch(port).endswith(b"served\n"))
    cli("rm", "-f", name)
    eventually(lambda: not networks(port))
    assert fetch(port) == b""


def test_a_server_that_speaks_first_is_heard(cli: Cli) -> None:
    """Mail, MariaDB and ssh do so; and what its client says then comes, too, and comes back.

    Its port is below 1024, and it is not root.
    """
    port = free_port()
    serve = "while :; do nc -l -p 7 -e sh -c 'echo hello; read word; echo back $word'; done"
    where = ("-p", f"127.0.0.1:{port}:7")
    cli("run", "-d", "--name", "s", *where, "-u", "1000", "busybox", "sh", "-c", serve)

    def talk() -> bool:
        with (
            suppress(ConnectionError),  # it does not listen yet, or not again
            socket.create_connection(("127.0.0.1", port), timeout=5) as client,
        ):
            file = client.makefile("rb")
            if file.readline() != b"hello\n":
                return False
            client.sendall(b"fruit\n")
            return file.readline() == b"back fruit\n"
        return False

    for _ in range(5):
        eventually(talk)
    cli("rm", "-f", "s")


def test_datagrams_are_published(cli: Cli) -> None:
    port = free_port(socket.SOCK_DGRAM)
    name = f"echo-{port}"
    echo = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7))\n"
        "while True: s.sendto(*s.recvfrom(100))"
    )
    options = ("--name", name, "-p", f"{port}:7/udp", "--rootfs", "/")
    cli("run", "-d", *options, "/usr/bin/python3", "-IS", "-c", echo)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(0.2)
        peer.connect(("127.0.0.1", port))

        def echoed() -> bool:
            try:
                peer.send(b"hello")
                return peer.recv(100) == b"hello"
            except OSError:
                return False

        eventually(echoed)
    cli("rm", "-f", name)


def test_a_paused_container_lets_its_callers_wait(cli: Cli) -> None:
    """Its network stands still with it; and ends with it, too, though it sees nothing."""
    port = free_port()
    web = ("run", "-d", "--name", "web", "-p", f"{port}:80", "busybox", "sh", "-c", SERVE)
    cli(*web)
    eventually(lambda: fetch(port).endswith(b"served\n"))
    (network,) = networks(port)
    if os.geteuid() == 0:
        assert "/drupe-" in Path(f"/proc/{network}/cgroup").read_text()
    cli("pause", "web")
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as caller:
        caller.sendall(b"GET /f HTTP/1.0\r\n\r\n")
        with pytest.raises(TimeoutError):
            caller.recv(1)
        cli("unpause", "web")
        caller.settimeout(10)
        assert caller.recv(4) == b"HTTP"
    cli("pause", "web")
    os.kill(json.loads(cli.out("inspect", "web"))[0]["State"]["Pid"], signal.SIGKILL)
    cli("rm", "-f", "web")
    assert not networks(port)
    cli(*web)
    cli("kill", "-s", "KILL", "web")
    eventually(lambda: not networks(port))
    cli("rm", "web")


def test_a_killed_command_leaves_no_network(cli: Cli) -> None:
    port = free_port()
    for delay in (0.05, 0.08, 0.12):
        started = cli.start("run", "--rm", "-p", f"{port}:80", "busybox", "sleep", "100")
        time.sleep(delay)
        started.kill()
        started.communicate()
        eventually(lambda: not networks(port))
    cli("ps", "-a")


def reach(cli: Cli, port: int, *options: str, target: str = "10.213.77.1") -> int:
    """Exit status of a container that connects to the host."""
    connect = ("nc", "-w", "2", target, str(port), "-e", "true")
    return cli("run", "--rm", *options, "busybox", *connect, status=None).returncode


def test_the_host_is_reached_only_when_asked_for(cli: Cli, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    own = [socket.gethostbyname(socket.gethostname()), "10.213.77.1"]
    for target in {*own, "10.213.77.3"} - {"127.0.0.1", "127.0.1.1"}:
        assert reach(cli, port, target=target) != 0
    assert reach(cli, port, "--net-allow", f"host:{port}", target="host.drupe.internal") == 0
    assert reach(cli, port, "--net-allow", f"host:{port + 1}") != 0
    named = ("--net-allow", "host", "--add-host", "me:host-gateway")
    assert reach(cli, port, *named, target="me") == 0


def test_a_refusal_is_heard_at_once(cli: Cli) -> None:
    refused = cli("run", "--rm", "busybox", "nc", "-w", "60", "10.213.77.1", "9", status=1)
    assert b"Connection refused" in refused.stderr


def test_an_ordinary_user_has_a_network(user_cli: Cli) -> None:
    port = free_port()
    name = f"user-{port}"
    user_cli("run", "-d", "--name", name, "-p", f"{port}:80", "busybox", "sh", "-c", SERVE)
    eventually(lambda: fetch(port).endswith(b"served\n"))
    user_cli("rm", "-f", name)
    eventually(lambda: not networks(port))


OUTSIDE = """
set -e
ip link set lo up
unshare -n sleep 60 >/dev/null 2>&1 & other=$! pids=$!
sleep 0.5
ip link add out type veth peer name in netns $other
ip addr add 198.51.100.1/24 dev out
ip link set out up
ip route add default via 198.51.100.2
ip addr add 2001:db8:1::1/64 dev out nodad
ip route add default via 2001:db8:1::2
there="nsenter -t $other -n"
$there ip link set lo up
$there ip addr add 198.51.100.2/24 dev in
$there ip addr add 2001:db8:1::2/64 dev in nodad
$there ip link set in up
for port in 80 81 83; do
    $there busybox nc -ll -p $port -e echo outside >/dev/null 2>&1 &
    pids="$pids $!"
done
busybox nc -ll -p 82 -e echo host >/dev/null 2>&1 & pids="$pids $!"
# The first IPv6 neighbour takes a second or so to be found.
until sleep 0.5 | busybox nc -w 1 2001:db8:1::2 83 | grep -q outside; do :; done
try() {
    "$@" busybox sh -c '
        for target in "198.51.100.2 80" "198.51.100.2 81" "198.51.100.1 82" \
            "2001:db8:1::2 83"; do
            (sleep 1 | nc -w 1 $target || echo no) >/tmp/${target##* } 2>/dev/null &
        done
        wait
        cat /tmp/80 /tmp/81 /tmp/82 /tmp/83 | tr "\\n" " "
        echo'
}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces: needs root")
def test_policies_with_an_outside(cli: Cli) -> None:
    """In namespaces of the test's own: a host with another host beside it."""
    drupe = shlex.join(cli.argv("run", "--rm"))
    script = f"""{OUTSIDE}
try {drupe}
try {drupe} --net-allow 198.51.100.2:80
try {drupe} --net-allow host:82
try {drupe} --net-allow host:82 --net-allow none
try {drupe} --net-allow '[2001:db8:1::/64]:83'
kill $pids
"""
    done = alone(cli, script)
    assert done.stdout.decode().splitlines() == [
        "outside outside no outside ",
        "outside no no no ",
        "outside outside host outside ",
        "no no host no ",
        "no no no outside ",
    ], done.stderr


RESOLVER = """
import socket, sys, threading

def answer(query):
    kind = query[-4:-2]
    data = {b"\\0\\1": bytes([192, 0, 2, 53]), b"\\0\\x1c": bytes(15) + b"\\x35"}[kind]
    head = query[:2] + bytes.fromhex("8180000100010000") + b"\\0\\0"
    return head + query[12:] + b"\\xc0\\x0c" + kind + bytes([0, 1, 0, 0, 0, 9, 0, len(data)]) + data

def serve_streams(listener):
    while True:
        with listener.accept()[0] as peer:
            query = peer.recv(500)[2:]
            peer.sendall(len(answer(query)).to_bytes(2, "big") + answer(query))

datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 53))
listener = socket.create_server(("127.0.0.1", 53))
threading.Thread(target=serve_streams, args=[listener], daemon=True).start()
while True:
    query, peer = datagrams.recvfrom(500)
    datagrams.sendto(answer(query), peer)
"""

ASK = """
import socket
print(socket.getaddrinfo("db.example", 80, socket.AF_INET)[0][4][0])
print(socket.getaddrinfo("db.example", 80, socket.AF_INET6)[0][4][0])
query = bytes.fromhex("000701000001000000000000") + b"\\2db\\7example\\0\\0\\1\\0\\1"
(server,) = [l.split()[1] for l in open("/etc/resolv.conf") if l.startswith("nameserver")]
peer = socket.create_connection((server, 53), timeout=5)
peer.sendall(len(query).to_bytes(2, "big") + query)
print(socket.inet_ntoa(peer.recv(500)[-4:]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace: needs root")
def test_names_are_asked_of_the_resolver_of_the_host(cli: Cli, tmp_path: Path) -> None:
    """One on its loopback, as systemd-resolved is; by datagrams and streams, any policy."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    drupe = shlex.join(cli.argv("run", "--rm", "--rootfs", "/", "--net-allow", "none"))
    script = f"""
set -e
ip link set lo up
mount --bind {tmp_path}/resolv.conf /etc/resolv.conf
python3 -c '{RESOLVER}' & trap "kill $!" EXIT
sleep 0.5
{drupe} python3 -c '{ASK}'
"""
    done = alone(cli, script, "-nm")
    assert done.stdout.split() == [b"192.0.2.53", b"::35", b"192.0.2.53"], done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace: needs root")
def test_a_host_without_any_network(cli: Cli) -> None:
    """It has a loopback, and ports are published there; by IPv6 too, once it has a link."""
    port = free_port()
    drupe = shlex.join(cli.argv())
    script = f"""
set -e
ip link set lo up
publish() {{
    {drupe} run -d --name lonely -p {port}:80 $six busybox sh -c '{SERVE}' >/dev/null || return 1
    for address in 127.0.0.1 $also; do
        for n in 1 2 3 4 5 6 7 8 9; do
            busybox wget -q -O - http://$address:{port}/f && break || sleep 0.2
        done
    done
    {drupe} rm -f lonely >/dev/null
}}
publish
six='-p [::1]:{port}:80' also='[::1]'
publish || echo refused
ip link add name near type veth peer name far
ip link set near up
ip link set far up
publish
"""
    done = alone(cli, script)
    assert done.stdout.split() == [b"served", b"refused", b"served", b"served"], done.stderr
    assert b"no interface of this host has an IPv6 address of its link" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="joins a network namespace: needs root")
def test_an_interface_of_a_namespace_or_one_beside_the_host(cli: Cli) -> None:
    """The first is taken over, the second, a macvlan, goes with its container."""
    drupe = shlex.join(cli.argv("run", "--rm", "--network"))
    script = f"""
set -e
ip link set lo up
unshare -n sleep 60 >/dev/null 2>&1 & other=$!
trap "kill $other" EXIT
sleep 0.5
there="nsenter -t $other -n"
ip link add near type veth peer name net7 netns $other
ip addr add 198.51.100.1/24 dev near
ip link set near up
$there ip addr add 198.51.100.9/24 dev net7
$there ip link set net7 up mtu 1400 address 02:00:5e:10:00:07
$there ip route add default via 198.51.100.1
space=ns:/proc/$other/ns/net,dev=net7
{drupe} $space busybox sh -c '
    ip route
    cat /sys/class/net/net7/mtu /sys/class/net/net7/address
    ping -c 1 -W 5 198.51.100.1 >/dev/null && echo reached'
{drupe} $space busybox true || echo "status $?"
$there ip addr add 198.51.100.9/24 dev net7
{drupe} macvlan:near,ip=198.51.100.7/24,gateway=198.51.100.9 busybox sh -c '
    ip route
    hostname -i
    ping -c 1 -W 5 198.51.100.9 >/dev/null && echo reached
    ping -c 1 -W 1 198.51.100.1 >/dev/null || echo the host is not'
ip -o link show type macvlan
"""
    done = alone(cli, script)
    told = done.stdout.decode().splitlines()
    assert told[0].startswith("default via 198.51.100.1 dev net7"), done.stderr
    assert told[-9:-5] == ["1400", "02:00:5e:10:00:07", "reached", "status 125"]
    assert told[-5].startswith("default via 198.51.100.9 dev eth0")
    assert told[-3:] == ["198.51.100.7", "reached", "the host is not"]
    assert b"'net7' of '/proc/" in done.stderr
    assert b"it has no IP address" in done.stderr
