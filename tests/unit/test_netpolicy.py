"""What enforces network policies, preloaded into a Python that tries to reach things."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "netpolicy"

TRY = """
import json, socket, sys
import socket as s

def tcp(address, port):
    family = s.AF_INET6 if ":" in address else s.AF_INET
    with s.socket(family) as peer:
        try:
            peer.connect((address, port))
        except ConnectionRefusedError:
            return "refused"
        return "connected"

server = s.create_server(("127.0.0.1", 0))
closed = s.socket(); closed.bind(("127.0.0.1", 0))
udp = s.socket(s.AF_INET, s.SOCK_DGRAM); udp.bind(("127.0.0.1", 0)); udp.settimeout(0.2)
other = s.socket(s.AF_INET, s.SOCK_DGRAM); other.bind(("127.0.0.1", 0)); other.settimeout(0.2)

def datagram(source, sink, send):
    send(source, sink.getsockname())
    try:
        return sink.recv(100).decode()
    except TimeoutError:
        return "dropped"

sendto = lambda source, name: source.sendto(b"sendto", name)
sendmsg = lambda source, name: source.sendmsg([b"send", b"msg"], [], 0, name)
"""


@pytest.fixture(scope="module")
def enforcer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("netpolicy")
    subprocess.run(["make", "-s", "-C", str(SOURCE), f"O={out}"], check=True)
    return out / "netpolicy.so"


def run(enforcer: Path, policy: str | None, script: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LD_PRELOAD": str(enforcer)}
    env.pop("DRUPE_NET_POLICY", None)
    if policy is not None:
        env["DRUPE_NET_POLICY"] = policy
    command = [sys.executable, "-IS", "-c", script]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def outcome(enforcer: Path, policy: str, expression: str) -> Any:
    done = run(enforcer, policy, f"{TRY}\nprint(json.dumps({expression}))")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


LOCAL = "tcp('127.0.0.1', server.getsockname()[1])"
SIX = "tcp('::1', 9)"


def test_the_host_is_closed_unless_a_rule_opens_it(enforcer: Path) -> None:
    everything = "allow 0.0.0.0/0 0 65535\nallow ::/0 0 65535"
    assert outcome(enforcer, everything, LOCAL) == "refused"
    assert outcome(enforcer, f"host 0 65535\n{everything}", LOCAL) == "connected"
    assert outcome(enforcer, "host 1 1", LOCAL) == "refused"


def test_a_refusal_that_nobody_waits_for_comes_later(enforcer: Path) -> None:
    script = """
import errno, select, socket
peer = socket.socket()
peer.setblocking(False)
poll = select.epoll()
poll.register(peer)
assert peer.connect_ex(("127.0.0.1", 9)) == errno.EINPROGRESS
((_, events),) = poll.poll(5)
assert events & select.EPOLLHUP
"""
    assert run(enforcer, "", script).returncode == 0


def test_the_resolver_is_open_on_its_port_only(enforcer: Path) -> None:
    assert outcome(enforcer, "dns 127.0.0.1", LOCAL) == "refused"
    script = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    script += "s.connect(('127.0.0.1', 53)); print('ok')"
    assert run(enforcer, "dns 127.0.0.1", script).stdout == "ok\n"
    assert run(enforcer, "dns 127.0.0.2", script).returncode == 1


def test_a_resolver_is_known_by_another_address(enforcer: Path) -> None:
    script = """
import socket
for family, stand, real in ((2, "192.0.2.3", "127.0.0.1"), (10, "2001:db8::3", "::1")):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.connect((stand, 53))
    assert s.getpeername()[:2] == (real, 53)
    try:
        s.connect((stand, 54))
    except ConnectionRefusedError:
        print("refused")
"""
    policy = "dns 127.0.0.1\ndns ::1\nstand 192.0.2.3 127.0.0.1\nstand 2001:db8::3 ::1"
    assert run(enforcer, policy, script).stdout == "refused\nrefused\n"
    assert run(enforcer, "stand 192.0.2.3 ::1", "").returncode == 111


def test_a_published_port_is_on_an_address_of_each_family(enforcer: Path) -> None:
    script = """
import socket
def listen(family, address, kind=socket.SOCK_STREAM, alone=1):
    s = socket.socket(family, kind)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, alone)
    try:
        s.bind((address, 47123))
    except OSError as error:
        return error.strerror
    return s.getsockname()[0]
print(listen(socket.AF_INET, "0.0.0.0"), listen(socket.AF_INET6, "::"),
      listen(socket.AF_INET6, "::", alone=0), listen(socket.AF_INET, "127.0.0.2"),
      listen(socket.AF_INET, "0.0.0.0", socket.SOCK_DGRAM) == "0.0.0.0", sep="|")
