"""What can be seen of a container, in both Containers: for threads and for asyncio."""

from __future__ import annotations

from drupe.api import engine
from drupe.container.record import Record, State
from drupe.container.status import Health
from drupe.container.store import Store
from drupe.net.config import Port

WINDOW = (24, 80)
"""Rows and columns of a terminal whose size nobody told."""


class ContainerView:
    """A container on disk. It holds nothing open, and may be used from several threads."""

    def __init__(self, store: Store, record: Record, *, owned: bool = False) -> None:
        """Use ``Container.run``, ``create``, ``get`` or ``list_containers``."""
        self._store = store
        self._record = record
        self._owned = owned

    def __repr__(self) -> str:
        return f"<Container {self.id[:12]} '{self.name}'>"

    @property
    def id(self) -> str:
        """64 hexadecimal digits."""
        return self._record.id

    @property
    def name(self) -> str:
        """Its name."""
        return self._record.spec.name

    @property
    def image(self) -> str | None:
        """Name of its image; None: it runs a directory."""
        return self._record.spec.image_name or None

    @property
    def command(self) -> tuple[str, ...]:
        """Its main process."""
        return self._record.spec.args

    @property
    def labels(self) -> dict[str, str]:
        """The notes that it was given."""
        return dict(self._record.spec.labels)

    @property
    def ports(self) -> tuple[Port, ...]:
        """Its ports that the host listens for while it runs."""
        return self._record.spec.network.ports

    @property
    def state(self) -> State:
        """Where it is in its life, now: a string such as "running".

        Raises:
            NotFoundError: it was removed; so do the two below.
        """
        return engine.condition(self._record).state

    @property
    def pid(self) -> int | None:
        """Host process of its kernel, while that lives."""
        return engine.condition(self._record).pid

    @property
    def exit_status(self) -> int | None:
        """Of its main process, as a shell counts it, once it has ended."""
        return engine.condition(self._record).status

    @property
    def restarts(self) -> int:
        """How often its restart policy has started the main process again, since its start."""
        return engine.condition(self._record).restarts

    @property
    def health(self) -> Health | None:
        """How it does, as its checks tell; None: it has none, or does not run."""
        return engine.condition(self._record).health
