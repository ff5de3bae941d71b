"""Named networks of a user: containers on one reach each other, by address and by name.

Each is a directory ``networks/<name>/``, which comes and goes in one step, with ``network.json``,
``holder.json`` (which process keeps it) and ``members/<container id>``. A member is there as long
as its plug is, which its container holds; so nobody has to tidy up after one that was killed.
"""

from __future__ import annotations

import ipaddress
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from drupe.errors import HostError, NotFoundError, SpecError, StateError
from drupe.net import holder
from drupe.net.config import Attachment
from drupe.net.subnets import POOL, POOL6, allocate, check, choose
from drupe.store.atomic import read_json, write_json
from drupe.store.liveness import ProcessId
from drupe.store.lock import locked
from drupe.store.paths import private_dir, state_home
from drupe.store.schema import decode, encode

_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}"
_TAKEN = {"none", "default", "host", "bridge", "passt", "container", "ns"}
_LEAVE_TIMEOUT_S = 2.0
_LEAVE_POLL_S = 0.005


class NamedNetwork(NamedTuple):
    """A network, as ``drupe network create`` describes it.

    Attributes:
        name: unique among a user's networks.
        subnet: IPv4, ADDRESS/BITS.
        subnet6: IPv6.
        labels: the user's own notes.
        created_ns: time of creation, since the epoch.
        internal: containers that are on no other one do not reach the outside.
    """

    name: str
    subnet: str
    subnet6: str
    labels: dict[str, str]
    created_ns: int = 0
    internal: bool = False


class Member(NamedTuple):
    """A container on a network.

    Attributes:
        id: of the container.
        address: IPv4.
        address6: IPv6.
        names: what others on the network find it by.
        mac: Ethernet address.
    """

    id: str
    address: str
    address6: str
    names: tuple[str, ...]
    mac: str = ""


class Plug(NamedTuple):
    """What a container that joins gets.

    Attributes:
        descriptor: its frames, as of ``plug.open_plug``.
        member: itself.
        bits: prefix of the IPv4 subnet.
        bits6: prefix of the IPv6 subnet.
        internal: the network leads nowhere else.
    """

    descriptor: int
    member: Member
    bits: int
    bits6: int
    internal: bool = False


def check_network_name(name: str) -> str:
    """Returns the name of a named network.

    Raises:
        SpecError: it cannot be one.
    """
    if not re.fullmatch(_NAME, name) or name in _TAKEN:
        raise SpecError(
            f"failed to use network '{name}': not a name for a network",
            hint="letters, digits, '_', '.', '-', 63 at most; 'none', 'default' and the like are "
            "taken",
        )
    return name


