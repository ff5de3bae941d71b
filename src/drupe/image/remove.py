"""Images that go: their names, then their records, then what no other image needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from drupe.errors import StateError
from drupe.image.blobs import collect, sweep
from drupe.image.find import EMBEDDED, find_own
from drupe.image.store import ImageStore
from drupe.oci.reference import Reference

Users = Callable[[], Mapping[str, str]]
"""Image ids that containers need → the name of one such container. Asked under the lock."""


class Removed(NamedTuple):
    """What went: names of images as people say them, ids of those that are no more, bytes."""

    untagged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    freed_bytes: int = 0


def remove(store: ImageStore, name: str, users: Users, *, force: bool = False) -> Removed:
    """Takes a name away, and the image with its last one; or by its id, the image itself.

    With ``force``, an image goes with all its names; one that a container needs loses them only.

    Raises:
        NotFoundError: there is no such image.
        StateError: a container needs it, or it has other names.
    """
    with store.changing():
        image, reference = find_own(store, name)
        names = [other for other, meant in store.names() if meant.id == image.id]
        going = [reference] if reference is not None else names
        last = set(names) <= set(going)
        user = users().get(image.id)
        if user is not None and last and not force:
            raise StateError(
                f"failed to remove image '{name}': container '{user}' needs it",
                hint=f"'drupe rm {user}' first, or --force: then it has no name any more, and "
                "'drupe image prune' removes it when it is not needed",
            )
        if reference is None and len(names) > 1 and not force:
            told = ", ".join(other.familiar for other in names)
            raise StateError(
                f"failed to remove image '{name}': it has several names: {told}",
                hint="name the one that is to go, or use --force",
            )
        for other in going:
            store.untag(other)
        gone = last and user is None
        if gone:
            store.forget(image.id)
    freed = collect(store) if gone else 0
    told_names = tuple(other.familiar for other in going)
    return Removed(told_names, (image.id,) if gone else (), freed)


def prune(store: ImageStore, users: Users, *, every: bool = False) -> Removed:
    """Removes images without a name that no container needs; ``every``: those with names, too.

    Also what was left of pulls that did not end. ``busybox`` stays: it would come again.
    """
    untagged: list[Reference] = []
    deleted = []
    store.prepare()
    with store.changing():
        needed = users()
        names: dict[str, list[Reference]] = {}
        for reference, meant in store.names():
            names.setdefault(meant.id, []).append(reference)
        for image_id in store.ids():
            own = names.get(image_id, [])
            kept = own and (not every or any(name.familiar == EMBEDDED for name in own))
            if image_id in needed or kept:
                continue
            for reference in own:
                store.untag(reference)
            untagged += own
            store.forget(image_id)
            deleted.append(image_id)
    sweep(store, resumable=True)
    told = tuple(reference.familiar for reference in untagged)
    return Removed(told, tuple(deleted), collect(store))
