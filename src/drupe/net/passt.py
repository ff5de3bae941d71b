"""The user-mode network of one container: passt, which is its gateway and makes its connections.

passt needs no rights. It talks to the container kernel over a socket, in Ethernet frames, and ends
when that one closes its end: however a container ends, so does its network. It is started by way of
the dynamic loader, with the object that enforces what may be reached (``netpolicy``); a host's
profile that confines ``/usr/bin/passt`` to the needs of others would keep it from being loaded.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drupe import process
from drupe.errors import CommandError, HostError
from drupe.net.config import Port
from drupe.net.ports import on_both
from drupe.net.tables import Tables
from drupe.store.atomic import read_json, write_json
from drupe.store.liveness import ProcessId
from drupe.store.schema import decode

ADDRESS = "10.213.77.2"
ADDRESS6 = "fd64:7275:7065::2"
"""Of the container. Each has a network of its own: all have the same."""
GATEWAY = "10.213.77.1"
GATEWAY6 = "fd64:7275:7065::1"
RESOLVER = "10.213.77.3"
RESOLVER6 = "fd64:7275:7065::3"
"""Passed on to the host's resolver."""
BITS, BITS6 = 24, 64
SUBNETS = ("10.213.77.0/24", "fd64:7275:7065::/64")
MTU = 65520
"""The largest that passt takes."""

_MAC = "02:64:72:75:70:65"
_LOADER = "/lib64/ld-linux-x86-64.so.2"
_BUFFER_BYTES = 4 << 20
_HINT = "install passt: 'apt install passt'; or use --network none"


class Wanted(NamedTuple):
    """What one container's user-mode network is to do.

    Attributes:
        ports: published ones.
        policy: what may be reached, as ``policy.encode_policy`` writes it.
        resolvers: the host's, of which the first of each family is used.
        ipv6: IPv6, too, by way of this interface, which has a link-local address; empty: none.
    """

    ports: tuple[Port, ...]
    policy: str
    resolvers: tuple[str, ...]
    ipv6: str


class UserNetwork:
    """A passt that starts, and the container's end of it."""

    def __init__(self, wanted: Wanted, enforcer: Path, record: Path) -> None:
        """Starts it; ``enforcer`` is the object that enforces the policy.

        Which process it is, is written to the file ``record``, for ``end``.

        Raises:
            HostError: there is no passt.
        """
        self._record = record
        self._daemon: process.Daemon | None = None
        program = _fastest(find())
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        told, tells = os.pipe()
        self._told = told
        _widen(ours)
        self.descriptor = ours.detach()
        usual = wanted._replace(ports=(), resolvers=())
        self._tables = Tables(program, _command_line(program, usual, Path(), 0))
        try:
            with its:
                _widen(its)
                argv = _command_line(program, wanted, enforcer, its.fileno())
                env = {
                    "DRUPE_NET_POLICY": _policy(wanted),
                    "DRUPE_NET_POLICY_READY": str(tells),
                    "DRUPE_NET_TABLES": str(self._tables.descriptor),
                }
                inherit = (its.fileno(), tells, *self._tables.inherit)
                self._daemon = process.Daemon(argv, env=env, inherit=inherit)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(tells)

    def wait_ready(self) -> None:
        """Waits until it listens on all published ports.

        Raises:
            HostError: it failed, or does not enforce what may be reached.
        """
        assert self._daemon is not None  # noqa: S101 (__init__ has started it)
        try:
            self._daemon.wait_ready()
        except CommandError as error:
            raise HostError(
                f"failed to start the container's network: {_complaint(error.stderr)}",
                hint="after an update of drupe: 'drupe kernel build' makes its other parts anew",
            ) from error
        told = self._read_told()
        if not told.startswith(b"+"):
            raise HostError(
                "failed to start the container's network: what it may reach cannot be enforced",
                hint="passt must be a dynamically linked program of this host; or use "
                "--network none",
            )
        self._tables.keep()
        if told[1:].isdigit():
            with suppress(ProcessLookupError):  # it has ended already, as has its container
                write_json(self._record, ProcessId.of(int(told[1:]))._asdict(), sync=False)

    def _read_told(self) -> bytes:
        """What the enforcer has said: "+" once it enforces, then passt's process id."""
        os.set_blocking(self._told, False)
        try:
            return os.read(self._told, 32)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Lets go of the container's end; the network ends unless the container has it, too."""
        for name in ("descriptor", "_told"):
            if (descriptor := getattr(self, name)) >= 0:
                os.close(descriptor)
                setattr(self, name, -1)
        self._tables.close()
        if self._daemon is not None:
            self._daemon.close()


