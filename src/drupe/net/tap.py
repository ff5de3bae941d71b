"""A tap in another network namespace: an Ethernet device whose frames are read and written here."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

from drupe.errors import HostError

MTU = 65520

_TUN = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_OFFLOADS = 0x01 | 0x02 | 0x04 | 0x08
"""Checksums, TSO of IPv4 and IPv6, ECN. Source of these numbers: linux/if_tun.h."""

_SIOCSIFFLAGS, _SIOCSIFMTU, _SIOCGIFINDEX, _SIOCBRADDIF = 0x8914, 0x8922, 0x8933, 0x89A2
_IFF_UP = 1
"""Source: linux/sockios.h, linux/if.h."""

_HINTS = {
    errno.ENOENT: "modprobe tun; in a container, let it have /dev/net/tun",
    errno.EACCES: "chmod 0666 /dev/net/tun, as udev does",
    errno.EPERM: "let the container that you are in use /dev/net/tun",
}


def open_tap(name: str, bridge: str) -> int:
    """Makes a tap and a port of ``bridge`` of it; both are of the namespace that this runs in.

    It goes when the last descriptor is closed.

    Raises:
        HostError: this host has no taps for this user.
        OSError: the bridge is not there, or the name is taken.
    """
    try:
        tap = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise HostError(
            f"failed to open '{_TUN}': {error.strerror}; named networks need it",
            hint=_HINTS.get(error.errno or 0),
        ) from error
    try:
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        fcntl.ioctl(tap, _TUNSETOFFLOAD, _OFFLOADS)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kernel:
            fcntl.ioctl(kernel, _SIOCSIFMTU, struct.pack("16si20x", name.encode(), MTU))
            fcntl.ioctl(kernel, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), _IFF_UP))
            found = fcntl.ioctl(kernel, _SIOCGIFINDEX, struct.pack("16si20x", name.encode(), 0))
            (index,) = struct.unpack_from("i", found, 16)
            fcntl.ioctl(kernel, _SIOCBRADDIF, struct.pack("16si20x", bridge.encode(), index))
    except BaseException:
        os.close(tap)
        raise
    return tap
