"""Where the runtime keeps what it must know between two commands: --root, a directory each.

    state.json    what never changes: ids, paths, the time; written first
    bundle.json   the bundle's config.json as it was at ``create``
    whole         empty; there once ``create`` came to its end
    lock          held by ``create``, ``start``, ``delete`` and ``update``
    process.json, status, console, control: see ``drupe.container.record``

What ``create`` left when it was killed lacks ``whole`` while nobody holds the lock: such a
container counts as stopped, and ``delete`` removes it with all that was started for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from drupe.errors import HostError, SpecError, StateError
from drupe.runtime.container import Container
from drupe.store.lock import locked

_ID = r"[\w+.-]{1,1024}"


def default_root() -> str:
    """Where it is if nobody says: a directory that the next boot empties."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.geteuid() == 0 or not base.startswith("/"):
        base = "/run"
    return f"{base}/drupe-runtime"


class Home:
    """All containers below one root.

    Attributes:
        systemd: paths of control groups are systemd's: SLICE:PREFIX:NAME.
    """

    def __init__(self, root: str, *, systemd: bool = False) -> None:
        self._root = Path(root).absolute()
        self.systemd = systemd

    @contextmanager
    def creating(self, container_id: str) -> Iterator[Container]:
        """Makes the directory of a new container, and holds its lock for the block.

        An error in the block ends what was started there, and removes the container again.

        Raises:
            SpecError: the id cannot be one.
            StateError: it is taken.
            HostError: the disk refused.
        """
        directory = self._path(container_id)
        try:
            self._root.mkdir(mode=0o711, parents=True, exist_ok=True)
            directory.mkdir(mode=0o700)
        except FileExistsError as error:
            raise StateError("container with given ID already exists") from error
        except OSError as error:
            raise HostError(f"failed to make '{directory}': {error.strerror}") from error
        with locked(directory / "lock"):
            container = Container(directory)
            try:
                yield container
                container.mark_whole()
            except BaseException:
                container.remove()
                raise

    def find(self, container_id: str) -> Container:
        """A container.

        Raises:
            SpecError: the id cannot be one.
            StateError: there is none.
        """
        directory = self._path(container_id)
        if not directory.is_dir():
            raise StateError("container does not exist")
        return Container(directory)

    def list(self) -> Sequence[Container]:
        """All of them, by id."""
        try:
            found = sorted(path for path in self._root.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []
        return [Container(path) for path in found]

    def _path(self, container_id: str) -> Path:
        if not re.fullmatch(_ID, container_id, re.ASCII) or container_id in {".", ".."}:
            raise SpecError(f"invalid container ID format: {container_id}")
        return self._root / container_id
