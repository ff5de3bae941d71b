"""What a user's containers, images and kernels take of the disk, and how much of it could go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drupe.container.record import Record
from drupe.container.store import Store
from drupe.errors import NotFoundError, StateError
from drupe.store.paths import cache_home, data_home
from drupe.store.usage import taken_bytes


class Item(NamedTuple):
    """One thing on the disk.

    Attributes:
        name: as the user calls it.
        size_bytes: what it takes.
        shared_bytes: of that, what others have, too.
        used_by: containers that need it; for a container: it runs.
    """

    name: str
    size_bytes: int
    shared_bytes: int = 0
    used_by: int = 0


class Usage(NamedTuple):
    """All things of one kind.

    Attributes:
        kind: Images, Containers, Volumes, Kernels, Cache.
        items: each of them.
        size_bytes: what all take together.
        reclaimable_bytes: what would be free if all went that nothing needs.
    """

    kind: str
    items: tuple[Item, ...]
    size_bytes: int
    reclaimable_bytes: int

    @property
    def active(self) -> int:
        """How many are in use."""
        return sum(item.used_by > 0 for item in self.items)


def usages(store: Store) -> list[Usage]:
    """What each kind of things takes; a kind that is not there yet takes nothing."""
    records = list(_whole(store))
    return [of(records) for of in _KINDS]


def prune_containers(store: Store) -> tuple[list[str], int]:
    """Removes all containers that do not run; their ids, and how many bytes that were."""
    removed, freed_bytes = [], 0
    for record in store.list():
        with suppress(NotFoundError, StateError):  # gone, started meanwhile, or spoilt
            if record.condition().pid is None:
                size_bytes = taken_bytes(record.directory)
                store.remove(record)
                removed.append(record.id)
                freed_bytes += size_bytes
    return removed, freed_bytes


def prune_volumes(store: Store, *, every: bool = False) -> tuple[list[str], int]:
    """Removes volumes that no container has; their names, and how many bytes that were.

    ``every``: those with a name, too.
    """
    from drupe.container.volumes import list_volumes, prune

    sizes = {volume.name: taken_bytes(volume.directory) for volume in list_volumes()}
    removed = [volume.name for volume in prune(store, every=every)]
    return removed, sum(sizes.get(name, 0) for name in removed)


def _whole(store: Store) -> Iterator[Record]:
    for record in store.list():
        with suppress(NotFoundError, StateError):
            _ = (record.spec, record.condition())
            yield record


def _containers(records: Sequence[Record]) -> Usage:
    items = []
    for record in records:
        running = record.condition().pid is not None
        items.append(Item(record.spec.name, taken_bytes(record.directory), used_by=int(running)))
    return _usage("Containers", items)


def _images(records: Sequence[Record]) -> Usage:
    """Images share layers, and roots made of the same ones."""
    from drupe.image.store import ImageStore

    store = ImageStore()
    used = [record.spec.image_id for record in records]
    found = [image for image in map(store.read, store.ids()) if image is not None]
    names = {meant.id: reference.familiar for reference, meant in store.names()}
    takers: dict[Path, list[str]] = {path: [] for path in store.contents()}
    for image in found:
        digests = [image.manifest, f"sha256:{image.id}", *(part.digest for part in image.layers)]
        for path in {image.root, *map(store.blob, digests)} & takers.keys():
            takers[path].append(image.id)
    sizes = {path: taken_bytes(path) for path in takers}
    items = [
        Item(
            names.get(image.id, image.id[:12]),
            sum(size for path, size in sizes.items() if image.id in takers[path]),
            sum(size for path, size in sizes.items() if image.id in takers[path] != [image.id]),
            used.count(image.id),
        )
        for image in found
    ]
    unused = sum(size for path, size in sizes.items() if not set(takers[path]) & set(used))
    return Usage("Images", tuple(items), sum(sizes.values()), unused)


def _volumes(records: Sequence[Record]) -> Usage:
    from drupe.container.volumes import list_volumes

    used = [volume.name for record in records for volume in record.spec.volumes]
    return _usage(
        "Volumes",
        [
            Item(one.name, taken_bytes(one.directory), used_by=used.count(one.name))
            for one in list_volumes()
        ],
    )


def _kernels(records: Sequence[Record]) -> Usage:
    from drupe.kbuild.kernels import list_kernels

    used = [record.spec.kernel for record in records]
    items = [
        Item(
            kernel.id[:12], taken_bytes(kernel.linux.parent), used_by=used.count(str(kernel.linux))
        )
        for kernel in list_kernels()
        if kernel.linux.is_relative_to(data_home())
    ]
    return _usage("Kernels", items)


def _cache(_: Sequence[Record]) -> Usage:
    """Sources, build trees, templates: all can be made again."""
    try:
        entries = [path for path in sorted(cache_home().iterdir()) if path.name[0] != "."]
    except FileNotFoundError:
        entries = []
    return _usage("Cache", [Item(entry.name, taken_bytes(entry)) for entry in entries])


def _usage(kind: str, items: Sequence[Item]) -> Usage:
    """Of things that share nothing with others."""
    return Usage(
        kind,
        tuple(items),
        sum(item.size_bytes for item in items),
        sum(item.size_bytes for item in items if not item.used_by),
    )


_KINDS: tuple[Callable[[Sequence[Record]], Usage], ...] = (
    _images,
    _containers,
    _volumes,
    _kernels,
    _cache,
)
