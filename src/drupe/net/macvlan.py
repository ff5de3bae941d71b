"""A container beside its host on the network of one of the host's interfaces: a macvlan.

It lies in a network namespace that nothing but its packet socket is in, as ``net.plug`` has it, so
it goes with its container. It takes the right to change the host's interfaces: root, as a rule.
"""

from __future__ import annotations

import ipaddress
import os
from typing import NamedTuple

from drupe import process
from drupe._linux.namespaces import CLONE_NEWNET, enter, unshare
from drupe.errors import HostError, SpecError
from drupe.net import links
from drupe.net.packet import open_packet

_HERE = "/proc/self/ns/net"
_NAME = "macvlan0"
_FORM = "macvlan:PARENT[,ip=ADDRESS/BITS[,gateway=ADDRESS]][,ip6=ADDRESS/BITS[,gateway6=ADDRESS]]"
_KEYS = ("ip", "gateway", "ip6", "gateway6")


class Wanted(NamedTuple):
    """What ``--network macvlan:...`` says.

    Attributes:
        parent: the host's interface.
        addresses: ADDRESS/BITS; none: the container asks for one itself.
        gateways: next hops of the default routes.
    """

    parent: str
    addresses: tuple[str, ...]
    gateways: tuple[str, ...]


def parse_macvlan(text: str) -> Wanted:
    """PARENT[,ip=ADDRESS/BITS[,gateway=ADDRESS]][,ip6=ADDRESS/BITS[,gateway6=ADDRESS]].

    Raises:
        SpecError: not of that form, or there is no such interface.
    """
    parent, *parts = text.split(",")
    said: dict[str, str] = {}
    for part in parts:
        key, _, value = part.partition("=")
        if key not in _KEYS or not value or key in said:
            raise SpecError(f"failed to use network 'macvlan:{text}': not '{part}'", hint=_FORM)
        said[key] = value
    addresses, gateways = [], []
    try:
        for version, key, gate in ((4, "ip", "gateway"), (6, "ip6", "gateway6")):
            own = ipaddress.ip_interface(said[key]) if key in said else None
            if own is not None:
                if own.version != version or "/" not in said[key]:
                    raise ValueError(f"'{said[key]}' is not IPv{version} with its BITS")
                addresses.append(str(own))
            if gate in said:
                if own is None or ipaddress.ip_address(said[gate]) not in own.network:
                    raise ValueError(f"'{said[gate]}' cannot be reached")
                gateways.append(str(ipaddress.ip_address(said[gate])))
    except ValueError as error:
        raise SpecError(f"failed to use network 'macvlan:{text}': {error}", hint=_FORM) from error
    try:
        links.mtu_of(parent)
    except OSError as error:
        raise SpecError(
            f"failed to use network 'macvlan:{text}': this host has no interface '{parent}'",
            hint="'ip link' lists them",
        ) from error
    return Wanted(parent, tuple(addresses), tuple(gateways))


def open_macvlan(parent: str, mac: str) -> int:
    """Makes a macvlan with this Ethernet address; returns a descriptor of its frames.

    Raises:
        HostError: this host refused.
    """

    def make() -> int:
        try:
            return _make(parent, mac)
        except OSError as error:
            raise HostError(
                f"failed to make a macvlan of '{parent}': {error.strerror}",
                hint="it takes root, and an interface of Ethernet",
            ) from error

    return process.open_elsewhere((), make)


def _make(parent: str, mac: str) -> int:
    home = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
    unshare(CLONE_NEWNET)
    links.silence_ipv6()
    own = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
    enter(f"/proc/self/fd/{home}")
    links.make_macvlan(_NAME, parent, mac, own)
    enter(f"/proc/self/fd/{own}")
    links.raise_up(_NAME)
    return open_packet(_NAME)
