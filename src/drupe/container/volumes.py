"""Named volumes: directories of their own, which outlive the containers that use them.

``volumes/NAME/_data`` is what containers see, ``volumes/NAME/volume.json`` what the volume is. Both
come and go in one step: they are made, and removed, under a name that begins with a dot, where the
next command removes what a killed one has left. ``volumes.lock`` is held meanwhile.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from drupe.container.store import Store
from drupe.errors import HostError, NotFoundError, SpecError, StateError
from drupe.store import atomic, schema
from drupe.store.lock import locked
from drupe.store.paths import data_home, private_dir

_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"
_RECORD = "volume.json"


class NamedVolume(NamedTuple):
    """A volume.

    Attributes:
        name: unique among a user's volumes.
        labels: the user's own notes.
        created_ns: time of creation, since the epoch.
        anonymous: made for one container, which removes it with itself if asked to.
        used: a container has booted with it: what it gets of an image, it has.
    """

    name: str
    labels: dict[str, str]
    created_ns: int
    anonymous: bool = False
    used: bool = False

    @property
    def directory(self) -> Path:
        """Where its data lies on the host."""
        return data_directory(self.name)


def check_volume_name(name: str) -> str:
    """Returns a volume's name.

    Raises:
        SpecError: it cannot be one.
    """
    if not re.fullmatch(_NAME, name):
        raise SpecError(
            f"failed to use volume '{name}': not a volume's name",
            hint="letters, digits, '_', '.', '-', beginning with a letter or digit; a directory of "
            "the host has a '/' in it: ./NAME",
        )
    return name


def new_name() -> str:
    """A name for an anonymous volume."""
    return os.urandom(32).hex()


def data_directory(name: str) -> Path:
    """Where the data of a volume of that name lies on the host.

    Raises:
        SpecError: it cannot have that name.
    """
    return _home() / check_volume_name(name) / "_data"


def obtain(
    name: str, *, labels: Mapping[str, str] = MappingProxyType({}), anonymous: bool = False
) -> NamedVolume:
    """The volume of that name, made if it is not there.

    Raises:
        SpecError: it cannot have that name.
        HostError: the disk refused.
    """
    check_volume_name(name)
    with _changing():
        with suppress(NotFoundError):
            return find(name)
        volume = NamedVolume(name, dict(labels), time.time_ns(), anonymous)
        new = _home() / f".{name}"
        try:
            (new / "_data").mkdir(parents=True, mode=0o755)
            atomic.write_json(new / _RECORD, schema.encode(volume))
            new.rename(_home() / name)
        except OSError as error:
            raise HostError(f"failed to make volume '{name}': {error.strerror}") from error
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return volume


@contextmanager
def first_use(names: Iterable[str]) -> Iterator[None]:
    """Keeps others from volumes that are used for the first time, until the end of the block.

    They would see a part of what a volume gets of an image, or copy into it, too.

    Raises:
        NotFoundError: there is no such volume.
    """
    with ExitStack() as stack:
        new = []
        for name in sorted(set(names)):  # two that have several wait for each other in one order
            if not find(name).used:
                stack.enter_context(locked(_home() / name / "lock"))
                new.append(name)
        yield
        for name in new:
            used = find(name)._replace(used=True)
            atomic.write_json(_home() / name / _RECORD, schema.encode(used))


def find(name: str) -> NamedVolume:
    """The volume of that name.

    Raises:
        NotFoundError: there is none.
        StateError: its record is spoilt.
    """
    try:
        record = atomic.read_json(_home() / check_volume_name(name) / _RECORD)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"failed to find volume '{name}': no such volume", hint="'drupe volume ls' lists them"
        ) from error
    return schema.decode(NamedVolume, record, f"volume '{name}'")


def list_volumes() -> list[NamedVolume]:
    """All volumes, the oldest first; those with a spoilt record are left out."""
    found = []
    with suppress(FileNotFoundError):
        for entry in _home().iterdir():
            with suppress(NotFoundError, StateError, SpecError):
                found.append(find(entry.name))
    return sorted(found, key=lambda volume: (volume.created_ns, volume.name))


def users(store: Store) -> dict[str, list[str]]:
    """Volume → names of the containers that have it, whether they run or not."""
    found: dict[str, list[str]] = {}
    for record in store.list():
        with suppress(NotFoundError, StateError):
            for volume in record.spec.volumes:
                if volume.name:
                    found.setdefault(volume.name, []).append(record.spec.name)
    return found


def remove(store: Store, name: str) -> None:
    """Removes a volume with all that is in it.

    Raises:
        NotFoundError: there is none.
        StateError: a container has it.
    """
    with _changing():
        find(name)
        holders = users(store).get(name)
        if holders:
            raise StateError(
                f"failed to remove volume '{name}': container '{holders[0]}' has it",
                hint=f"'drupe rm {holders[0]}' first",
            )
        _remove(name)


def remove_anonymous(store: Store, names: Iterable[str]) -> None:
    """Removes those volumes that a container that has gone had for itself."""
    for name in names:
        with suppress(NotFoundError, StateError):
            if find(name).anonymous:
                remove(store, name)


def prune(store: Store, *, every: bool) -> Sequence[NamedVolume]:
    """Removes volumes that no container has: anonymous ones, or ``every``; returns them."""
    removed = []
    with _changing():
        used = users(store)
        for volume in list_volumes():
            if volume.name not in used and (volume.anonymous or every):
                _remove(volume.name)
                removed.append(volume)
    return removed


def _remove(name: str) -> None:
    gone = _home() / f".{name}"
    try:
        (_home() / name).rename(gone)
        _delete(gone)
    except OSError as error:
        raise HostError(
            f"failed to remove volume '{name}': {error.strerror}: '{error.filename}'"
        ) from error


@contextmanager
def _changing() -> Iterator[None]:
    """No volume comes or goes otherwise during the block."""
    with locked(private_dir(_home()).parent / "volumes.lock"):
        for path in _home().glob(".*"):
            with suppress(OSError):
                _delete(path)
        yield


def _delete(path: Path) -> None:
    shutil.rmtree(path, onerror=_widen)


def _widen(_function: object, path: str, _: object) -> None:
    """Something below a directory that may not be entered: may be now."""
    parent = Path(path).parent
    parent.chmod(0o700)
    if Path(path).is_dir() and not Path(path).is_symlink():
        Path(path).chmod(0o700)
        shutil.rmtree(path)
    else:
        Path(path).unlink()


def _home() -> Path:
    return data_home() / "volumes"
