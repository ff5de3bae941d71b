"""The images of a user and of the system: each ``images/<name>/{root.erofs,image.json}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from drupe.errors import HostError, StateError
from drupe.store import atomic, paths
from drupe.store.lock import locked


class Image(NamedTuple):
    """A root image that is ready to run.

    Attributes:
        name: what ``run`` calls it.
        root: path of its EROFS file.
        args: the default command.
        env: the default environment.
        cwd: the default directory.
    """

    name: str
    root: Path
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = MappingProxyType({})
    cwd: str = "/"


def install(name: str, defaults: Image, make: Callable[[Path], None]) -> Image:
    """Makes an image whole or not at all: ``make`` writes the root file at the path it is given.

    Raises:
        HostError: the disk refused.
    """
    home = paths.private_dir(paths.data_home() / "images")
    final = home / name
    with locked(home / ".lock"):
        ready = read_image(final)
        if ready is not None:
            return ready
        with atomic.new_directory(final) as directory:
            make(directory / "root.erofs")
            (directory / "root.erofs").chmod(0o644)
            value = {k: v for k, v in defaults._asdict().items() if k != "root"}
            atomic.write_json(directory / "image.json", {**value, "env": dict(defaults.env)})
    return defaults._replace(root=final / "root.erofs")


def read_image(directory: Path) -> Image | None:
    """The image in a directory; None where there is none.

    Raises:
        StateError: it is broken.
    """
    try:
        value = atomic.read_json(directory / "image.json")
        root = (directory / "root.erofs").resolve(strict=True)
        return Image(**{**value, "args": tuple(value["args"]), "root": root})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (HostError, KeyError, TypeError) as error:
        raise StateError(
            f"failed to read image '{directory.name}': {error}", hint=f"remove {directory}"
        ) from error
