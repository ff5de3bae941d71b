"""An interface in an existing network namespace, taken over by a container.

Its MAC, MTU, IP addresses and routes become the container's; the namespace's own kernel lets go of
the IP addresses, as it would answer in the container's place. Frames go by a packet socket.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from drupe import process
from drupe.errors import CommandError, HostError, SpecError
from drupe.net.packet import open_packet

_DEVICE = "eth0"


class Taken(NamedTuple):
    """What an interface had.

    Attributes:
        descriptor: reads and writes its frames.
        mac: its Ethernet address.
        mtu: bytes of its largest packet.
        addresses: ADDRESS/BITS.
        routes: (target, gateway or "", metric).
    """

    descriptor: int
    mac: str
    mtu: int
    addresses: tuple[str, ...]
    routes: tuple[tuple[str, str, int], ...]


def parse_namespace(text: str) -> tuple[str, str]:
    """(path, interface) of PATH[,dev=NAME].

    Raises:
        SpecError: not of that form, or there is no such file.
    """
    path, comma, option = text.partition(",")
    key, _, device = option.partition("=")
    if not path.startswith("/") or (comma and (key != "dev" or not device)):
        raise SpecError(
            f"failed to use network 'ns:{text}': not ns:PATH[,dev=NAME]",
            hint="such as ns:/run/netns/blue,dev=eth0",
        )
    if not Path(path).exists():
        raise SpecError(f"failed to use network 'ns:{text}': there is no '{path}'")
    return path, device or _DEVICE


def devices(path: str) -> list[str]:
    """The Ethernet interfaces of a namespace that have IP addresses, in their order.

    Raises:
        HostError: one may not look into it.
    """
    return [
        link["ifname"]
        for link in _ask(path, ["addr", "show"])
        if link["link_type"] == "ether"
        and any(info["scope"] == "global" for info in link.get("addr_info", ()))
    ]


def take_over(path: str, device: str) -> Taken:
    """Takes an interface over, with what it has.

    Raises:
        HostError: this host refused, or it has no address, as after it was taken over before.
    """
    (link,) = _ask(path, ["addr", "show", "dev", device])
    addresses = tuple(
        f"{info['local']}/{info['prefixlen']}"
        for info in link.get("addr_info", ())
        if info["scope"] == "global"
    )
    if not addresses:
        raise HostError(
            f"failed to take over '{device}' of '{path}': it has no IP address",
            hint="a container that had it before has taken it: add it again",
        )
    routes = tuple(
        _route(entry)
        for family in ("-4", "-6")
        for entry in _ask(path, [family, "route", "show", "dev", device])
        if entry.get("protocol") != "kernel"
    )
    descriptor = process.open_elsewhere((path,), lambda: open_packet(device))
    _run(path, ["addr", "flush", "dev", device])
    _run(path, ["link", "set", device, "up"])
    return Taken(descriptor, link["address"], link["mtu"], addresses, routes)


def _route(entry: dict[str, Any]) -> tuple[str, str, int]:
    gateway = str(entry.get("gateway", ""))
    target = str(entry["dst"])
    if target == "default":
        target = "::/0" if ":" in gateway else "0.0.0.0/0"
    return target, gateway, int(entry.get("metric", 0))


def _run(path: str, arguments: list[str]) -> bytes:
    try:
        return process.run(["nsenter", f"--net={path}", "ip", *arguments])
    except CommandError as error:
        raise HostError(
            f"failed to look into network namespace '{path}': {error.stderr.strip()}",
            hint="it takes root, or whoever made the namespace",
        ) from error


def _ask(path: str, arguments: list[str]) -> list[dict[str, Any]]:
    found = json.loads(_run(path, ["-j", *arguments]) or b"[]")
    return [entry for entry in found if entry]
