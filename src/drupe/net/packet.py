"""A packet socket: what reads and writes the Ethernet frames of an interface."""

from __future__ import annotations

import socket
import struct

_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 1, 15, 23
_PACKET_MR_PROMISC = 1
_ETH_P_ALL = 3
_BUFFER_BYTES = 4 << 20
"""Source of the numbers: linux/if_packet.h, linux/if_ether.h."""


def open_packet(device: str) -> int:
    """A descriptor with one frame a read or write, each behind a ``struct virtio_net_hdr``.

    Raises:
        OSError: there is no such interface here, or no right to it.
    """
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    frames.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    frames.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        frames.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
    frames.bind((device, _ETH_P_ALL))
    request = struct.pack("iHH8s", socket.if_nametoindex(device), _PACKET_MR_PROMISC, 0, b"")
    frames.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)
    return frames.detach()
