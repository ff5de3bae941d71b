"""``drupe.Network``: containers on one reach each other; for threads and for asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drupe.api.threads import in_thread
from drupe.net.named import Member, NamedNetwork, Networks


class NetworkView:
    """A named network; ``network=`` of a container takes its name."""

    def __init__(self, network: NamedNetwork) -> None:
        """Use ``create``, ``get`` or ``list``."""
        self._network = network

    def __repr__(self) -> str:
        return f"<Network '{self.name}' {self.subnet}>"

    @property
    def name(self) -> str:
        """Unique among this user's networks."""
        return self._network.name

    @property
    def subnet(self) -> str:
        """Its IPv4 addresses, ADDRESS/BITS."""
        return self._network.subnet

    @property
    def subnet6(self) -> str:
        """Its IPv6 addresses."""
        return self._network.subnet6

    @property
    def labels(self) -> dict[str, str]:
        """The notes that it was given."""
        return dict(self._network.labels)


class Network(NetworkView):
    """A named network, with calls that block."""

    @classmethod
    def create(
        cls,
        name: str,
        *,
        subnet: str | None = None,
        subnet6: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Network:
        """Makes a network; subnets that are not named are free ones.

        Raises:
            SpecError: the name or a subnet cannot be, or is taken.
        """
        wanted = dict(labels or {})
        return cls(Networks().create(name, subnet=subnet, subnet6=subnet6, labels=wanted))

    @classmethod
    def get(cls, name: str) -> Network:
        """A network that is there.

        Raises:
            NotFoundError: it is not.
        """
        return cls(Networks().find(name))

    @classmethod
    def list(cls) -> Sequence[Network]:
        """All networks of this user, by name."""
        return [cls(network) for network in Networks().list()]

    def members(self) -> Sequence[Member]:
        """The containers that are on it now.

        Raises:
            NotFoundError: it was removed.
        """
        return Networks().members(self.name)

    def remove(self) -> None:
        """Removes it.

        Raises:
            NotFoundError: it was removed already.
            StateError: containers are on it.
        """
        Networks().remove(self.name)


class AsyncNetwork(NetworkView):
    """A named network, with calls that are awaited."""

    @classmethod
    async def create(
        cls,
        name: str,
        *,
        subnet: str | None = None,
        subnet6: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> AsyncNetwork:
        """Makes a network: ``drupe.Network.create``."""
        wanted = dict(labels or {})
        return cls(
            await in_thread(
                lambda: Networks().create(name, subnet=subnet, subnet6=subnet6, labels=wanted)
            )
        )

    @classmethod
    async def get(cls, name: str) -> AsyncNetwork:
        """A network that is there: ``drupe.Network.get``."""
        return cls(await in_thread(lambda: Networks().find(name)))

    @classmethod
    async def list(cls) -> Sequence[AsyncNetwork]:
        """All networks: ``drupe.Network.list``."""
        return [cls(network) for network in await in_thread(Networks().list)]

    async def members(self) -> Sequence[Member]:
        """The containers that are on it now: ``drupe.Network.members``."""
        return await in_thread(lambda: Networks().members(self.name))

    async def remove(self) -> None:
        """Removes it: ``drupe.Network.remove``."""
        await in_thread(lambda: Networks().remove(self.name))
