"""``drupe.Network``: containers on one reach each other; for threads and for asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from drupe.api.threads import in_thread
from drupe.api.view import ContainerView
from drupe.container.store import Store
from drupe.net.attachment import add_options, check_mac
from drupe.net.config import Attachment
from drupe.net.named import Member, NamedNetwork, Networks


class NetworkView:
    """A named network; ``network=`` of a container takes its name."""

    def __init__(self, network: NamedNetwork) -> None:
        """Use ``create``, ``get`` or ``list``."""
        self._network = network

    def _connect(
        self,
        container: ContainerView | str,
        ip: str | None,
        ip6: str | None,
        aliases: Sequence[str],
        mac_address: str | None,
    ) -> None:
        from drupe.container.connecting import connect

        mac = "" if mac_address is None else check_mac(mac_address)
        one = add_options(Attachment(self.name, mac=mac), ip, ip6, aliases)
        store = Store()
        connect(store, store.find(_id_of(container)), one)

    def _disconnect(self, container: ContainerView | str) -> None:
        from drupe.container.connecting import disconnect

        store = Store()
        disconnect(store, store.find(_id_of(container)), self.name)

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
    def internal(self) -> bool:
        """Whether containers that are on no other one do not reach the outside."""
        return self._network.internal

    @property
    def labels(self) -> dict[str, str]:
        """The notes that it was given."""
        return dict(self._network.labels)


def _id_of(container: ContainerView | str) -> str:
    return container if isinstance(container, str) else container.id


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
        internal: bool = False,
    ) -> Network:
        """Makes a network; subnets that are not named are free ones.

        Containers that are on ``internal`` ones only do not reach the outside.

        Raises:
            SpecError: the name or a subnet cannot be, or is taken.
        """
        wanted = dict(labels or {})
        return cls(
            Networks().create(
                name, subnet=subnet, subnet6=subnet6, labels=wanted, internal=internal
            )
        )

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

    def connect(
        self,
        container: ContainerView | str,
        *,
        ip: str | None = None,
        ip6: str | None = None,
        aliases: Sequence[str] = (),
        mac_address: str | None = None,
    ) -> None:
        """Puts a container that does not run on it, too; ``aliases`` are further names there.

        Raises:
            SpecError: an address cannot be, or the container is on it already.
            StateError: it runs, or is on no network that others could be beside.
            NotFoundError: one of both was removed.
        """
        self._connect(container, ip, ip6, aliases, mac_address)

    def disconnect(self, container: ContainerView | str) -> None:
        """Takes a container that does not run off it.

        Raises:
            StateError: it runs, or is not on it.
            NotFoundError: it was removed.
        """
        self._disconnect(container)

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
        internal: bool = False,
    ) -> AsyncNetwork:
        """Makes a network: ``drupe.Network.create``."""
        wanted = dict(labels or {})
        return cls(
            await in_thread(
                lambda: Networks().create(
                    name, subnet=subnet, subnet6=subnet6, labels=wanted, internal=internal
                )
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

    async def connect(
        self,
        container: ContainerView | str,
        *,
        ip: str | None = None,
        ip6: str | None = None,
        aliases: Sequence[str] = (),
        mac_address: str | None = None,
    ) -> None:
        """Puts a container that does not run on it, too: ``drupe.Network.connect``."""
        await in_thread(lambda: self._connect(container, ip, ip6, aliases, mac_address))

    async def disconnect(self, container: ContainerView | str) -> None:
        """Takes a container that does not run off it: ``drupe.Network.disconnect``."""
        await in_thread(lambda: self._disconnect(container))

    async def remove(self) -> None:
        """Removes it: ``drupe.Network.remove``."""
        await in_thread(lambda: Networks().remove(self.name))
