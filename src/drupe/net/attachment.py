"""How a container is on a named network, in docker's notation. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence

from drupe.errors import SpecError
from drupe.net.config import Attachment
from drupe.net.ports import check_address

JOINED_MOST = 7
"""Named networks of one container: its kernel has eight interfaces, one of which leads outside."""

_MAC = r"[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}"
_ALIAS = r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9_])?"
_KEYS = ("name", "alias", "ip", "ip6", "mac-address")
_FORM = "name=NAME[,alias=NAME][,ip=ADDRESS][,ip6=ADDRESS][,mac-address=MAC]"


def parse_attachment(text: str) -> Attachment:
    """NAME, or name=NAME[,alias=NAME][,ip=ADDRESS][,ip6=ADDRESS][,mac-address=MAC].

    Raises:
        SpecError: not of that form.
    """
    if "=" not in text:
        return Attachment(text)
    said: dict[str, list[str]] = {key: [] for key in _KEYS}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key not in said or not value:
            raise SpecError(f"failed to use network '{text}': not '{part}'", hint=_FORM)
        said[key].append(value)
    for key in _KEYS:
        if key != "alias" and len(said[key]) > 1:
            raise SpecError(f"failed to use network '{text}': '{key}' is said twice", hint=_FORM)
    name, ip, ip6, mac = ((said[key] or [""])[0] for key in ("name", "ip", "ip6", "mac-address"))
    if not name:
        raise SpecError(f"failed to use network '{text}': it has no name", hint=_FORM)
    one = Attachment(name, mac=check_mac(mac) if mac else "")
    return add_options(one, ip, ip6, said["alias"])


def add_options(
    one: Attachment, ip: str | None, ip6: str | None, aliases: Sequence[str] = ()
) -> Attachment:
    """The same, with what is said elsewhere.

    Raises:
        SpecError: an address or a name is none, or there is an address already.
    """
    for alias in aliases:
        if not re.fullmatch(_ALIAS, alias):
            raise SpecError(f"failed to use alias '{alias}': not the name of a host")
    for address, there, six in ((ip, one.address, False), (ip6, one.address6, True)):
        if not address:
            continue
        check_address(address, address)
        if (":" in address) != six:
            raise SpecError(f"failed to use address '{address}': of the other IP version")
        if there:
            raise SpecError(f"failed to use address '{address}': it has '{there}' already")
    return one._replace(
        address=ip or one.address,
        address6=ip6 or one.address6,
        aliases=(*one.aliases, *aliases),
    )


def add_attachment(joined: Sequence[Attachment], one: Attachment) -> list[Attachment]:
    """One network more.

    Raises:
        SpecError: the container is on it already, or on too many.
    """
    if any(other.name == one.name for other in joined):
        raise SpecError(f"failed to use network '{one.name}': the container is on it already")
    if len(joined) == JOINED_MOST:
        raise SpecError(
            f"failed to use network '{one.name}': a container is on {JOINED_MOST} at most"
        )
    return [*joined, one]


def check_mac(text: str) -> str:
    """An Ethernet address of one interface, in lower case.

    Raises:
        SpecError: it is none.
    """
    if not re.fullmatch(_MAC, text):
        raise SpecError(
            f"failed to use MAC address '{text}': not six bytes, or of a group",
            hint="such as 02:00:5e:10:00:01",
        )
    return text.lower()
