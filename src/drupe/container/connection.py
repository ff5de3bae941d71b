"""A container's networks at its start: programs outside of the jail, wires into it, its names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from drupe.container.spec import ContainerSpec
from drupe.guest.files import File, file_frames
from drupe.guest.network import Interface, Route, network_frames
from drupe.net import passt
from drupe.net.config import Mode, Network, make_mac
from drupe.net.host import has_ipv6
from drupe.net.links import MTU
from drupe.net.names import (
    HOST_GATEWAY,
    HOST_NAME,
    host_resolvers,
    host_search,
    hosts_file,
    resolv_conf,
)
from drupe.net.policy import encode_policy, reaches_host
from drupe.net.ports import claim
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
    """
    with ExitStack() as held:
        if spec.network.mode is Mode.USER:
            yield _user(spec, beside, held)
        elif spec.network.mode is Mode.NAMED:
            yield _named(spec, beside, held)
        elif spec.network.mode is Mode.NAMESPACE:
            yield _namespace(spec, held)
        else:
            yield Connection((), _files(spec, {}, ()))


def _user(spec: ContainerSpec, beside: Path, held: ExitStack) -> Connection:
    """The default network: a passt of the container's own."""
    outside = _outside(spec, beside, held, "eth0", spec.network.mac or make_mac(spec.id))
    names = (spec.hostname, spec.name)
    own = {address.partition("/")[0]: names for address in outside.interface.addresses}
    frames = network_frames((outside.interface,)) + _files(spec, own, outside.servers)
    return Connection((outside.wire,), frames, (outside.network,))


def _named(spec: ContainerSpec, beside: Path, held: ExitStack) -> Connection:
    """A named network, and a passt for what lies outside of it."""
    from drupe.net.named import Networks, names_of

    network, networks = spec.network, Networks()
    names = (spec.name, spec.hostname, *network.aliases)
    plug = networks.join(
        network.name, spec.id, names, address=network.address, address6=network.address6
    )
    held.callback(os.close, plug.descriptor)
    inside = Interface(
        name="eth0",
        mac=network.mac or make_mac(spec.id),
        mtu=MTU,
        addresses=(f"{plug.member.address}/{plug.bits}", f"{plug.member.address6}/{plug.bits6}"),
    )
    outside = _outside(spec, beside, held, "eth1", make_mac(spec.id, 1))
    known = names_of(networks.members(network.name))
    frames = network_frames((inside, outside.interface)) + _files(spec, known, outside.servers)
    wires = (Wire(plug.descriptor, "packet"), outside.wire)
    return Connection(wires, frames, (outside.network,))


def _namespace(spec: ContainerSpec, held: ExitStack) -> Connection:
    """An interface of an existing network namespace, with all that it has."""
    from drupe.net.netns import take_over

    taken = take_over(spec.network.name, spec.network.device)
    held.callback(os.close, taken.descriptor)
    interface = Interface(
        name=spec.network.device,
        mac=spec.network.mac or taken.mac,
        mtu=taken.mtu,
        addresses=taken.addresses,
        routes=tuple(Route(*route) for route in taken.routes),
    )
    own = {address.partition("/")[0]: (spec.hostname, spec.name) for address in taken.addresses}
    frames = network_frames((interface,)) + _files(spec, own, host_resolvers())
    return Connection((Wire(taken.descriptor, "packet"),), frames)


class _Outside(NamedTuple):
    """A passt, and what its container is told of it."""

    wire: Wire
    interface: Interface
    servers: tuple[str, ...]
    network: passt.UserNetwork


def _outside(spec: ContainerSpec, beside: Path, held: ExitStack, name: str, mac: str) -> _Outside:
    """Starts a passt of the container's own; the default route leads there."""
    ipv6 = has_ipv6()
    resolvers = () if spec.network.dns.servers else host_resolvers()
    network = _start_passt(spec, resolvers, beside, ipv6=ipv6, held=held)
    interface = Interface(
        name=name,
        mac=mac,
        mtu=passt.MTU,
        addresses=(f"{passt.ADDRESS}/{passt.BITS}",)
        + ((f"{passt.ADDRESS6}/{passt.BITS6}",) if ipv6 else ()),
        routes=(Route("0.0.0.0/0", passt.GATEWAY),)
        + ((Route("::/0", passt.GATEWAY6),) if ipv6 else ()),
    )
    wire = Wire(network.descriptor, "stream")
    return _Outside(wire, interface, _stand_ins(resolvers, ipv6=ipv6), network)


def _start_passt(
    spec: ContainerSpec,
    resolvers: tuple[str, ...],
    beside: Path,
    *,
    ipv6: bool,
    held: ExitStack,
) -> passt.UserNetwork:
    network = spec.network
    policy = encode_policy(
        network.allow, denied=passt.SUBNETS, resolvers=(*resolvers, *network.dns.servers)
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


def _stand_ins(resolvers: tuple[str, ...], *, ipv6: bool) -> tuple[str, ...]:
    """The addresses that passt passes on to these resolvers."""
    four = any(":" not in address for address in resolvers)
    six = ipv6 and any(":" in address for address in resolvers)
    return ((passt.RESOLVER,) if four else ()) + ((passt.RESOLVER6,) if six else ())


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
