"""From what a user says of networks to what a container keeps of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from drupe.errors import SpecError
from drupe.net.attachment import add_attachment, add_options, check_mac, parse_attachment
from drupe.net.config import Attachment, Mode, Network
from drupe.net.names import HOST_GATEWAY, parse_dns, parse_host
from drupe.net.policy import parse_rule, reaches_host
from drupe.net.ports import claim, parse_publish

_DRIVER = "CONFIG_UML_HOSTNET=y"
_DEFAULT = {"default", "bridge", "passt"}


class NetworkRequest(NamedTuple):
    """What ``run`` was asked for of networks, in docker's notation.

    Attributes:
        networks: none, default, ns:PATH or macvlan:PARENT; or named ones, as NAME or
            name=NAME,ip=ADDRESS,...; nothing: what the kernel can.
        publish: [[ADDRESS:]HOST:]GUEST[/udp].
        publish_all: what the image exposes, on free ports of the host.
        allow: what may be reached.
        dns: servers.
        dns_search: domains.
        dns_options: as in resolv.conf(5).
        hosts: NAME:ADDRESS.
        mac: Ethernet address of the first interface.
        ip: address on the first named network.
        ip6: the same for IPv6.
        aliases: further names there.
    """

    networks: tuple[str, ...] = ()
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
    network = _connect(wanted, kernel_config)
    publish = [*wanted.publish, *(exposed if wanted.publish_all else ())]
    for rule in wanted.allow:
        parse_rule(rule)
    hosts = tuple(parse_host(text) for text in wanted.hosts)
    if any(host.address == HOST_GATEWAY for host in hosts) and not reaches_host(wanted.allow):
        raise SpecError(
            f"failed to use '{HOST_GATEWAY}': the container may not reach its host",
            hint="'--net-allow host' lets it, '--net-allow host:PORT' one port only",
        )
    network = network._replace(
        ports=claim(tuple(port for text in publish for port in parse_publish(text))),
        allow=wanted.allow,
        dns=parse_dns(wanted.dns, wanted.dns_search, wanted.dns_options),
        hosts=hosts,
        mac="" if wanted.mac is None else check_mac(wanted.mac),
    )
    _check(network)
    return network


def _connect(wanted: NetworkRequest, kernel_config: Path | None) -> Network:
    """``--network``: where it is not given, the default network if the kernel has the driver."""
    able = kernel_config is None or _DRIVER in kernel_config.read_text()
    said = tuple(dict.fromkeys(wanted.networks)) or ("default" if able else "none",)
    if said != ("none",) and not able:
        raise SpecError(
            f"failed to use network '{said[0]}': the container's kernel has none",
            hint="use a kernel with CONFIG_UML_HOSTNET, such as general, or --network none",
        )
    if len(said) == 1 and (network := _only(said[0])) is not None:
        if wanted.ip or wanted.ip6 or wanted.aliases:
            raise SpecError(
                "failed to use an address or an alias: they are for named networks",
                hint="'drupe network create' makes one",
            )
        return network
    return Network(Mode.USER, joined=_join(said, wanted))


def _only(said: str) -> Network | None:
    """A network that a container is on alone; None: it is a named one."""
    if said == "none":
        return Network(Mode.NONE)
    if said in _DEFAULT:
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
        return Network(Mode.NAMESPACE, path=path, device=device)
    kind, _, rest = said.partition(":")
    if kind in {"macvlan", "macvtap"}:
        from drupe.net.macvlan import parse_macvlan

        parent, addresses, gateways = parse_macvlan(rest)
        return Network(Mode.MACVLAN, device=parent, addresses=addresses, gateways=gateways)
    return None


def _join(said: tuple[str, ...], wanted: NetworkRequest) -> tuple[Attachment, ...]:
    """Named networks; what is said beside them is for the first. Each leads outside as well."""
    from drupe.net.named import Networks

    joined: list[Attachment] = []
    for text in said:
        if text in _DEFAULT:
            continue
        if _only(text) is not None:
            raise SpecError(
                f"failed to use network '{text}': a container on it is on no other one",
                hint="only networks that 'drupe network create' made can be several",
            )
        one = parse_attachment(text)
        if not joined:
            one = add_options(one, wanted.ip, wanted.ip6, wanted.aliases)
        joined = add_attachment(joined, one)
    for one in joined:
        Networks().check(one)
    return tuple(joined)


def _check(network: Network) -> None:
    alone = network.mode is not Mode.USER
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
