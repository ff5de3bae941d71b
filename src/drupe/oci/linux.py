"""The Linux part of the runtime specification as data. Source: config-linux.md."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from drupe.oci.document import Fields

NAMESPACES = frozenset({"pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"})

_DEVICES = frozenset("cubp")
_PERMISSIONS = 0o7777
_NUMBER_MOST = 0xFFFF_FFFF
_PROPAGATIONS = frozenset({"", "shared", "slave", "private", "unbindable"})


class IdMapping(NamedTuple):
    """A range of ids that are others outside."""

    container: int
    host: int
    size: int


class Device(NamedTuple):
    """A device node.

    Attributes:
        path: absolute, in the container.
        kind: c or u, b, or p, which is a pipe.
        major, minor: its numbers.
        mode: permissions, or None.
        uid, gid: its owner.
    """

    path: str
    kind: str
    major: int
    minor: int
    mode: int | None
    uid: int
    gid: int


class Resources(NamedTuple):
    """What the container may use; None: nothing was said; -1: no limit.

    Attributes:
        memory_bytes: memory.
        swap_bytes: memory and swap together.
        pids: processes and threads.
        cpu_shares: weight against others.
        cpu_quota_us, cpu_period_us: processor time in each period.
        cpus: processors of the host, as 0-2,5; empty: all.
        unified: files of control groups of version 2, and what is written there.
    """

    memory_bytes: int | None = None
    swap_bytes: int | None = None
    pids: int | None = None
    cpu_shares: int | None = None
    cpu_quota_us: int | None = None
    cpu_period_us: int | None = None
    cpus: str = ""
    unified: Mapping[str, str] = MappingProxyType({})


class LinuxConfig(NamedTuple):
    """The member ``linux``.

    Attributes:
        namespaces: kind → path of one to join; empty: a new one.
        uid_mappings, gid_mappings: of the user namespace.
        devices: beside those that every container has.
        sysctls: NAME → value, with dots.
        masked: paths that cannot be seen.
        readonly: paths that cannot be written.
        resources: limits.
        cgroups_path: where the container's control group is to be.
        propagation: of the root's mounts.
        seccomp: there is a profile.
    """

    namespaces: Mapping[str, str] = MappingProxyType({})
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()
    devices: tuple[Device, ...] = ()
    sysctls: Mapping[str, str] = MappingProxyType({})
    masked: tuple[str, ...] = ()
    readonly: tuple[str, ...] = ()
    resources: Resources = Resources()
    cgroups_path: str = ""
    propagation: str = ""
    seccomp: bool = False


def read_linux(fields: Fields) -> LinuxConfig:
    """What an object says; what is unknown in it is left out.

    Raises:
        SpecError: something in it cannot be.
    """
    propagation = fields.text("rootfsPropagation")
    if propagation.removeprefix("r") not in _PROPAGATIONS:
        raise fields.error("rootfsPropagation", propagation)
    return LinuxConfig(
        namespaces=_namespaces(fields),
        uid_mappings=_mappings(fields, "uidMappings"),
        gid_mappings=_mappings(fields, "gidMappings"),
        devices=tuple(map(_device, fields.members("devices"))),
        sysctls=fields.table("sysctl"),
        masked=_paths(fields, "maskedPaths"),
        readonly=_paths(fields, "readonlyPaths"),
        resources=read_resources(fields.member("resources")),
        cgroups_path=fields.text("cgroupsPath"),
        propagation=propagation,
        seccomp=fields.has("seccomp"),
    )


def read_resources(fields: Fields) -> Resources:
    """Limits, as config.json or a file for ``update`` has them.

    Raises:
        SpecError: something in them cannot be.
    """
    memory, cpu = fields.member("memory"), fields.member("cpu")
    return Resources(
        memory_bytes=memory.integer("limit"),
        swap_bytes=memory.integer("swap"),
        pids=fields.member("pids").integer("limit"),
        cpu_shares=cpu.integer("shares"),
        cpu_quota_us=cpu.integer("quota"),
        cpu_period_us=cpu.integer("period"),
        cpus=cpu.text("cpus"),
        unified=fields.table("unified"),
    )


def _namespaces(fields: Fields) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in fields.members("namespaces"):
        kind, path = entry.text("type"), entry.text("path")
        if kind not in NAMESPACES or kind in found:
            raise entry.error("type", kind)
        if path and not path.startswith("/"):
            raise entry.error("path", path)
        found[kind] = path
    return found


def _mappings(fields: Fields, name: str) -> tuple[IdMapping, ...]:
    return tuple(
        IdMapping(
            *(entry.number(part, most=_NUMBER_MOST) for part in ("containerID", "hostID", "size"))
        )
        for entry in fields.members(name)
    )


def _device(fields: Fields) -> Device:
    path, kind, mode = fields.text("path"), fields.text("type"), fields.integer("fileMode")
    if not path.startswith("/"):
        raise fields.error("path", path)
    if kind not in _DEVICES:
        raise fields.error("type", kind)
    major, minor, uid, gid = (
        fields.number(name, most=_NUMBER_MOST) for name in ("major", "minor", "uid", "gid")
    )
    # Some engines put the type of the file there, too.
    return Device(path, kind, major, minor, None if mode is None else mode & _PERMISSIONS, uid, gid)


def _paths(fields: Fields, name: str) -> tuple[str, ...]:
    paths = fields.texts(name)
    for path in paths:
        if not path.startswith("/"):
            raise fields.error(name, path)
    return paths
