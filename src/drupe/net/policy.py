"""What a container may reach: the user's rules, and the words for who enforces them.

The rules are enforced in the process that makes a container's connections, by an object that is
preloaded there (``netpolicy/`` in the source tree): out of reach of the guest.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from drupe.errors import HostError, SpecError

_PORT_MOST = 65535
_RULE = r"(?:\[(?P<six>[^\]]+)\]|(?P<rest>[^:]+))(?::(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?)?"
_NAME = r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,252}[a-zA-Z0-9_])?"
_ANYWHERE = ("0.0.0.0/0", "::/0")

HOST = "host"
NOTHING = "none"
ANYTHING = "all"


class Rule(NamedTuple):
    """One thing that may be reached.

    Attributes:
        target: ``host``, ``all``, ``none``, ADDRESS[/BITS], or a name.
        first: the lowest port.
        last: the highest port.
    """

    target: str
    first: int = 0
    last: int = _PORT_MOST


def parse_rule(text: str) -> Rule:
    """host[:PORT], none, all[:PORT], ADDRESS[/BITS][:PORT], [IPV6[/BITS]][:PORT] or NAME[:PORT].

    Raises:
        SpecError: none of these.
    """
    bare = "" if text.count(":") < 2 or text.startswith("[") else f"[{text}]"
    match = re.fullmatch(_RULE, bare or text)
    if match is None:
        raise _wrong(text)
    target = match["six"] or match["rest"]
    first = int(match["first"] or 0)
    last = int(match["last"] or (match["first"] or _PORT_MOST))
    if first > last or last > _PORT_MOST:
        raise _wrong(text)
    if not (_is_block(target) or (match["six"] is None and re.fullmatch(_NAME, target))):
        raise _wrong(text)
    return Rule(target, first, last)


def _wrong(text: str) -> SpecError:
    return SpecError(
        f"failed to use rule '{text}': not something that can be reached",
        hint="host, all, none, 10.0.0.0/8, 192.0.2.7:443, [2001:db8::/32]:80-90, example.org:443",
    )


def _is_block(text: str) -> bool:
    address, slash, bits = text.partition("/")
    six = ":" in address
    try:
        socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address)
    except (OSError, ValueError):
        return False
    return not slash or (bits.isdecimal() and int(bits) <= (128 if six else 32))


def reaches_host(rules: tuple[str, ...]) -> bool:
    """Whether some rule opens the host."""
    return any(parse_rule(rule).target == HOST for rule in rules)


def look_up(name: str) -> tuple[str, ...]:
    """All addresses of a name, as this host resolves it.

    Raises:
        HostError: it has none.
    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise HostError(
            f"failed to look up '{name}', which the container may reach: {error.strerror}"
        ) from error
    return tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def encode_policy(
    rules: tuple[str, ...],
    *,
    denied: tuple[str, ...],
    resolvers: tuple[str, ...],
    stand_ins: Mapping[str, str] = MappingProxyType({}),
    names: Callable[[str], tuple[str, ...]] = look_up,
) -> str:
    """The rules for the object that enforces them; names become the addresses of this moment.

    Where no rule speaks of the outside, all of it may be reached. The host may be reached only
    where a rule says so. ``stand_ins``: what a container knows resolvers by → where they are.

    Raises:
        SpecError: a rule is none.
        HostError: a name has no address.
    """
    lines = [f"dns {address}" for address in resolvers]
    lines += [f"stand {address} {real}" for address, real in stand_ins.items()]
    lines += [f"deny {block}" for block in denied]
    parsed = [parse_rule(rule) for rule in rules]
    if all(rule.target == HOST for rule in parsed):
        parsed.append(Rule(ANYTHING))
    for rule in parsed:
        span = f"{rule.first} {rule.last}"
        if rule.target == HOST:
            lines.append(f"host {span}")
        elif rule.target == ANYTHING:
            lines += [f"allow {block} {span}" for block in _ANYWHERE]
        elif rule.target != NOTHING:
            blocks = (rule.target,) if _is_block(rule.target) else names(rule.target)
            lines += [f"allow {block} {span}" for block in blocks]
    return "\n".join(lines)
