"""Puts a container that is there on a named network, or takes it off: for its later runs.

A kernel gets its interfaces when it starts, as open descriptors, and none later: the list of host
calls has none that takes a descriptor from somebody else.
"""

from __future__ import annotations

from drupe.container.record import Record
from drupe.container.spec import ContainerSpec
from drupe.container.store import Store
from drupe.errors import StateError
from drupe.net.attachment import add_attachment
from drupe.net.config import Attachment, Mode
from drupe.net.named import Networks


def connect(store: Store, record: Record, wanted: Attachment) -> None:
    """Puts a container that does not run on a network, behind those that it is on.

    Raises:
        NotFoundError: there is no such network, or the container was removed.
        SpecError: an address is none of the network's, or the container is on it already.
        StateError: it runs, or is on no network that others could be beside.
    """
    Networks().check(wanted)
    with store.held(record):
        spec = _at_rest(record, wanted.name, "connect", "to")
        if spec.network.mode is not Mode.USER:
            raise StateError(
                f"failed to connect container '{spec.name}' to network '{wanted.name}': it was "
                f"made with --network {spec.network.mode}",
                hint="make another one with --network default, or with that network",
            )
        _write(record, spec, tuple(add_attachment(spec.network.joined, wanted)))


def disconnect(store: Store, record: Record, name: str) -> None:
    """Takes a container that does not run off a network, whether that is still there or not.

    Raises:
        NotFoundError: the container was removed.
        StateError: it runs, or is not on that network.
    """
    with store.held(record):
        spec = _at_rest(record, name, "disconnect", "from")
        left = tuple(one for one in spec.network.joined if one.name != name)
        if left == spec.network.joined:
            raise StateError(
                f"failed to disconnect container '{spec.name}' from network '{name}': it is not "
                "on it"
            )
        _write(record, spec, left)


def _at_rest(record: Record, name: str, verb: str, to: str) -> ContainerSpec:
    spec = record.read_spec()
    if record.settled_condition().pid is not None:
        raise StateError(
            f"failed to {verb} container '{spec.name}' {to} network '{name}': it is running, and "
            "its kernel has the interfaces that it was started with",
            hint=f"'drupe stop {spec.name}' before, 'drupe start {spec.name}' after",
        )
    return spec


def _write(record: Record, spec: ContainerSpec, joined: tuple[Attachment, ...]) -> None:
    record.write_spec(spec._replace(network=spec.network._replace(joined=joined)))
