"""A container's networks at its start: programs outside of the jail, wires into it, its names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from drupe.container.members import known_names
from drupe.container.spec import ContainerSpec
from drupe.errors import HostError, SpecError
from drupe.guest.files import File, file_frames
from drupe.guest.network import Interface, Route, network_frames
from drupe.net import passt
from drupe.net.config import Attachment, Mode, Network, make_mac
from drupe.net.host import has_ipv6, ipv6_interface
from drupe.net.links import MTU, mtu_of
from drupe.net.names import (
    HOST_GATEWAY,
    HOST_NAME,
    host_resolvers,
    host_search,
    hosts_file,
    resolv_conf,
)
from drupe.net.policy import encode_policy, reaches_host
from drupe.net.ports import claim, show
from drupe.platform.base import Wire

_ENFORCER = "netpolicy.so"
"""Lies beside the initramfs: both are built together."""

_LOOPBACK_NAME = "127.0.1.1"
"""Where a container without addresses finds its own name, as Debian's hosts do."""


class Connection(NamedTuple):
    """What a container gets of its networks.

    Attributes:
        wires: the host's ends, which the container's machine inherits.
        frames: what the guest is told before it boots.
        networks: to be waited for before the container is said to run.
    """

    wires: tuple[Wire, ...]
    frames: bytes
    networks: tuple[passt.UserNetwork, ...] = ()

    def wait_ready(self) -> None:
        """Waits until all ports are listened on.

        Raises:
            HostError: a network did not come up.
        """
        for network in self.networks:
            network.wait_ready()


@contextmanager
def connected(spec: ContainerSpec, beside: Path) -> Iterator[Connection]:
    """Starts a container's networks; at the end of the block only the machine's wires stay.

    The file ``beside`` is to say which process is its user-mode network.

    Raises:
        HostError: this host refused.
        SpecError: a port is taken.
        NotFoundError: a network has been removed.
    """
    with ExitStack() as held:
        if spec.network.mode is Mode.NAMESPACE:
            yield _namespace(spec, held)
        elif spec.network.mode is Mode.MACVLAN:
            yield _macvlan(spec, held)
        else:
            yield _networks(spec, beside, held)


def _networks(spec: ContainerSpec, beside: Path, held: ExitStack) -> Connection:
    """Named networks, and a passt of the container's own for what lies outside of them."""
    inside = [_join(spec, index, one, held) for index, one in enumerate(spec.network.joined)]
    wires = [one.wire for one in inside]
    interfaces = [one.interface for one in inside]
    internal = bool(inside) and all(one.internal for one in inside)
    if spec.network.mode is Mode.NONE or internal:
        if spec.network.ports:
            raise SpecError(
                f"failed to publish ports of container '{spec.name}': its networks are internal",
                hint="'drupe network connect' puts it on another one, too",
            )
        frames = network_frames(tuple(interfaces)) + _files(spec, known_names(spec), ())
        return Connection(tuple(wires), frames)
    outside = _outside(spec, beside, held, len(inside))
    wires.append(outside.wire)
    interfaces.append(outside.interface)
    names = (spec.hostname, spec.name)
    own = {address.partition("/")[0]: names for address in outside.interface.addresses}
    files = _files(spec, known_names(spec) if inside else own, outside.servers)
    frames = network_frames(tuple(interfaces)) + files
    return Connection(tuple(wires), frames, (outside.network,))


class _Inside(NamedTuple):
    """A named network that a container is on."""

    wire: Wire
    interface: Interface
    internal: bool


def _join(spec: ContainerSpec, index: int, wanted: Attachment, held: ExitStack) -> _Inside:
    from drupe.net.named import Networks

    wanted = wanted._replace(mac=_mac(spec, index, wanted.mac))
    plug = Networks().join(wanted, spec.id, (spec.name, spec.hostname))
    held.callback(os.close, plug.descriptor)
    interface = Interface(
        name=f"eth{index}",
        mac=wanted.mac,
        mtu=MTU,
        addresses=(f"{plug.member.address}/{plug.bits}", f"{plug.member.address6}/{plug.bits6}"),
    )
    return _Inside(Wire(plug.descriptor, "packet"), interface, plug.internal)


def _mac(spec: ContainerSpec, index: int, said: str = "") -> str:
    """The Ethernet address of an interface: as it was asked for, or made from the id."""
    return said or ("" if index else spec.network.mac) or make_mac(spec.id, index)


def _namespace(spec: ContainerSpec, held: ExitStack) -> Connection:
    """An interface of an existing network namespace, with all that it has."""
    from drupe.net.netns import take_over

    taken = take_over(spec.network.path, spec.network.device)
    interface = Interface(
        name=spec.network.device,
        mac=spec.network.mac or taken.mac,
        mtu=taken.mtu,
        addresses=taken.addresses,
        routes=tuple(Route(*route) for route in taken.routes),
    )
    return _direct(spec, taken.descriptor, interface, held)


