"""Subnets of named networks, and addresses in them. No I/O."""

from __future__ import annotations

import ipaddress

from drupe.errors import SpecError

POOL = "10.214.{}.0/24"
POOL6 = "fd64:7275:7065:{:x}::/64"
_POOL_SIZE = 250
_FIRST = 2
"""The first address that a container gets: the one before is a gateway's, as a rule."""
_TRIED_MOST = 65536

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


def choose(wanted: str | None, taken: list[str], pool: str) -> str:
    """The subnet that is asked for, or one of the pool; it overlaps with no other one.

    Raises:
        SpecError: it cannot be.
    """
    others = [ipaddress.ip_network(other) for other in taken]
    if wanted is None:
        for number in range(1, _POOL_SIZE + 1):
            block = ipaddress.ip_network(pool.format(number))
            if not any(block.overlaps(other) for other in others):
                return str(block)
        raise SpecError("failed to make a network: all subnets are taken", hint="name one")
    try:
        chosen = ipaddress.ip_network(wanted)
    except ValueError as error:
        raise SpecError(f"failed to use subnet '{wanted}': {error}") from error
    if chosen.version != ipaddress.ip_network(pool.format(1)).version:
        raise SpecError(f"failed to use subnet '{wanted}': of the other IP version")
    if chosen.num_addresses < 4:
        raise SpecError(f"failed to use subnet '{wanted}': too small")
    if any(chosen.overlaps(other) for other in others):
        raise SpecError(f"failed to use subnet '{wanted}': another network has a part of it")
    return str(chosen)


def check(subnet: Subnet, wanted: str) -> str:
    """An address that a container in a subnet may have, in its usual form.

    Raises:
        SpecError: it may not.
    """
    try:
        address = ipaddress.ip_address(wanted)
    except ValueError as error:
        raise SpecError(f"failed to use address '{wanted}': not an address") from error
    if address not in subnet or address in {subnet[0], subnet[-1]}:
        raise SpecError(f"failed to use address '{wanted}': not one of {subnet}")
    return str(address)


def allocate(subnet: Subnet, taken: list[str], wanted: str) -> str:
    """The address that is asked for, or the first one that is free.

    Raises:
        SpecError: it is taken, or none of the subnet's.
    """
    used = {ipaddress.ip_address(address) for address in taken}
    if wanted:
        address = check(subnet, wanted)
        if ipaddress.ip_address(address) in used:
            raise SpecError(f"failed to use address '{wanted}': another container has it")
        return address
    for number in range(_FIRST, min(subnet.num_addresses - 1, _TRIED_MOST)):
        if subnet[number] not in used:
            return str(subnet[number])
    raise SpecError(f"failed to join the network: all addresses of {subnet} are taken")
