"""Names of the containers on a named network, in the /etc/hosts of each of them."""

from __future__ import annotations

from contextlib import suppress

from drupe.container.record import Record
from drupe.container.spec import ContainerSpec
from drupe.errors import DrupeError
from drupe.net.config import Mode

_ANSWER_TIMEOUT_S = 5.0


def tell_members(record: Record, spec: ContainerSpec) -> None:
    """Tells all on a container's network who is there now.

    One that does not answer is left out: it ends, or boots, and is told when it has.
    """
    if spec.network.mode is not Mode.NAMED:
        return
    from drupe.container.connection import hosts
    from drupe.guest.files import File, update_frames
    from drupe.guest.session import request
    from drupe.net.named import Networks, names_of

    try:
        members = Networks().members(spec.network.name)
    except DrupeError:  # the network has been removed
        return
    known = names_of(members)
    for member in members:
        other = Record(record.directory.parent / member.id)
        with suppress(DrupeError, OSError):
            frames = update_frames(File("/etc/hosts", hosts(other.read_spec(), known)))
            request(other.control, frames, timeout_s=_ANSWER_TIMEOUT_S)


def tell_left(record: Record, spec: ContainerSpec) -> None:
    """Tells all on the network of a container that has ended that it is no longer there."""
    if spec.network.mode is Mode.NAMED:
        from drupe.net.named import Networks

        Networks().await_left(spec.network.name, record.id)
        tell_members(record, spec)