class Networks:
    """The named networks of one user."""

    def __init__(self, home: Path | None = None) -> None:
        self._home = (home or state_home()) / "networks"

    def create(
        self,
        name: str,
        *,
        subnet: str | None = None,
        subnet6: str | None = None,
        labels: dict[str, str] | None = None,
        internal: bool = False,
    ) -> NamedNetwork:
        """Makes a network.

        Raises:
            SpecError: the name or a subnet cannot be, or is taken.
        """
        check_network_name(name)
        with self._changing():
            if (self._home / name / "network.json").exists():
                raise SpecError(
                    f"failed to make network '{name}': there is one already",
                    hint=f"'drupe network rm {name}' removes it",
                )
            others = self._list()
            network = NamedNetwork(
                name,
                choose(subnet, [other.subnet for other in others], POOL),
                choose(subnet6, [other.subnet6 for other in others], POOL6),
                labels or {},
                time.time_ns(),
                internal,
            )
            new = private_dir(self._home / f".{name}")
            try:
                private_dir(new / "members")
                write_json(new / "network.json", encode(network))
                new.rename(self._home / name)
            except OSError as error:
                raise HostError(f"failed to make network '{name}': {error.strerror}") from error
            finally:
                shutil.rmtree(new, ignore_errors=True)
        return network

    def list(self) -> Sequence[NamedNetwork]:
        """All networks, by name."""
        return self._list()

    def find(self, name: str) -> NamedNetwork:
        """A network.

        Raises:
            NotFoundError: there is none of that name.
            StateError: its file is spoilt.
        """
        usable = re.fullmatch(_NAME, name) is not None
        try:
            if usable:
                value = read_json(self._home / name / "network.json")
                return decode(NamedNetwork, value, f"network '{name}'")
        except FileNotFoundError:
            pass
        raise NotFoundError(
            f"failed to find network '{name}': no such network",
            hint=f"'drupe network create {name}' makes it; 'drupe network ls' lists them",
        )

    def members(self, name: str) -> Sequence[Member]:
        """The containers that are on a network now, in the order of their addresses."""
        with self._held(name):
            return self._members(name)

    def remove(self, name: str) -> None:
        """Removes a network, and ends what keeps it.

        Raises:
            NotFoundError: there is none.
            StateError: containers are on it.
        """
        with self._held(name):
            members = self._members(name)
            if members:
                raise StateError(
                    f"failed to remove network '{name}': container {members[0].id[:12]} is on it",
                    hint="stop it first",
                )
            process = self._holder(name)
            if process is not None:
                process.kill()
            (self._home / name).rename(self._home / f".{name}")
            self._sweep()

    def prune(self) -> Sequence[str]:
        """Removes all networks that no container is on; returns their names."""
        removed = []
        with self._changing():
            networks = self._list()
        for network in networks:
            try:
                self.remove(network.name)
                removed.append(network.name)
            except (StateError, NotFoundError):
                continue
        return removed

    def check(self, wanted: Attachment) -> NamedNetwork:
        """The network that a container is to be on, with addresses that it can have there.

        Raises:
            NotFoundError: there is no such network.
            SpecError: an address is none of the network's.
        """
        network = self.find(wanted.name)
        for subnet, address in (
            (network.subnet, wanted.address),
            (network.subnet6, wanted.address6),
        ):
            if address:
                check(ipaddress.ip_network(subnet), address)
        return network

    def join(self, wanted: Attachment, container_id: str, names: tuple[str, ...]) -> Plug:
        """Puts a container on a network, as long as somebody has its plug open.

        Raises:
            NotFoundError: there is no such network.
            SpecError: the address is taken, or none of the network's.
            HostError: this host refused.
        """
        name = wanted.name
        with self._held(name):
            network = self.find(name)
            others = [member for member in self._members(name) if member.id != container_id]
            four = ipaddress.ip_network(network.subnet)
            six = ipaddress.ip_network(network.subnet6)
            member = Member(
                container_id,
                allocate(four, [other.address for other in others], wanted.address),
                allocate(six, [other.address6 for other in others], wanted.address6),
                tuple(dict.fromkeys((*names, *wanted.aliases))),
                wanted.mac,
            )
            descriptor = holder.plug(self._hold(name), _plug_of(container_id))
            write_json(self._home / name / "members" / container_id, encode(member), sync=False)
            return Plug(descriptor, member, four.prefixlen, six.prefixlen, network.internal)

    def await_left(self, name: str, container_id: str) -> None:
        """Waits until a container that has ended is off a network: a moment, if at all."""
        process, deadline = self._holder(name), time.monotonic() + _LEAVE_TIMEOUT_S
        while process is not None and time.monotonic() < deadline:
            if _plug_of(container_id) not in holder.plugged(process.pid):
                return
            time.sleep(_LEAVE_POLL_S)

    def _list(self) -> Sequence[NamedNetwork]:
        found = []
        for path in sorted(self._home.glob("*/network.json")):
            try:
                found.append(self.find(path.parent.name))
            except (NotFoundError, StateError):
                continue
        return found

    @contextmanager
    def _held(self, name: str) -> Iterator[None]:
        self.find(name)
        with self._changing():
            self.find(name)  # it may have been removed meanwhile
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with locked(private_dir(self._home) / ".lock"):
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Removes what is half made or half removed: it has the name of none."""
        for path in self._home.glob(".*/"):
            shutil.rmtree(path, ignore_errors=True)

    def _holder(self, name: str) -> ProcessId | None:
        """The process that keeps a network, if it lives."""
        try:
            value = read_json(self._home / name / "holder.json")
            process = ProcessId(value["pid"], value["start_time"], value["boot_id"])
        except (FileNotFoundError, KeyError, StateError):
            return None
        return process if process.alive() else None

    def _hold(self, name: str) -> int:
        """The process that keeps a network, made anew where it has gone."""
        process = self._holder(name)
        if process is not None:
            return process.pid

        for path in (self._home / name).glob(".*"):  # of a command that was killed at this
            path.unlink()

        def note(pid: int) -> None:
            write_json(self._home / name / "holder.json", ProcessId.of(pid)._asdict(), sync=False)

        holder.start(note)
        process = self._holder(name)
        if process is None:
            raise HostError(f"failed to make network '{name}': what keeps it has ended")
        return process.pid

    def _members(self, name: str) -> Sequence[Member]:
        """Those whose plugs are there; the others' entries go."""
        process = self._holder(name)
        plugs = frozenset() if process is None else holder.plugged(process.pid)
        found = []
        for path in (self._home / name / "members").iterdir():
            if _plug_of(path.name) not in plugs:
                path.unlink(missing_ok=True)
                continue
            try:
                found.append(decode(Member, read_json(path), "a member of a network"))
            except (FileNotFoundError, StateError):
                continue
        return sorted(found, key=lambda member: ipaddress.ip_address(member.address))


def _plug_of(container_id: str) -> str:
    return f"t{container_id[:12]}"
