"""From what a user says of networks to what a container keeps of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from drupe.errors import SpecError
from drupe.net.config import Mode, Network
from drupe.net.names import HOST_GATEWAY, parse_dns, parse_host
from drupe.net.policy import parse_rule, reaches_host
from drupe.net.ports import check_address, claim, parse_publish

_DRIVER = "CONFIG_UML_HOSTNET=y"
_MAC = r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}"


class NetworkRequest(NamedTuple):
    """What ``run`` was asked for of networks, in docker's notation.

    Attributes:
        network: none, default, a named network, or ns:PATH; default: what the kernel can.
        publish: [[ADDRESS:]HOST:]GUEST[/udp].
        publish_all: what the image exposes, on free ports of the host.
        allow: what may be reached.
        dns: servers.
        dns_search: domains.
        dns_options: as in resolv.conf(5).
        hosts: NAME:ADDRESS.
        mac: Ethernet address.
        ip: address on a named network.
        ip6: the same for IPv6.
        aliases: further names on a named network.
    """

    network: str | None = None
    publish: tuple[str, ...] = ()
    publish_all: bool = False
    allow: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    mac: str | None = None
    ip: str | None = None
    ip6: str | None = None
    aliases: tuple[str, ...] = ()


def resolve_network(
    wanted: NetworkRequest, kernel_config: Path | None, exposed: Iterable[str] = ()
) -> Network:
    """The network of a new container; published ports are free at this moment.

    Raises:
        SpecError: something is wrong with the request.
        HostError: a port cannot be had.
    """
    network = _mode(wanted.network, kernel_config)
    publish = [*wanted.publish, *(exposed if wanted.publish_all else ())]
    for rule in wanted.allow:
        parse_rule(rule)
    hosts = tuple(parse_host(text) for text in wanted.hosts)
    if any(host.address == HOST_GATEWAY for host in hosts) and not reaches_host(wanted.allow):
        raise SpecError(
            f"failed to use '{HOST_GATEWAY}': the container may not reach its host",
            hint="'--net-allow host' lets it, '--net-allow host:PORT' one port only",
        )
    for address in (wanted.ip, wanted.ip6):
        if address is not None:
            check_address(address, address)
    if wanted.mac is not None and not re.fullmatch(_MAC, wanted.mac):
        raise SpecError(
            f"failed to use MAC address '{wanted.mac}': not six bytes",
            hint="such as 02:00:5e:10:00:01",
        )
    network = network._replace(
        ports=claim(tuple(port for text in publish for port in parse_publish(text))),
        allow=wanted.allow,
        dns=parse_dns(wanted.dns, wanted.dns_search, wanted.dns_options),
        hosts=hosts,
        mac=(wanted.mac or "").lower(),
        address=wanted.ip or "",
        address6=wanted.ip6 or "",
        aliases=wanted.aliases,
    )
    _check(network)
    return network


def _mode(said: str | None, kernel_config: Path | None) -> Network:
    """``--network``: where it is not given, the default network if the kernel has the driver."""
    able = kernel_config is None or _DRIVER in kernel_config.read_text()
    if said == "none" or (said is None and not able):
        return Network(Mode.NONE)
    if not able:
        raise SpecError(
            f"failed to use network '{said}': the container's kernel has none",
            hint="use a kernel with CONFIG_UML_HOSTNET, such as general, or --network none",
        )
    if said is None or said in {"default", "bridge", "passt"}:
        return Network(Mode.USER)
    if said == "host":
        raise SpecError(
            "failed to use network 'host': a container has a kernel, and so a network, of its own",
            hint="'-p' publishes ports, '--net-allow host' lets it reach the host; "
            "'ns:PATH' joins a network namespace",
        )
    if said.startswith("container:"):
        raise SpecError(
            f"failed to use network '{said}': two container kernels cannot share one network stack",
            hint="'drupe network create' makes a network on which containers reach each other "
            "by name",
        )
    if said.startswith("ns:"):
        from drupe.net.netns import parse_namespace

        path, device = parse_namespace(said.removeprefix("ns:"))
        return Network(Mode.NAMESPACE, name=path, device=device)
    from drupe.net.named import Networks

    return Network(Mode.NAMED, name=Networks().find(said).name)


def _check(network: Network) -> None:
    alone = network.mode in {Mode.NONE, Mode.NAMESPACE}
    if network.ports and alone:
        raise SpecError(
            f"failed to publish ports: the container is on network '{network.mode}'",
            hint="only the default network and named ones publish ports",
        )
    if network.allow and alone:
        raise SpecError(
            f"failed to use --net-allow: nobody enforces it on network '{network.mode}'",
            hint="it is for the default network and named ones",
        )
    if network.mode is not Mode.NAMED and (network.address or network.address6 or network.aliases):
        raise SpecError(
            "failed to use an address or an alias: they are for named networks",
            hint="'drupe network create' makes one",
        )
