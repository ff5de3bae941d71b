"""What is mounted below a container's root, in docker's two notations: ``-v`` and ``--mount``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from drupe.container.storage import mount_point
from drupe.errors import HostError, SpecError
from drupe.jail.mountinfo import kernel_mounts

_IGNORED = {
    "z", "Z", "cached", "delegated", "consistent", "rprivate", "private", "rslave", "slave",
    "exec", "suid", "dev",
}  # fmt: skip
"""Options that ask for what is so anyway, or that only others need: labels, propagation."""


class Volume(NamedTuple):
    """Something of the host's in the container.

    Attributes:
        source: absolute path on the host, symbolic links resolved; empty for a volume that is not
            resolved yet.
        target: absolute path in the container, not "/".
        readonly: no writes; enforced by the host.
        name: of the volume that it is; empty: a directory or file of the host.
        file: it is a file.
        seeded: an empty one gets what the image has at that place.
        noexec: no programs.
        guarded: no set-user-id programs, no devices.
        anonymous: a volume for this container, whose name nobody chose.
    """

    source: str
    target: str
    readonly: bool = False
    name: str = ""
    file: bool = False
    seeded: bool = False
    noexec: bool = False
    guarded: bool = False
    anonymous: bool = False


class Mounts(NamedTuple):
    """What the user asked for.

    Attributes:
        volumes: those of the host; without source and name, an anonymous one.
        tmpfs: those in memory, in the notation of ``--tmpfs``.
    """

    volumes: tuple[Volume, ...]
    tmpfs: tuple[str, ...]


def parse_volume(text: str) -> Volume:
    """HOST:GUEST[:OPTION,...], NAME:GUEST[:OPTION,...] or GUEST; still to be resolved.

    Raises:
        SpecError: not of that form.
    """
    source, colon, rest = text.partition(":")
    if not colon:
        source, rest = "", text
    target, _, options = rest.partition(":")
    if (colon and not source) or not target.startswith("/"):
        raise SpecError(
            f"failed to use volume '{text}': not HOST:GUEST[:ro]",
            hint="a directory or a file on the host, or a volume's name, a colon, an absolute path "
            "in the container",
        )
    is_path = "/" in source or source in {".", ".."}
    volume = Volume(
        source if is_path else "",
        _target("volume", text, target),
        name="" if is_path else source,
        seeded=not is_path,
    )
    for option in filter(None, options.split(",")):
        volume = _with_option(volume, option, "volume", text)
    return volume


def parse_mount(text: str) -> Volume | str:
    """type=bind|volume|tmpfs,src=…,dst=…[,ro]…; for tmpfs, in the notation of ``--tmpfs``.

    Raises:
        SpecError: not of that form.
    """
    fields: dict[str, str] = {}
    flags = []
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key = _KEYS.get(key, key)
        if key in _VALUES and equals:
            fields[key] = value
        elif key in {"ro", "volume-nocopy"} and value in {"", "true", "1", "false", "0"}:
            flags += [key] if value in {"", "true", "1"} else []
        elif key not in {"consistency", "bind-propagation"}:
            raise SpecError(
                f"failed to use mount '{text}': no field '{part}'",
                hint="type=bind, volume or tmpfs, src=SOURCE, dst=PATH, ro, tmpfs-size=SIZE, "
                "tmpfs-mode=MODE, volume-nocopy",
            )
    kind, source = fields.get("type", "volume"), fields.get("src", "")
    target = _target("mount", text, fields.get("dst", ""))
    if kind == "tmpfs":
        options = [f"{key[6:]}={fields[key]}" for key in _VALUES if key[:6] == "tmpfs-" and
                   key in fields] + ["ro"] * ("ro" in flags)  # fmt: skip
        return f"{target}:{','.join(options)}"
    if kind == "bind" and source:
        return Volume(source, target, "ro" in flags)
    if kind == "volume" and "/" not in source:
        seeded = "volume-nocopy" not in flags
        return Volume("", target, "ro" in flags, name=source, seeded=seeded)
    raise SpecError(
        f"failed to use mount '{text}': no such type, or not such a source",
        hint="type=bind,src=PATH, type=volume,src=NAME, or type=tmpfs",
    )


_VALUES = ("type", "src", "dst", "tmpfs-size", "tmpfs-mode")
_KEYS = {"source": "src", "target": "dst", "destination": "dst", "readonly": "ro"}


def parse_mounts(volumes: Sequence[str], mounts: Sequence[str]) -> Mounts:
    """All that ``-v`` and ``--mount`` say.

    Raises:
        SpecError: one is not of its form, or two are for one place.
    """
    parsed = [*map(parse_volume, volumes), *map(parse_mount, mounts)]
    found = [one for one in parsed if not isinstance(one, str)]
    targets = [volume.target for volume in found]
    for target in targets:
        if targets.count(target) > 1:
            raise SpecError(f"failed to use volumes: two have the target '{target}'")
    # A mount point below another volume must be mounted after it.
    ordered = sorted(found, key=lambda volume: volume.target.count("/"))
    return Mounts(tuple(ordered), tuple(one for one in parsed if isinstance(one, str)))


def parse_lender(text: str) -> tuple[str, bool]:
    """CONTAINER[:ro], of ``--volumes-from``: the container, and whether nothing may be written.

    Raises:
        SpecError: not of that form.
    """
    container, _, option = text.partition(":")
    if not container or option not in {"", "ro", "rw", "z", "Z"}:
        raise SpecError(
            f"failed to use volumes of '{text}': not CONTAINER[:ro]",
            hint="a container's name or id; all that it has mounted is mounted at the same places",
        )
    return container, option == "ro"


def image_volumes(paths: Iterable[str]) -> Sequence[Volume]:
    """What an image says is to be kept: an anonymous volume each, with what it has there."""
    places = {place: None for place in map(mount_point, paths) if place is not None}
    return [Volume("", place, seeded=True) for place in places]


def first_of_each(volumes: Iterable[Volume], taken: Iterable[str]) -> Sequence[Volume]:
    """The volumes without those at a place that is taken, or that one before them has."""
    free, places = [], set(taken)
    for volume in volumes:
        if volume.target not in places:
            free.append(volume)
            places.add(volume.target)
    return free


def resolve_volume(volume: Volume) -> Volume:
    """The volume with its place on the host, which need not be there yet if it has a name.

    Raises:
        SpecError: the place cannot be used so.
        HostError: the user may not read it.
    """
    if volume.name and volume.source:
        return volume
    if not volume.source:
        from drupe.container.volumes import data_directory, new_name

        name = volume.name or new_name()
        place = data_directory(name)
        return volume._replace(source=str(place), name=name, anonymous=not volume.name)
    source = find_shared("volume", volume.source, files=True)
    if not volume.readonly and not os.access(source, os.W_OK):
        raise SpecError(
            f"failed to use volume '{volume.source}': '{source}' is not writable for you",
            hint="add ':ro'",
        )
    return volume._replace(source=str(source), file=not source.is_dir())


def find_shared(what: str, path: str, *, files: bool = False) -> Path:
    """An existing, readable directory, absolute and without symbolic links; or such a file.

    Raises:
        SpecError: it is something else, or of the host's kernel.
        HostError: the user may not read it.
    """
    try:
        resolved = Path(path).resolve(strict=True)
    except OSError as error:
        cause = error.strerror or error
        raise SpecError(f"failed to use {what} '{path}': {cause}") from error
    except RuntimeError as error:
        raise SpecError(f"failed to use {what} '{path}': symbolic links in a circle") from error
    if not resolved.is_dir() and not (files and resolved.is_file()):
        raise SpecError(
            f"failed to use {what} '{path}': not a directory",
            hint="only directories and regular files can be shared with a container",
        )
    if kernel_mounts(resolved) == ["."]:
        raise SpecError(
            f"failed to use {what} '{path}': it belongs to the host's kernel",
            hint="a container has /proc, /sys and /dev of its own kernel",
        )
    if not os.access(resolved, os.R_OK | (os.X_OK if resolved.is_dir() else 0)):
        raise HostError(
            f"failed to use {what} '{path}': not readable for you",
            hint="make it readable, or run as its owner",
        )
    return resolved


def _target(what: str, text: str, target: str) -> str:
    point = mount_point(target)
    if point is None:
        raise SpecError(
            f"failed to use {what} '{text}': '{target}' cannot be a mount point",
            hint="a path below '/', without '..', and not in /proc, /sys or /dev, which are the "
            "container kernel's",
        )
    return point


def _with_option(volume: Volume, option: str, what: str, text: str) -> Volume:
    if option in {"ro", "rw"}:
        return volume._replace(readonly=option == "ro")
    if option == "nocopy":
        return volume._replace(seeded=False)
    if option == "noexec":
        return volume._replace(noexec=True)
    if option in {"nosuid", "nodev"}:
        return volume._replace(guarded=True)
    if option in _IGNORED:
        return volume
    raise SpecError(
        f"failed to use {what} '{text}': no option '{option}'",
        hint="ro, rw, noexec, nosuid, nodev, nocopy; z and Z are ignored",
    )
