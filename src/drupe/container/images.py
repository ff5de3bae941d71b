"""Images and the containers that need them: what may be removed, and what may not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from drupe.container.store import Store
from drupe.errors import NotFoundError, StateError
from drupe.image import remove as removal
from drupe.image.remove import Removed
from drupe.image.store import ImageStore


def image_users() -> Mapping[str, str]:
    """Ids of images that containers need, whatever their state → the name of one of these."""
    users = {}
    for record in Store().list():
        with suppress(NotFoundError, StateError):
            users[record.spec.image_id] = record.spec.name
    return users


def remove_image(name: str, *, force: bool = False) -> Removed:
    """Removes an image of this user, or one of its names; see ``image.remove``.

    Raises:
        NotFoundError: there is no such image.
        StateError: a container needs it.
    """
    return removal.remove(ImageStore(), name, image_users, force=force)


def prune_images(*, every: bool = False) -> Removed:
    """Removes images of this user that nobody needs; see ``image.remove``."""
    return removal.prune(ImageStore(), image_users, every=every)
