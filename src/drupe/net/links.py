"""Interfaces of the network namespace that this process is in.

Source: rtnetlink(7), netdevice(7).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from contextlib import suppress

MTU = 65520

_RTM_NEWLINK, _RTM_DELLINK = 16, 17
_REQUEST_ACK, _CREATE_NEW = 0x005, 0x600
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK = 1, 3, 4, 5
_IFLA_LINKINFO, _IFLA_NET_NS_FD = 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_VETH_INFO_PEER = 1
_IFLA_MACVLAN_MODE, _MACVLAN_MODE_BRIDGE = 1, 4
_ACK_BYTES = 4096
"""Source: linux/rtnetlink.h, linux/if_link.h, linux/veth.h."""

_SIOCSIFFLAGS, _SIOCGIFMTU, _SIOCSIFMTU = 0x8914, 0x8921, 0x8922
_SIOCGIFINDEX, _SIOCBRADDIF = 0x8933, 0x89A2
_IFF_UP = 1
"""Source: linux/sockios.h, linux/if.h."""


def make_veth(name: str, peer: str, namespace: int) -> None:
    """Makes a cable: one end here, up; the other one in the namespace of a descriptor.

    An end of that name there, which an earlier cable has left, is taken away first.

    Raises:
        OSError: the kernel refused.
    """
    mtu = _attribute(_IFLA_MTU, struct.pack("I", MTU))
    far = _attribute(_IFLA_IFNAME, peer.encode() + b"\0") + mtu
    far += _attribute(_IFLA_NET_NS_FD, struct.pack("i", namespace))
    data = _attribute(_VETH_INFO_PEER, _head() + far)
    info = _attribute(_IFLA_INFO_KIND, b"veth") + _attribute(_IFLA_INFO_DATA, data)
    near = _attribute(_IFLA_IFNAME, name.encode() + b"\0") + mtu
    _ask(_RTM_NEWLINK, _CREATE_NEW, _head(_IFF_UP) + near + _attribute(_IFLA_LINKINFO, info))


def make_macvlan(name: str, parent: str, mac: str, namespace: int) -> None:
    """Makes a macvlan of an interface here, in the namespace of a descriptor.

    Raises:
        OSError: the kernel refused, or there is no such parent.
    """
    mode = _attribute(_IFLA_MACVLAN_MODE, struct.pack("I", _MACVLAN_MODE_BRIDGE))
    info = _attribute(_IFLA_INFO_KIND, b"macvlan") + _attribute(_IFLA_INFO_DATA, mode)
    body = _attribute(_IFLA_IFNAME, name.encode() + b"\0")
    body += _attribute(_IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))
    body += _attribute(_IFLA_LINK, struct.pack("I", socket.if_nametoindex(parent)))
    body += _attribute(_IFLA_NET_NS_FD, struct.pack("i", namespace))
    _ask(_RTM_NEWLINK, _CREATE_NEW, _head() + body + _attribute(_IFLA_LINKINFO, info))


def mtu_of(name: str) -> int:
    """Bytes of the largest packet of an interface.

    Raises:
        OSError: it is not there.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kernel:
        told = fcntl.ioctl(kernel, _SIOCGIFMTU, struct.pack("16si20x", name.encode()[:15], 0))
    return int(struct.unpack_from("i", told, 16)[0])


def raise_up(name: str) -> None:
    """Has an interface up.

    Raises:
        OSError: it is not there.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kernel:
        fcntl.ioctl(kernel, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), _IFF_UP))


def remove(name: str) -> None:
    """Takes an interface away, if it is there.

    Raises:
        OSError: the kernel refused.
    """
    try:
        _ask(_RTM_DELLINK, 0, _head() + _attribute(_IFLA_IFNAME, name.encode() + b"\0"))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def attach(name: str, bridge: str) -> None:
    """Makes an interface a port of a bridge, and has it up.

    Raises:
        OSError: one of them is not there.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kernel:
        fcntl.ioctl(kernel, _SIOCSIFMTU, struct.pack("16si20x", name.encode(), MTU))
        fcntl.ioctl(kernel, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), _IFF_UP))
        found = fcntl.ioctl(kernel, _SIOCGIFINDEX, struct.pack("16si20x", name.encode(), 0))
        (index,) = struct.unpack_from("i", found, 16)
        fcntl.ioctl(kernel, _SIOCBRADDIF, struct.pack("16si20x", bridge.encode(), index))


def silence_ipv6() -> None:
    """Interfaces that are made from now on say nothing by themselves, where that can be had."""
    with suppress(OSError):
        descriptor = os.open("/proc/sys/net/ipv6/conf/default/disable_ipv6", os.O_WRONLY)
        try:
            os.write(descriptor, b"1")
        finally:
            os.close(descriptor)


def _head(flags: int = 0) -> bytes:
    """A ``struct ifinfomsg``."""
    return struct.pack("BxHiII", socket.AF_UNSPEC, 0, 0, flags, flags)


def _attribute(kind: int, data: bytes) -> bytes:
    """A ``struct rtattr`` and its data, to a multiple of four bytes."""
    return struct.pack("HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _ask(kind: int, flags: int, body: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(struct.pack("IHHII", 16 + len(body), kind, _REQUEST_ACK | flags, 1, 0) + body)
        (error,) = struct.unpack_from("i", kernel.recv(_ACK_BYTES), 16)
    if error:
        raise OSError(-error, os.strerror(-error))