def _macvlan(spec: ContainerSpec, held: ExitStack) -> Connection:
    """An interface of its own on the network of one of the host's."""
    from drupe.net.macvlan import open_macvlan

    network, mac = spec.network, _mac(spec, 0)
    descriptor = open_macvlan(network.device, mac)
    interface = Interface(
        name="eth0",
        mac=mac,
        mtu=mtu_of(network.device),
        addresses=network.addresses,
        routes=tuple(Route("::/0" if ":" in g else "0.0.0.0/0", g) for g in network.gateways),
    )
    return _direct(spec, descriptor, interface, held)


def _direct(
    spec: ContainerSpec, descriptor: int, interface: Interface, held: ExitStack
) -> Connection:
    """One interface, whose frames nobody looks at."""
    held.callback(os.close, descriptor)
    own = {a.partition("/")[0]: (spec.hostname, spec.name) for a in interface.addresses}
    frames = network_frames((interface,)) + _files(spec, own, host_resolvers())
    return Connection((Wire(descriptor, "packet"),), frames)


class _Outside(NamedTuple):
    """A passt, and what its container is told of it."""

    wire: Wire
    interface: Interface
    servers: tuple[str, ...]
    network: passt.UserNetwork


def _outside(spec: ContainerSpec, beside: Path, held: ExitStack, index: int) -> _Outside:
    """Starts a passt of the container's own; the default route leads there."""
    routed, six = has_ipv6(), [p for p in spec.network.ports if ":" in p.address]
    through = ipv6_interface() if routed or six else None
    if six and through is None:
        raise HostError(
            f"failed to publish port '{show(six[0])}': no interface of this host has an IPv6 "
            "address of its link",
            hint="publish it on an IPv4 address",
        )
    resolvers = () if spec.network.dns.servers else host_resolvers()
    network = _start_passt(spec, resolvers, beside, ipv6=through or "", held=held)
    addresses = [f"{passt.ADDRESS}/{passt.BITS}"]
    routes = [Route("0.0.0.0/0", passt.GATEWAY)]
    if through is not None:
        addresses.append(f"{passt.ADDRESS6}/{passt.BITS6}")
        if routed:
            routes.append(Route("::/0", passt.GATEWAY6))
    interface = Interface(
        name=f"eth{index}",
        mac=_mac(spec, index),
        mtu=passt.MTU,
        addresses=tuple(addresses),
        routes=tuple(routes),
    )
    wire = Wire(network.descriptor, "stream")
    servers = tuple(passt.stand_ins(resolvers, ipv6=through is not None))
    return _Outside(wire, interface, servers, network)


def _start_passt(
    spec: ContainerSpec,
    resolvers: tuple[str, ...],
    beside: Path,
    *,
    ipv6: str,
    held: ExitStack,
) -> passt.UserNetwork:
    network = spec.network
    policy = encode_policy(
        network.allow,
        denied=passt.SUBNETS,
        resolvers=(*resolvers, *network.dns.servers),
        stand_ins=passt.stand_ins(resolvers, ipv6=bool(ipv6)),
    )
    wanted = passt.Wanted(
        ports=claim(network.ports),
        policy=policy,
        resolvers=resolvers,
        ipv6=ipv6,
    )
    started = passt.UserNetwork(wanted, Path(spec.initramfs).with_name(_ENFORCER), beside)
    held.callback(started.close)
    return started


def _files(
    spec: ContainerSpec, own: Mapping[str, tuple[str, ...]], servers: tuple[str, ...]
) -> bytes:
    """The frames of /etc/hosts, /etc/hostname, /etc/resolv.conf, but for what volumes cover."""
    network = spec.network
    files = [
        File("/etc/hostname", f"{spec.hostname}\n".encode()),
        File("/etc/hosts", hosts(spec, own or {_LOOPBACK_NAME: (spec.hostname,)})),
    ]
    if network.mode is not Mode.NONE:
        dns = network.dns
        search = dns.search or host_search()
        files.append(
            File("/etc/resolv.conf", resolv_conf(dns.servers or servers, search, dns.options))
        )
    covered = {volume.target for volume in spec.volumes}
    return file_frames(tuple(file for file in files if file.path not in covered))


def hosts(spec: ContainerSpec, own: Mapping[str, tuple[str, ...]]) -> bytes:
    """The content of /etc/hosts; ``own`` maps addresses to names."""
    network: Network = spec.network
    lines = [(address, names) for address, names in own.items()]
    if reaches_host(network.allow):
        lines.append((passt.GATEWAY, (HOST_NAME,)))
    for host in network.hosts:
        address = passt.GATEWAY if host.address == HOST_GATEWAY else host.address
        lines.append((address, (host.name,)))
    return hosts_file(lines)
