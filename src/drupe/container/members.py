"""Names of the containers on a named network, in the /etc/hosts of each of them."""

from __future__ import annotations

from contextlib import suppress

from drupe.container.record import Record
from drupe.container.spec import ContainerSpec
from drupe.errors import DrupeError
from drupe.net.config import Mode

_ANSWER_TIMEOUT_S = 5.0


def tell_members(record: Record, spec: ContainerSpec) -> None:
    """Tells all on a container's network who is there now: it has come, or has gone.

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
