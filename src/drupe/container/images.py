"""Images and the containers that need them: what may be removed, and what may not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from drupe.container.spec import ContainerSpec
from drupe.container.store import Store
from drupe.errors import NotFoundError, StateError
from drupe.image.find import find_image, is_known
from drupe.image.store import ImageStore

if TYPE_CHECKING:
    from drupe.image.calloff import CallOff
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


def ensure_image(
    name: str,
    policy: PullPolicy,
    observe: Observer | None = None,
    call_off: CallOff | None = None,
) -> None:
    """Brings an image that a container is to be made of, where it is not here.

    Args:
        name: what a container is to be made of.
        policy: whether a registry is asked.
        observe: is told how a pull goes on.
        call_off: ends a pull from another thread.

    Raises:
        NotFoundError: it is not here, and nobody is to be asked for it; or nobody has it.
        HostError: its registry cannot be reached.
    """
    if policy is not PullPolicy.ALWAYS and _is_here(name, policy):
        return
    from drupe.image.pull import pull
    from drupe.image.transfer import unobserved

    pull(name, observe=observe or unobserved, call_off=call_off)


def _is_here(name: str, policy: PullPolicy) -> bool:
    if is_known(name):
        return True
    try:
        find_image(name)
    except NotFoundError:
        if policy is PullPolicy.NEVER:
            raise
        return False
    return True


def confirm_image(spec: ContainerSpec) -> None:
    """Once a container is on record: its image did not go just before, and stays from now on.

    Raises:
        StateError: it went.
    """
    if spec.image is None or not spec.image_id:
        return
    store = ImageStore(Path(spec.image).parent.parent)
    if store.home != ImageStore().home:
        return  # nobody removes anything of the system's
    with store.changing():
        if not store.has(spec.image_id):
            raise StateError(
                f"failed to make a container of '{spec.image_name}': it was removed meanwhile"
            )


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
