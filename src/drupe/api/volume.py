"""``drupe.Volume``: directories that outlive the containers which use them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from drupe.api import engine
from drupe.container import volumes
from drupe.container.volumes import NamedVolume


class Volume:
    """A volume. Containers get it by its name: ``volumes=["NAME:/path"]``."""

    def __init__(self, volume: NamedVolume) -> None:
        self._volume = volume

    @classmethod
    def create(
        cls, name: str | None = None, *, labels: Mapping[str, str] = MappingProxyType({})
    ) -> Volume:
        """The volume of that name, made if it is not there; without a name, a new one.

        Raises:
            SpecError: it cannot have that name.
            HostError: the disk refused.
        """
        anonymous = name is None
        name = volumes.new_name() if name is None else name
        return cls(volumes.obtain(name, labels=labels, anonymous=anonymous))

    @classmethod
    def get(cls, name: str) -> Volume:
        """The volume of that name.

        Raises:
            NotFoundError: there is none.
        """
        return cls(volumes.find(name))

    @classmethod
    def prune(cls, *, every: bool = False) -> list[str]:
        """Removes volumes that no container has: those made without a name, or ``every``.

        Returns their names.
        """
        return [volume.name for volume in volumes.prune(engine.open_store(), every=every)]

    @classmethod
    def list(cls) -> list[Volume]:
        """All volumes of this user, the oldest first."""
        return [cls(volume) for volume in volumes.list_volumes()]

    @property
    def name(self) -> str:
        """Its name."""
        return self._volume.name

    @property
    def labels(self) -> dict[str, str]:
        """The user's own notes."""
        return dict(self._volume.labels)

    @property
    def path(self) -> Path:
        """Where its data lies on the host. Owners there are this user's."""
        return self._volume.directory

    def remove(self) -> None:
        """Removes it with all that is in it.

        Raises:
            NotFoundError: it is gone already.
            StateError: a container has it.
        """
        volumes.remove(engine.open_store(), self.name)

    def __repr__(self) -> str:
        return f"Volume({self.name!r})"
