"""A port of a bridge whose frames are read and written here: what a container has of a network.

Either way it goes when its descriptor is closed, however that comes to be. A tap does so by itself,
and at once; but many hosts let root alone have one. The other way takes no rights: a cable (veth)
from the bridge into a network namespace that nothing but a packet socket is in, so the host's
kernel takes namespace and cable away after the last descriptor of that socket, within some tens of
milliseconds.
"""

from __future__ import annotations

import fcntl
import os
import struct

from drupe._linux.namespaces import CLONE_NEWNET, enter, unshare
from drupe.net import links
from drupe.net.packet import open_packet

_TUN = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_OFFLOADS = 0x01 | 0x02 | 0x04 | 0x08
"""Checksums, TSO of IPv4 and IPv6, ECN. Source of these numbers: linux/if_tun.h."""

_END = "plug"
_HERE = "/proc/self/ns/net"


def open_plug(name: str, bridge: str) -> int:
    """Makes a port of ``bridge``; both are of the namespace that this process is in.

    Raises:
        OSError: this host refused, the bridge is not there, or the name is taken.
    """
    try:
        tap = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return open_veth(name, bridge)
    return _set_up_tap(tap, name, bridge)


def open_veth(name: str, bridge: str) -> int:
    """The same without a tap; an earlier one of that name, which is about to go, goes.

    Raises:
        OSError: this host refused, or the bridge is not there.
    """
    links.remove(name)
    home = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(CLONE_NEWNET)
        links.silence_ipv6()
        links.make_veth(_END, name, home)
        frames = open_packet(_END)
        enter(f"/proc/self/fd/{home}")
    finally:
        os.close(home)
    try:
        links.attach(name, bridge)
    except BaseException:
        os.close(frames)
        raise
    return frames


def _set_up_tap(tap: int, name: str, bridge: str) -> int:
    try:
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        fcntl.ioctl(tap, _TUNSETOFFLOAD, _OFFLOADS)
        links.attach(name, bridge)
    except BaseException:
        os.close(tap)
        raise
    return tap
