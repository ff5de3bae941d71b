"""The images of a user and of the system: each ``images/<name>/{root.erofs,image.json}``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from drupe.errors import HostError, NotFoundError, StateError
from drupe.store import atomic, paths
from drupe.store.lock import locked

_NAME = r"[a-z0-9][a-z0-9_.-]{0,127}"


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


def find_image(name: str) -> Image:
    """The image of that name: this user's, else the system's; embedded ones are made at first use.

    Raises:
        NotFoundError: there is none.
        HostError: an embedded one cannot be made.
    """
    if re.fullmatch(_NAME, name):
        for base in paths.data_dirs():
            image = _read(base / "images" / name)
            if image is not None:
                return image
        if name == "busybox":
            from drupe.image.busybox import build_busybox

            return build_busybox()
    raise NotFoundError(
        f"failed to find image '{name}': no such image",
        hint="'busybox' is there always; --rootfs DIR runs a directory",
    )


def install(name: str, defaults: Image, make: Callable[[Path], None]) -> Image:
    """Makes an image whole or not at all: ``make`` writes the root file at the path it is given.

    Raises:
        HostError: the disk refused.
    """
    import shutil

    home = paths.private_dir(paths.data_home() / "images")
    final, temporary = home / name, home / f".{name}.{os.getpid()}"
    with locked(home / ".lock"):
        ready = _read(final)
        if ready is not None:
            return ready
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            make(temporary / "root.erofs")
            (temporary / "root.erofs").chmod(0o644)
            value = {k: v for k, v in defaults._asdict().items() if k != "root"}
            atomic.write_json(temporary / "image.json", {**value, "env": dict(defaults.env)})
            shutil.rmtree(final, ignore_errors=True)
            temporary.rename(final)
        except OSError as error:
            raise HostError(f"failed to make image '{name}': {error.strerror}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return defaults._replace(root=final / "root.erofs")


def _read(directory: Path) -> Image | None:
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
