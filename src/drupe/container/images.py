"""Images and the containers that need them: what may be removed, and what may not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from drupe.container.store import Store
from drupe.errors import NotFoundError, StateError
from drupe.image.find import find_image, is_known
from drupe.image.store import ImageStore

if TYPE_CHECKING:
    from drupe.image.remove import Removed
    from drupe.image.transfer import Observer


class PullPolicy(StrEnum):
    """When a registry is asked for an image."""

    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


def image_users() -> Mapping[str, str]:
    """Ids of images that containers need, whatever their state → the name of one of these."""
    users = {}
    for record in Store().list():
        with suppress(NotFoundError, StateError):
            users[record.spec.image_id] = record.spec.name
    return users


def ensure_image(name: str, policy: PullPolicy, observe: Observer | None = None) -> None:
    """Brings an image that a container is to be made of, where it is not here.

    Raises:
        NotFoundError: it is not here, and nobody is to be asked for it; or nobody has it.
        HostError: its registry cannot be reached.
    """
    if policy is not PullPolicy.ALWAYS:
        if is_known(name):
            return
        try:
            find_image(name)
        except NotFoundError:
            if policy is PullPolicy.NEVER:
                raise
        else:
            return
    from drupe.image.pull import pull

    if observe is None:
        pull(name)
    else:
        pull(name, observe=observe)


def remove_image(name: str, *, force: bool = False) -> Removed:
    """Removes an image of this user, or one of its names; see ``image.remove``.

    Raises:
        NotFoundError: there is no such image.
        StateError: a container needs it.
    """
    from drupe.image.remove import remove

    return remove(ImageStore(), name, image_users, force=force)


def prune_images(*, every: bool = False) -> Removed:
    """Removes images of this user that nobody needs; see ``image.remove``."""
    from drupe.image.remove import prune

    return prune(ImageStore(), image_users, every=every)
