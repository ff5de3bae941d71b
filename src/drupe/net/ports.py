"""Published ports: docker's notation, and whether the host's side of them can be had."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterable

from drupe.errors import HostError, SpecError
from drupe.net.config import Port

LOOPBACK = "127.0.0.1"
"""Where ports are published unless an address is named: nobody else on the network sees them."""

_PORT_MOST = 65535
_RANGE = r"(\d{1,5})(?:-(\d{1,5}))?"
_PUBLISH = (
    rf"(?:(?P<address>\[[0-9a-fA-F:.]+\]|\d{{1,3}}(?:\.\d{{1,3}}){{3}}):)?(?:(?P<host>{_RANGE})?:)?"
    rf"(?P<guest>{_RANGE})(?:/(?P<protocol>tcp|udp))?"
)
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def parse_publish(text: str) -> tuple[Port, ...]:
    """[[ADDRESS:]HOST[-RANGE]:]GUEST[-RANGE][/tcp|udp]; a host port of 0 is still to be chosen.

    Raises:
        SpecError: not of that form, or the ranges differ in length.
    """
    match = re.fullmatch(_PUBLISH, text)
    if match is None:
        raise SpecError(
            f"failed to publish port '{text}': not [[ADDRESS:]HOST:]GUEST[/tcp|udp]",
            hint="8080:80, 127.0.0.1:8080:80, [::1]:8080:80, 8000-8010:8000-8010/udp, or 80",
        )
    address = (match["address"] or LOOPBACK).strip("[]")
    check_address(text, address)
    guest = _span(text, match["guest"])
    host = _span(text, match["host"]) if match["host"] else [0] * len(guest)
    if len(host) != len(guest):
        raise SpecError(
            f"failed to publish port '{text}': {len(host)} ports of the host, {len(guest)} of the "
            "container"
        )
    protocol = match["protocol"] or "tcp"
    return tuple(Port(address, *pair, protocol) for pair in zip(host, guest, strict=True))


def check_address(text: str, address: str) -> None:
    """Checks an IPv4 or IPv6 address that is part of ``text``.

    Raises:
        SpecError: it is none.
    """
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError as error:
        raise SpecError(f"failed to use '{text}': '{address}' is not an address") from error


def _span(text: str, ports: str) -> list[int]:
    first, _, last = ports.partition("-")
    span = range(int(first), int(last or first) + 1)
    if not span or span[0] < 1 or span[-1] > _PORT_MOST:
        raise SpecError(f"failed to publish port '{text}': ports are 1 to {_PORT_MOST}")
    return list(span)


def on_both(ports: Iterable[Port]) -> dict[Port, Port]:
    """Those that are published twice, on an IPv4 address (key) and on an IPv6 address.

    Raises:
        SpecError: a port of the host on several addresses of one family, or for several ports of
            the container: one process listens for all, and takes each once.
    """
    found: dict[tuple[str, int], list[Port]] = {}
    for port in ports:
        found.setdefault((port.protocol, port.host), []).append(port)
    pairs = {}
    for several in found.values():
        four = [port for port in several if ":" not in port.address]
        six = [port for port in several if ":" in port.address]
        if max(len(four), len(six)) > 1 or len({port.guest for port in several}) > 1:
            raise SpecError(
                f"failed to publish port '{show(several[1])}': '{show(several[0])}' is published",
                hint="one port of the host may be on one IPv4 and one IPv6 address, for the same "
                "port of the container",
            )
        if four and six:
            pairs[four[0]] = six[0]
    return pairs


def claim(ports: tuple[Port, ...]) -> tuple[Port, ...]:
    """The ports with those of the host chosen that were left open; all can be listened on now.

    Raises:
        SpecError: two are the same, or one is taken.
        HostError: one needs rights, or an address that this host does not have.
    """
    claimed = []
    for port in ports:
        claimed.append(_try(port))
        taken = [(entry.address, entry.host, entry.protocol) for entry in claimed]
        if taken.count(taken[-1]) > 1:
            raise SpecError(f"failed to publish port {port.host}: named twice")
    on_both(claimed)
    return tuple(claimed)


def _try(port: Port) -> Port:
    """Binds to it for a moment."""
    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    where = show(port)
    try:
        with socket.socket(family, _KINDS[port.protocol]) as trial:
            if port.protocol == "tcp":
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((port.address, port.host))
            return port._replace(host=trial.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SpecError(
                f"failed to publish port '{where}': something listens there already",
                hint="choose another port of the host; 'drupe ps' and 'ss -tulp' tell who has it",
            ) from error
        hint = None
        if error.errno == errno.EACCES:
            hint = "ports below 1024 are root's: sysctl net.ipv4.ip_unprivileged_port_start"
        raise HostError(f"failed to publish port '{where}': {error.strerror}", hint=hint) from error


def show(port: Port) -> str:
    """The host's side, as ADDRESS:PORT."""
    address = f"[{port.address}]" if ":" in port.address else port.address
    return f"{address}:{port.host}"
