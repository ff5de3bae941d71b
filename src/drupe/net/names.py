"""Names in a container: /etc/resolv.conf, /etc/hosts, and what the host's resolver is."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from pathlib import Path

from drupe.errors import SpecError
from drupe.net.config import Dns, Host
from drupe.net.ports import check_address

HOST_GATEWAY = "host-gateway"
HOST_NAME = "host.drupe.internal"
"""The container's host, where it may be reached."""

_RESOLV_CONF = Path("/etc/resolv.conf")
_NAME = r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,251}[a-zA-Z0-9_])?"


def host_resolvers(path: Path = _RESOLV_CONF) -> tuple[str, ...]:
    """Addresses of this host's resolvers, the first ones first; none where it has none."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ()
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            address = words[1]
            try:
                socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
            except OSError:
                continue  # with a zone, or nonsense
            found.append(address)
    return tuple(found)


def host_search(path: Path = _RESOLV_CONF) -> tuple[str, ...]:
    """The domains that this host searches."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    found: tuple[str, ...] = ()
    for line in lines:
        words = line.split()
        if words and words[0] in {"search", "domain"}:
            found = tuple(words[1:])  # the last one counts: resolv.conf(5)
    return found


def parse_host(text: str) -> Host:
    """NAME:ADDRESS or NAME=ADDRESS; the address may be ``host-gateway``.

    Raises:
        SpecError: not of that form.
    """
    match = re.fullmatch(rf"(?P<name>{_NAME})[:=]\[?(?P<address>[^\]]+)\]?", text)
    if match is None:
        raise SpecError(f"failed to use host '{text}': not NAME:ADDRESS", hint="db:192.0.2.7")
    if match["address"] != HOST_GATEWAY:
        check_address(text, match["address"])
    return Host(match["name"], match["address"])


def parse_dns(
    servers: Iterable[str], search: Iterable[str] = (), options: Iterable[str] = ()
) -> Dns:
    """What the user wants of lookups.

    Raises:
        SpecError: a server is no address, or a domain or an option holds a space.
    """
    dns = Dns(tuple(servers), tuple(search), tuple(options))
    for server in dns.servers:
        check_address(server, server)
    for word in (*dns.search, *dns.options):
        if not re.fullmatch(r"[!-~]{1,253}", word):
            raise SpecError(f"failed to use '{word}' for lookups: not a word")
    return dns


def resolv_conf(servers: Iterable[str], search: Iterable[str], options: Iterable[str]) -> bytes:
    """The content of /etc/resolv.conf."""
    lines = [f"nameserver {server}" for server in servers]
    # docker's way to have no domains at all
    if domains := [domain for domain in search if domain != "."]:
        lines.append("search " + " ".join(domains))
    if words := list(options):
        lines.append("options " + " ".join(words))
    return "".join(f"{line}\n" for line in lines).encode()


def hosts_file(lines: Iterable[tuple[str, Iterable[str]]]) -> bytes:
    """The content of /etc/hosts: the loopback, then (address, names)."""
    text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    for address, names in lines:
        if words := list(dict.fromkeys(names)):
            text += f"{address}\t{' '.join(words)}\n"
    return text.encode()