"""
    done = run(enforcer, "publish tcp 47123 127.0.0.1 ::1", script)
    want = ["127.0.0.1", "::1", "Cannot assign requested address", "127.0.0.2", "True"]
    assert done.stdout.strip().split("|") == want, done.stderr
    assert run(enforcer, "publish tcp 1 ::1 ::1", "").returncode == 111


@pytest.mark.parametrize(
    ("policy", "address", "port", "allowed"),
    [
        ("allow 198.51.100.0/24 443 443", "198.51.100.9", 443, True),
        ("allow 198.51.100.0/24 443 443", "198.51.100.9", 80, False),
        ("allow 198.51.100.0/24 0 65535", "198.51.101.9", 443, False),
        ("allow 198.51.100.8/30 0 65535", "198.51.100.12", 443, False),
        ("allow 198.51.100.8/30 0 65535", "198.51.100.11", 443, True),
        ("deny 198.51.100.0/24\nallow 0.0.0.0/0 0 65535", "198.51.100.9", 443, False),
        ("allow 2001:db8::/33 0 65535", "2001:db8:1::1", 443, True),
        ("allow 2001:db8::/33 0 65535", "2001:db8:8000::1", 443, False),
        ("allow 198.51.100.0/24 0 65535", "::ffff:198.51.100.9", 443, True),
        ("allow 2001:db8::/32 0 65535", "::ffff:198.51.100.9", 443, False),
        ("", "198.51.100.9", 443, False),
    ],
)
def test_blocks_and_ports(
    enforcer: Path, policy: str, address: str, port: int, allowed: bool
) -> None:
    # A datagram socket's connect() sends nothing.
    script = f"""
import errno, socket
s = socket.socket({"socket.AF_INET6" if ":" in address else "socket.AF_INET"}, socket.SOCK_DGRAM)
try:
    s.connect(({address!r}, {port}))
except OSError as error:
    print("refused" if error.errno == errno.ECONNREFUSED else "tried")
else:
    print("tried")
"""
    assert run(enforcer, policy, script).stdout == ("tried\n" if allowed else "refused\n")


def test_own_addresses_are_the_host(enforcer: Path) -> None:
    """Asked of the routing at that moment, whatever address it is."""
    policy = "allow 0.0.0.0/0 0 65535\nallow ::/0 0 65535"
    assert outcome(enforcer, policy, SIX) == "refused"
    assert outcome(enforcer, policy, "tcp('127.7.7.7', server.getsockname()[1])") == "refused"
    assert outcome(enforcer, policy, "tcp('0.0.0.0', server.getsockname()[1])") == "refused"
    assert outcome(enforcer, policy, "tcp('::ffff:127.0.0.1', 9)") == "refused"


@pytest.mark.parametrize("send", ["sendto", "sendmsg"])
def test_datagrams_are_dropped_unless_their_peer_sent_one_first(enforcer: Path, send: str) -> None:
    assert outcome(enforcer, "", f"datagram(udp, other, {send})") == "dropped"
    assert outcome(enforcer, "host 0 65535", f"datagram(udp, other, {send})") == send
    script = f"""
{TRY}
import os
child = os.fork()
if not child:
    # Another process, without the policy, asks first.
    os.environ.pop("LD_PRELOAD")
    code = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
    code += f"s.settimeout(3); s.sendto(b'q', {{udp.getsockname()}}); print(s.recv(99).decode())"
    os.execv(sys.executable, [sys.executable, "-ISc", code])
udp.settimeout(5)
_, name = udp.recvfrom(100)
{send}(udp, name)
os.waitpid(child, 0)
print(datagram(udp, other, {send}))
"""
    assert run(enforcer, "", script).stdout.split() == [send, "dropped"]


@pytest.mark.parametrize(
    "policy",
    [
        None,
        "open",
        "allow",
        "allow x 0 1",
        "allow 1.2.3.4/33 0 1",
        "deny ::/129",
        "host 1",
        "x ::1",
    ],
)
def test_rules_that_are_none_start_nothing(enforcer: Path, policy: str | None) -> None:
    done = run(enforcer, policy, "print('started')")
    assert (done.returncode, done.stdout) == (111, "")
    assert "not a rule of what may be reached" in done.stderr


def test_readiness_is_told(enforcer: Path) -> None:
    told, tells = os.pipe()
    env = {
        "LD_PRELOAD": str(enforcer),
        "DRUPE_NET_POLICY": "",
        "DRUPE_NET_POLICY_READY": str(tells),
    }
    subprocess.run(["/bin/true"], env=env, check=True, pass_fds=[tells])
    os.close(tells)
    with os.fdopen(told, "rb") as read:
        assert read.read() == b"+"


WINDOW = """
import json, socket, struct
server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
server.bind(("127.0.0.1", 0)); server.listen()
peer = socket.socket(); peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
peer.connect(server.getsockname()); other, _ = server.accept(); peer.setblocking(False)
def window():
    info = peer.getsockopt(socket.SOL_TCP, socket.TCP_INFO, 232)
    return struct.unpack_from("I", info, 228)[0]
buffer = peer.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
told = [window()]
for _ in range(100000):
    try:
        peer.send(bytes(4096))
    except BlockingIOError:
        break
told.append(window())
print(json.dumps([buffer, told]))
"""


def test_a_guest_may_send_what_there_is_room_for(enforcer: Path) -> None:
    """Not what the peer takes at the moment, which is less than a segment here."""
    done = run(enforcer, "host 0 65535", WINDOW)
    assert done.returncode == 0, done.stderr
    buffer, (empty, full) = json.loads(done.stdout)
    assert 65536 <= empty <= buffer
    assert full <= 65536 < empty
