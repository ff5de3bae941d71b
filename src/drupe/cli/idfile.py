"""--cidfile: a new container's id, in a file that goes if the container does not come to be."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from drupe.container.request import RunRequest, resolve
from drupe.container.spec import ContainerSpec
from drupe.errors import HostError


class IdFile:
    """Writes a container's id as it is made; the file goes at the end of the block, unless kept."""

    def __init__(self, request: RunRequest, path: str | None) -> None:
        self._request = request
        self._path = path
        self._written: Path | None = None

    def make(self, container_id: str, name: str) -> ContainerSpec:
        """The container's specification."""
        spec = resolve(self._request, container_id, name)
        if self._path:
            self._written = _write_id(Path(self._path), container_id)
        return spec

    def keep(self) -> None:
        """The container has come to be."""
        self._written = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._written is not None:
            self._written.unlink(missing_ok=True)


def _write_id(path: Path, container_id: str) -> Path:
    try:
        with path.open("x") as file:
            file.write(container_id)
    except OSError as error:
        raise HostError(f"failed to write '{path}': {error.strerror}") from error
    return path
