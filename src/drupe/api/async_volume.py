"""``drupe.aio.Volume``: the same for asyncio."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from drupe.api import volume
from drupe.api.threads import in_thread


class Volume:
    """A volume: ``drupe.Volume``."""

    def __init__(self, blocking: volume.Volume) -> None:
        self._blocking = blocking

    @classmethod
    async def create(
        cls, name: str | None = None, *, labels: Mapping[str, str] = MappingProxyType({})
    ) -> Volume:
        """The volume of that name, made if it is not there: ``drupe.Volume.create``."""
        return cls(await in_thread(lambda: volume.Volume.create(name, labels=labels)))

    @classmethod
    async def get(cls, name: str) -> Volume:
        """The volume of that name: ``drupe.Volume.get``."""
        return cls(await in_thread(lambda: volume.Volume.get(name)))

    @classmethod
    async def prune(cls, *, every: bool = False) -> list[str]:
        """Removes volumes that no container has: ``drupe.Volume.prune``."""
        return await in_thread(lambda: volume.Volume.prune(every=every))

    @classmethod
    async def list(cls) -> list[Volume]:
        """All volumes of this user: ``drupe.Volume.list``."""
        return [cls(one) for one in await in_thread(volume.Volume.list)]

    @property
    def name(self) -> str:
        """Its name."""
        return self._blocking.name

    @property
    def labels(self) -> dict[str, str]:
        """The user's own notes."""
        return self._blocking.labels

    @property
    def path(self) -> Path:
        """Where its data lies on the host."""
        return self._blocking.path

    async def remove(self) -> None:
        """Removes it with all that is in it: ``drupe.Volume.remove``."""
        await in_thread(self._blocking.remove)

    def __repr__(self) -> str:
        return f"Volume({self.name!r})"
