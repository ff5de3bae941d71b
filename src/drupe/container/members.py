"""Names of the containers on a named network, in the /etc/hosts of each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from drupe.container.record import Record
from drupe.container.spec import ContainerSpec
from drupe.errors import DrupeError

if TYPE_CHECKING:
    from drupe.net.named import Member

_ANSWER_TIMEOUT_S = 5.0


def tell_members(record: Record, spec: ContainerSpec) -> None:
    """Tells all on a container's networks who is there now.

    One that does not answer is left out: it ends, or boots, and is told when it has.
    """
    if not spec.network.joined:
        return
    from drupe.container.connection import hosts
    from drupe.guest.files import File, update_frames
    from drupe.guest.session import request

    on = _Members()
    for container_id in {one.id for name in spec.network.names for one in on.of(name)}:
        other = Record(record.directory.parent / container_id)
        with suppress(DrupeError, OSError):
            its = other.read_spec()
            frames = update_frames(File("/etc/hosts", hosts(its, on.names(its))))
            request(other.control, frames, timeout_s=_ANSWER_TIMEOUT_S)


def tell_left(record: Record, spec: ContainerSpec) -> None:
    """Tells all on the networks of a container that has ended that it is no longer there."""
    if spec.network.joined:
        from drupe.net.named import Networks

        for one in spec.network.joined:
            Networks().await_left(one.name, record.id)
        tell_members(record, spec)


def known_names(spec: ContainerSpec) -> Mapping[str, tuple[str, ...]]:
    """Address → names, of all on a container's networks; the first networks' come first."""
    return _Members().names(spec)


class _Members:
    """Who is on which network, each looked up once."""

    def __init__(self) -> None:
        self._found: dict[str, Sequence[Member]] = {}

    def of(self, name: str) -> Sequence[Member]:
        from drupe.net.named import Networks

        if name not in self._found:
            try:
                self._found[name] = Networks().members(name)
            except DrupeError:  # the network has been removed
                self._found[name] = ()
        return self._found[name]

    def names(self, spec: ContainerSpec) -> dict[str, tuple[str, ...]]:
        return {
            address: member.names
            for one in spec.network.joined
            for member in self.of(one.name)
            for address in (member.address, member.address6)
        }