def process_of(record: Path) -> ProcessId | None:
    """The passt that is on record in this file, if it is there still.

    Raises:
        HostError: the file cannot be read.
        StateError: it is spoilt.
    """
    try:
        found = decode(ProcessId, read_json(record), "the process of a network")
    except FileNotFoundError:
        return None
    return found if found.alive() else None


def stand_ins(resolvers: Iterable[str], *, ipv6: bool) -> Mapping[str, str]:
    """What a container knows resolvers by → where they are: the first one of each family."""
    found: dict[str, str] = {}
    for real in resolvers:
        if ipv6 or ":" not in real:
            found.setdefault(RESOLVER6 if ":" in real else RESOLVER, real)
    return found


def end(record: Path) -> None:
    """Ends the passt that is on record in this file, if it is there still, and removes the file.

    It ends by itself when its container does, unless that has it busy for ever: version 2023-03
    can be made to by two segments of one flow in one read.

    Raises:
        HostError: the file cannot be read.
        StateError: it is spoilt.
    """
    found = process_of(record)
    if found is not None:
        found.kill()
    record.unlink(missing_ok=True)


def find() -> Path:
    """The passt of this host, for this processor.

    Raises:
        HostError: there is none.
    """
    for directory in os.get_exec_path():
        found = Path(directory, "passt")
        if os.access(found, os.X_OK):
            return found
    raise HostError("failed to find 'passt': containers have no network without it", hint=_HINT)


def _widen(end: socket.socket) -> None:
    """Larger buffers than usual, as large as this host lets us have."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        end.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)


def _fastest(program: Path) -> Path:
    """The one beside it that is made for this processor, if there is one."""
    faster = program.with_name("passt.avx2")
    if faster.exists() and "avx2" in Path("/proc/cpuinfo").read_text().split():
        return faster
    return program


def _command_line(program: Path, wanted: Wanted, enforcer: Path, wire: int) -> list[str]:
    argv = [_LOADER, "--argv0", "passt", "--preload", str(enforcer), str(program)]
    # The gateway's address stands for the host's loopback; whether that may be reached is a matter
    # of the policy. The interface is where passt looks for what it is not told: for IPv6, this is a
    # link-local address, without which it has no IPv6.
    argv += ["--fd", str(wire), "--quiet", "--interface", wanted.ipv6 or "lo", "--mtu", str(MTU)]
    argv += ["--mac-addr", _MAC, "--no-dhcp", "--no-dhcpv6", "--no-ra"]
    argv += ["--address", ADDRESS, "--netmask", str(BITS), "--gateway", GATEWAY]
    if wanted.ipv6:
        argv += ["--address", ADDRESS6, "--gateway", GATEWAY6]
    else:
        argv += ["--ipv4-only"]
    argv += _resolver_options(program, wanted)
    options = {"tcp": "--tcp-ports", "udp": "--udp-ports"}
    pairs = on_both(wanted.ports)
    for port in wanted.ports:
        if port in pairs:  # where it listens is said in the policy
            argv += [options[port.protocol], f"{port.host}:{port.guest}"]
        elif port not in pairs.values():
            argv += [options[port.protocol], f"{port.address}/{port.host}:{port.guest}"]
    return argv


def _policy(wanted: Wanted) -> str:
    """What the object that is preloaded is told."""
    pairs = on_both(wanted.ports).items()
    return "\n".join(
        [wanted.policy]
        + [f"publish {p.protocol} {p.host} {p.address} {six.address}" for p, six in pairs]
    )


def _resolver_options(program: Path, wanted: Wanted) -> list[str]:
    """Which addresses stand for which resolvers.

    Older ones know no --dns-host: they take the first one of /etc/resolv.conf, as we do, unless
    they are told one by --dns, which they forward nothing to.
    """
    told = b"dns-host" in program.read_bytes()
    argv = []
    for stands, real in stand_ins(wanted.resolvers, ipv6=bool(wanted.ipv6)).items():
        argv += [*(("--dns-host", real) if told else ()), "--dns-forward", stands]
    return argv


def _complaint(stderr: str) -> str:
    """What passt says of a failure, without what it says always."""
    usual = ("Failed to send", "Don't run as root", "Couldn't get any nameserver")
    lines = [line for line in stderr.splitlines() if line and not line.startswith(usual)]
    return "; ".join(lines[-3:]) or "passt ended"
