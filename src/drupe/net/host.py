"""What networks this host has."""

from __future__ import annotations

from pathlib import Path

_ROUTES = Path("/proc/net/ipv6_route")
_ADDRESSES = Path("/proc/net/if_inet6")
_LINK_LOCAL = "20"


def ipv6_interface(routes: Path = _ROUTES, addresses: Path = _ADDRESSES) -> str | None:
    """An interface with a link-local address, where this host has a default route for IPv6.

    Where it has no such route, a container tries in vain; passt refuses to have to do with IPv6
    where it is not told such an interface.

    Sources: net/ipv6/route.c, rt6_seq_show(): target, its prefix, source, its prefix, next hop,
    metric, references, uses, flags, interface. net/ipv6/addrconf.c, if6_seq_show(): address, index,
    prefix, scope, flags, interface.
    """
    there = [fields[-1] for fields in _lines(routes) if fields[:2] == ["0" * 32, "00"]]
    local = [fields[-1] for fields in _lines(addresses) if fields[3] == _LINK_LOCAL]
    if all(name == "lo" for name in there):
        return None
    return next((name for name in (*there, *local) if name in local), None)


def _lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return []
