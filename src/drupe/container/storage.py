"""Where a container's writes go: its writable layer, or memory, or nowhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from drupe.container.sizes import parse_size
from drupe.errors import SpecError

DISK = "disk"
MEMORY = "memory"
LAYER_BYTES = 10 << 30
"""Size of a writable layer where nobody says: as docker's storage driver for devices has it."""
_LEAST_BYTES = 16 << 20
_MOST_BYTES = 1 << 44
"""What ext4 with blocks of 4 KiB and no 64-bit numbers holds."""

_OWN_DIRECTORIES = {"proc", "sys", "dev"}
_TMPFS_VALUES = {
    "size": r"\d{1,15}[kKmMgG%]?",
    "mode": r"[0-7]{1,5}",
    "uid": r"\d{1,10}",
    "gid": r"\d{1,10}",
    "nr_inodes": r"\d{1,15}[kKmMgG]?",
}


class Tmpfs(NamedTuple):
    """A file system in the guest's memory.

    Attributes:
        target: absolute path in the container, not "/".
        options: as tmpfs takes them: size, mode, uid, gid, nr_inodes.
        executable: programs on it can be executed.
        readonly: no writes.
    """

    target: str
    options: str = ""
    executable: bool = False
    readonly: bool = False


class Storage(NamedTuple):
    """Where a container's writes go.

    Attributes:
        layer: its writable layer: ``DISK``, a file beside its record, or ``MEMORY``.
        size_bytes: of a layer on disk, at most; 0 in memory.
        readonly: nothing can be written but to volumes and ``tmpfs``.
        tmpfs: file systems in memory.
    """

    layer: str = MEMORY
    size_bytes: int = 0
    readonly: bool = False
    tmpfs: tuple[Tmpfs, ...] = ()


def parse_storage(options: Sequence[str], *, readonly: bool, tmpfs: Sequence[str]) -> Storage:
    """The storage that the user asks for; 0 bytes on disk: as much as seems right.

    Args:
        options: ``size=SIZE``, ``layer=disk`` or ``layer=memory``; the last one counts.
        readonly: the root cannot be written.
        tmpfs: PATH[:OPTION,...] each.

    Raises:
        SpecError: something else, or two at one place.
    """
    layer, size_bytes = MEMORY if readonly else DISK, 0
    for text in options:
        name, _, value = text.partition("=")
        if name == "size":
            size_bytes = _layer_size(value)
        elif name == "layer" and value in {DISK, MEMORY}:
            layer = MEMORY if readonly else value
        else:
            raise SpecError(
                f"failed to use storage option '{text}': no such option",
                hint="size=SIZE, layer=disk or layer=memory",
            )
    parsed = tuple(map(parse_tmpfs, tmpfs))
    targets = [one.target for one in parsed]
    for target in targets:
        if targets.count(target) > 1:
            raise SpecError(f"failed to use --tmpfs: two at '{target}'")
    return Storage(layer, size_bytes if layer == DISK else 0, readonly, parsed)


def parse_tmpfs(text: str) -> Tmpfs:
    """PATH[:OPTION,...], in docker's notation.

    Raises:
        SpecError: not that; names the part.
    """
    path, _, rest = text.partition(":")
    target = mount_point(path)
    if target is None:
        raise SpecError(
            f"failed to use tmpfs '{text}': '{path}' cannot be a mount point",
            hint="an absolute path below '/', without '..', and not in /proc, /sys or /dev",
        )
    values, flags = [], {"executable": False, "readonly": False}
    for option in filter(None, rest.split(",")):
        name, equals, value = option.partition("=")
        if equals and re.fullmatch(_TMPFS_VALUES.get(name, r"(?!)"), value):
            values.append(option)
        elif option in {"exec", "noexec"}:
            flags["executable"] = option == "exec"
        elif option in {"ro", "rw"}:
            flags["readonly"] = option == "ro"
        elif option not in {"nosuid", "nodev", "defaults"}:  # which it is anyway
            raise SpecError(
                f"failed to use tmpfs '{text}': no option '{option}'",
                hint="size=SIZE, mode=MODE, uid=ID, gid=ID, nr_inodes=N, exec, noexec, ro, rw",
            )
    return Tmpfs(target, ",".join(values), **flags)


def mount_point(path: str) -> str | None:
    """A path in its plain form; None: nothing can be mounted there."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if not path.startswith("/") or not parts or ".." in parts or parts[0] in _OWN_DIRECTORIES:
        return None
    return "/" + "/".join(parts)


def _layer_size(text: str) -> int:
    size = parse_size("storage size", text)
    if not _LEAST_BYTES <= size <= _MOST_BYTES:
        raise SpecError(
            f"failed to use storage size '{text}': {size} bytes",
            hint=f"at least {_LEAST_BYTES >> 20}m, at most {_MOST_BYTES >> 30}g",
        )
    return (size + (1 << 20) - 1) >> 20 << 20
