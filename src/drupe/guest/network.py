"""A container's interfaces as frames: addresses and routes are given, none asked for. No I/O."""

from __future__ import annotations

import socket
from typing import NamedTuple

from drupe.errors import SpecError
from drupe.guest.protocol import (
    ADDRESS,
    ADDRESSES_MAX,
    INTERFACE,
    INTERFACE_NAME_MAX,
    INTERFACES_MAX,
    ROUTE,
    ROUTES_MAX,
    Type,
    encode,
)


class Route(NamedTuple):
    """A way to other networks.

    Attributes:
        target: ADDRESS/BITS.
        gateway: the next hop; empty: the target is on the link.
        metric: the lowest of several routes to one target is taken; 0: the guest's default.
    """

    target: str
    gateway: str = ""
    metric: int = 0


class Interface(NamedTuple):
    """One interface of a container.

    Attributes:
        name: in the container, such as "eth0".
        mac: its Ethernet address, six bytes as in "02:00:5e:10:00:01".
        mtu: bytes of its largest packet.
        addresses: ADDRESS/BITS, IPv4 or IPv6.
        routes: over it.
    """

    name: str
    mac: str
    mtu: int
    addresses: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()


def network_frames(interfaces: tuple[Interface, ...]) -> bytes:
    """The frames that set up a container's interfaces, the platform's devices in their order.

    Raises:
        SpecError: they cannot be said in the protocol; names what.
    """
    addresses = sum(len(interface.addresses) for interface in interfaces)
    routes = sum(len(interface.routes) for interface in interfaces)
    if len(interfaces) > INTERFACES_MAX or addresses > ADDRESSES_MAX or routes > ROUTES_MAX:
        raise SpecError(
            f"failed to set up networks: at most {INTERFACES_MAX} interfaces, {ADDRESSES_MAX} "
            f"addresses and {ROUTES_MAX} routes"
        )
    frames = []
    for index, interface in enumerate(interfaces):
        name = interface.name.encode()
        if not 0 < len(name) <= INTERFACE_NAME_MAX:
            raise SpecError(f"failed to use interface name '{interface.name}': 1 to 15 bytes")
        mac = bytes.fromhex(interface.mac.replace(":", ""))
        frames.append(encode(Type.INTERFACE, INTERFACE.pack(index, interface.mtu, mac, 0) + name))
        for text in interface.addresses:
            family, bits, address = _packed(text)
            frames.append(encode(Type.ADDRESS, ADDRESS.pack(index, family, bits, 0, address)))
        frames += [_route(index, route) for route in interface.routes]
    return b"".join(frames)


def _route(index: int, route: Route) -> bytes:
    family, bits, target = _packed(route.target)
    gateway = _packed(route.gateway)[2] if route.gateway else b""
    return encode(Type.ROUTE, ROUTE.pack(index, family, bits, 0, route.metric, target, gateway))


def _packed(text: str) -> tuple[int, int, bytes]:
    """(4 or 6, prefix, address) of ADDRESS[/BITS]."""
    address, _, bits = text.partition("/")
    try:
        if ":" in address:
            return 6, int(bits or 128), socket.inet_pton(socket.AF_INET6, address)
        return 4, int(bits or 32), socket.inet_pton(socket.AF_INET, address)
    except (OSError, ValueError) as error:
        raise SpecError(f"failed to use address '{text}': not an address") from error
