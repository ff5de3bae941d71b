"""``drupe.disk_usage`` and ``drupe.prune_containers``: what lies on the disk, and what may go."""

from __future__ import annotations

from drupe.api import engine
from drupe.api.threads import in_thread
from drupe.container import usage
from drupe.container.usage import Usage


def disk_usage() -> list[Usage]:
    """What this user's images, containers, kernels and caches take of the disk, by kind."""
    return usage.usages(engine.open_store())


def prune_containers() -> list[str]:
    """Removes all containers of this user that do not run, with what they wrote; their ids."""
    return usage.prune_containers(engine.open_store())[0]


async def disk_usage_async() -> list[Usage]:
    """What lies on the disk: ``drupe.disk_usage``."""
    return await in_thread(disk_usage)


async def prune_containers_async() -> list[str]:
    """Removes containers that do not run: ``drupe.prune_containers``."""
    return await in_thread(prune_containers)
