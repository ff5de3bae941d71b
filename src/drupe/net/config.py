"""What a container's network shall be: as it is kept with the container. No I/O."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Mode(StrEnum):
    """How a container reaches the outside.

    Attributes:
        NONE: not at all.
        USER: by a user-mode network of its own.
        NAMESPACE: by an interface in a network namespace of the host.
        MACVLAN: by the network of one of the host's interfaces, beside the host.
    """

    NONE = "none"
    USER = "default"
    NAMESPACE = "namespace"
    MACVLAN = "macvlan"


class Port(NamedTuple):
    """A port of the container that the host listens for.

    Attributes:
        address: of the host; IPv4 or IPv6.
        host: the host's port.
        guest: the container's port.
        protocol: tcp or udp.
    """

    address: str
    host: int
    guest: int
    protocol: str


class Host(NamedTuple):
    """A line of /etc/hosts.

    Attributes:
        name: of the host.
        address: IPv4 or IPv6; ``host-gateway``: the container's host.
    """

    name: str
    address: str


class Dns(NamedTuple):
    """What /etc/resolv.conf says.

    Attributes:
        servers: addresses; empty: the host's resolver.
        search: domains.
        options: as in resolv.conf(5).
    """

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Attachment(NamedTuple):
    """A named network that a container is on.

    Attributes:
        name: of the network.
        aliases: further names of the container there.
        address: IPv4 address there; empty: the next free one.
        address6: the same for IPv6.
        mac: Ethernet address there; empty: made from the container's id.
    """

    name: str
    aliases: tuple[str, ...] = ()
    address: str = ""
    address6: str = ""
    mac: str = ""


class Network(NamedTuple):
    """A container's networks.

    Attributes:
        mode: how it reaches the outside.
        path: of the network namespace.
        device: the interface in that namespace, or the host's of a macvlan.
        ports: published ones.
        allow: what it may reach, as the user said it; empty: all but the host.
        dns: how it looks up names.
        hosts: further lines of /etc/hosts.
        mac: Ethernet address of its first interface; empty: made from its id.
        addresses: ADDRESS/BITS on that interface's network, of a macvlan.
        gateways: next hops of its default routes.
        joined: named networks, whose interfaces are the first ones.
    """

    mode: Mode = Mode.NONE
    path: str = ""
    device: str = ""
    ports: tuple[Port, ...] = ()
    allow: tuple[str, ...] = ()
    dns: Dns = Dns()
    hosts: tuple[Host, ...] = ()
    mac: str = ""
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    joined: tuple[Attachment, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What the user calls its networks."""
        return tuple(one.name for one in self.joined) or (self.mode.value,)


def make_mac(container_id: str, index: int = 0) -> str:
    """A locally administered Ethernet address that belongs to a container's interface."""
    octets = bytes.fromhex(container_id[:10])
    return ":".join(f"{octet:02x}" for octet in (0x02 + 4 * index, *octets))
