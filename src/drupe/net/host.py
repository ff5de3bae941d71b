"""What networks this host has."""

from __future__ import annotations

from pathlib import Path

_IPV6_ROUTES = Path("/proc/net/ipv6_route")


def has_ipv6(routes: Path = _IPV6_ROUTES) -> bool:
    """Whether this host has a default route for IPv6: where it has none, a container tries in vain.

    Source: net/ipv6/route.c, rt6_seq_show(): target, its prefix, source, its prefix, next hop,
    metric, references, uses, flags, interface.
    """
    try:
        lines = routes.read_text().splitlines()
    except OSError:
        return False
    for line in lines:
        fields = line.split()
        if fields[0] == "0" * 32 and fields[1] == "00" and fields[-1] != "lo":
            return True
    return False
