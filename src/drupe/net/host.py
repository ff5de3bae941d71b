"""What networks this host has."""

from __future__ import annotations

from pathlib import Path

_ROUTES = Path("/proc/net/ipv6_route")
_ADDRESSES = Path("/proc/net/if_inet6")
_LINK_LOCAL = "20"


def has_ipv6(routes: Path = _ROUTES) -> bool:
    """Whether this host has a default route for IPv6: where it has none, a container tries in vain.

    Source: net/ipv6/route.c, rt6_seq_show(): target, its prefix, source, its prefix, next hop,
    metric, references, uses, flags, interface.
    """
    return any(f[:2] == ["0" * 32, "00"] and f[-1] != "lo" for f in _lines(routes))


def ipv6_interface(addresses: Path = _ADDRESSES) -> str | None:
    """An interface with a link-local address: passt has to be told one to know IPv6 at all.

    Source: net/ipv6/addrconf.c, if6_seq_show(): address, index, prefix, scope, flags, interface.
    """
    return next((f[-1] for f in _lines(addresses) if f[3] == _LINK_LOCAL), None)


def _lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return []
