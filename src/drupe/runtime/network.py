"""The engine's network: the interfaces of the namespace that it made become the container's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from drupe.oci.bundle import BundleConfig
from drupe.platform.base import Wire


class Joined(NamedTuple):
    """What a container gets of its network.

    Attributes:
        wires: the host's ends of its Ethernet devices.
        frames: what the guest is told of them.
    """

    wires: tuple[Wire, ...] = ()
    frames: bytes = b""


@contextmanager
def joined(config: BundleConfig) -> Iterator[Joined]:
    """Takes over all interfaces with addresses of the namespace that config.json names, if any.

    At the end of the block only the machine's wires stay.

    Raises:
        HostError: this host refused.
    """
    path = config.linux.namespaces.get("network")
    if not path:
        yield Joined()
        return
    from drupe.guest.network import Interface, Route, network_frames
    from drupe.net.netns import devices, take_over

    taken = []
    try:
        interfaces = []
        for device in devices(path):
            one = take_over(path, device)
            taken.append(one)
            routes = tuple(Route(*route) for route in one.routes)
            interfaces.append(Interface(device, one.mac, one.mtu, one.addresses, routes))
        wires = tuple(Wire(one.descriptor, "packet") for one in taken)
        yield Joined(wires, network_frames(tuple(interfaces)))
    finally:
        for one in taken:
            os.close(one.descriptor)
