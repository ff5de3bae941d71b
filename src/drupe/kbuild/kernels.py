"""Built kernels: listed, found, removed. What a run needs of ``kbuild`` is here and quick.

A kernel is a directory ``kernels/<id>/`` with ``linux``, ``config`` and ``kernel.json``;
``kernels/profiles/<name>`` is a link to the one that a profile stands for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from drupe.errors import HostError, NotFoundError, SpecError, StateError
from drupe.store import atomic, paths

_PREFIX_MIN = 4


class Kernel(NamedTuple):
    """A container kernel that is ready to run.

    Attributes:
        id: 16 hexadecimal digits; "" where ``linux`` was given as a path.
        profile: the profile that it was built for.
        platform: ``um`` or ``vm``.
        version: Linux's, such as ``7.3.4``.
        linux: path of the program, or of the image for a virtual machine.
        config: path of its ``.config``; None where ``linux`` was given as a path.
        key: the build key, all of it.
        inputs: the hash of what is in the key besides the source.
        source: identity of the source.
        compiler: what compiled it.
        size_bytes: of ``linux``.
        built_at: seconds since 1970.
        seconds: that the build took.
        objects: how many were compiled; the next build's estimate.
    """

    id: str
    profile: str
    platform: str
    version: str
    linux: Path
    config: Path | None = None
    key: str = ""
    inputs: str = ""
    source: str = ""
    compiler: str = ""
    size_bytes: int = 0
    built_at: float = 0.0
    seconds: float = 0.0
    objects: int = 0

    def describe(self) -> dict[str, object]:
        """What ``kernel.json`` and ``drupe kernel show`` hold."""
        values = self._asdict()
        return {key: str(v) if isinstance(v, Path) else v for key, v in values.items()}


def list_kernels() -> list[Kernel]:
    """All kernels, newest first; where two directories hold the same one, the user's."""
    found: dict[str, Kernel] = {}
    for base in paths.data_dirs():
        for entry in _children(base / "kernels"):
            kernel = _read(entry)
            if kernel is not None:
                found.setdefault(kernel.id, kernel)
    return sorted(found.values(), key=lambda kernel: -kernel.built_at)


def find_kernel(name: str = "general") -> Kernel:
    """The kernel that a name stands for.

    Args:
        name: a profile, the beginning of an id (four digits at least), or a path (with a slash)
            of a ``linux`` program.

    Raises:
        NotFoundError: there is none.
        SpecError: several ids begin so.
    """
    if "/" in name:
        return _at_path(Path(name))
    for base in paths.data_dirs():
        kernel = _read(base / "kernels" / "profiles" / name) if name else None
        if kernel is not None:
            return kernel
    if len(name) >= _PREFIX_MIN and not set(name) - set("0123456789abcdef"):
        matches = [kernel for kernel in list_kernels() if kernel.id.startswith(name)]
        if len(matches) > 1:
            raise SpecError(
                f"failed to find kernel '{name}': several ids begin so",
                hint=", ".join(kernel.id for kernel in matches),
            )
        if matches:
            return matches[0]
    raise NotFoundError(
        f"failed to find kernel '{name}': no such profile or id has been built",
        hint=f"build a profile's: drupe kernel build --profile {name}",
    )


def find_initramfs() -> Path:
    """The initramfs that runs use: this user's, else the system's.

    Raises:
        NotFoundError: none has been built.
    """
    for base in paths.data_dirs():
        found = base / "guests" / "current" / "initramfs.cpio"
        if found.is_file():
            return found.resolve()
    raise NotFoundError(
        "failed to find 'initramfs.cpio': the guest's init has not been built",
        hint="build it: drupe kernel build",
    )


def remove_kernel(name: str) -> Kernel:
    """Removes a kernel of this user's; containers that run on it go on. Returns what it was.

    Raises:
        NotFoundError: there is none.
        StateError: it is installed for the whole system, or given as a path.
        HostError: it cannot be removed.
    """
    import shutil

    kernel = find_kernel(name)
    home = paths.data_home() / "kernels"
    directory = home / kernel.id
    if not kernel.id or not directory.is_dir():
        raise StateError(
            f"failed to remove kernel '{name}': {kernel.linux} is not in {home}",
            hint="remove it as whoever installed it",
        )
    trash = home / f".trash.{kernel.id}.{os.getpid()}"
    try:
        for link in _children(home / "profiles"):
            if link.is_symlink() and link.readlink().name == kernel.id:
                link.unlink()
        directory.rename(trash)
        for leftover in home.glob(".trash.*"):
            shutil.rmtree(leftover)
    except OSError as error:
        raise HostError(f"failed to remove '{directory}': {error.strerror}") from error
    return kernel


def shared_dir(path: Path) -> Path:
    """Makes a directory that all users may read: kernels and guests hold no secrets.

    So what root builds with XDG_DATA_HOME=/usr/local/share serves everyone.

    Raises:
        HostError: it cannot be made.
    """
    paths.private_dir(path).chmod(0o755)
    return path


def select(kernel: Kernel, profile: str) -> None:
    """Makes a kernel the one that a profile stands for, for this user.

    Raises:
        HostError: the link cannot be made.
    """
    links = shared_dir(paths.data_home() / "kernels" / "profiles")
    atomic.replace_link(links / profile, kernel.linux.parent)


def _at_path(path: Path) -> Kernel:
    program = path / "linux" if path.is_dir() else path
    kernel = _read(program.parent)
    if kernel is not None and kernel.linux.name == program.name:
        return kernel
    if not program.is_file():
        raise NotFoundError(
            f"failed to find kernel '{path}': no such file", hint="give the path of a linux program"
        )
    size = program.stat().st_size
    return Kernel("", "", "um", "", program.absolute(), size_bytes=size)


def _read(directory: Path) -> Kernel | None:
    """The kernel in a directory; None where there is none, or only a part of one."""
    try:
        values = atomic.read_json(directory / "kernel.json")
    except (FileNotFoundError, NotADirectoryError, HostError, StateError):
        return None
    directory = directory.resolve()
    values = {key: value for key, value in values.items() if key in Kernel._fields}
    values |= {"linux": directory / "linux", "config": directory / "config"}
    if not {"id", "profile", "platform", "version"} <= values.keys():
        return None
    return Kernel(**values) if values["linux"].is_file() else None


def _children(directory: Path) -> list[Path]:
    try:
        return sorted(entry for entry in directory.iterdir() if not entry.name.startswith("."))
    except OSError:
        return []
