"""A container's control groups on the host, where config.json says that they are to be.

What they bound is the machine: the container kernel, and all host processes of its guest.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from drupe.container.bounds import host_bounds
from drupe.container.limits import Limits, parse_cpuset
from drupe.errors import HostError, SpecError
from drupe.limits.group import Bounds, Groups
from drupe.limits.hierarchy import ACCOUNTING, Parent, find_roots, grant_down
from drupe.oci.linux import Resources
from drupe.runtime import log

_PERIOD_US = 100_000
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}


def plan_groups(path: str, *, systemd: bool) -> dict[str, str]:
    """Controller → the group's directory; empty where config.json names no place.

    Raises:
        SpecError: the path cannot be one.
    """
    if not path:
        return {}
    inside = PurePosixPath(_of_systemd(path) if systemd else path)
    if ".." in inside.parts:
        raise SpecError(f"failed to use cgroupsPath '{path}': it holds '..'")
    roots = find_roots()
    return {
        name: str(roots[name].path / str(inside).lstrip("/"))
        for name in ("memory", "pids", "cpu", *ACCOUNTING)
        if name in roots
    }


def make_groups(planned: Mapping[str, str], bounds: Bounds) -> Groups:
    """Makes them, with these bounds; none, and a warning, where this user may make none.

    Raises:
        HostError: this host refused.
    """
    groups, roots = groups_at(planned), find_roots()
    try:
        for name, directory in planned.items():
            group, root = Path(directory), roots[name]
            if root.version == 2:
                grant_down(root.path, group, set(planned) - set(ACCOUNTING))
            else:
                group.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in _FORBIDDEN:
            log.warning(f"no control groups: '{error.filename}': {error.strerror}")
            return Groups({})
        raise HostError(
            f"failed to make control group '{error.filename}': {error.strerror}"
        ) from error
    groups.make(bounds)
    return groups


def groups_at(made: Mapping[str, str]) -> Groups:
    """Groups that were made before."""
    return Groups(
        {
            name: Parent(Path(path), 2 if name not in ACCOUNTING and _is_unified(path) else 1)
            for name, path in made.items()
        }
    )


def bounds_of(resources: Resources, memory_bytes: int) -> Bounds:
    """What a machine may use of its host for its container to have what it may use."""
    quota, period = resources.cpu_quota_us or 0, resources.cpu_period_us or _PERIOD_US
    limits = Limits(
        cpus=quota / period if quota > 0 and period > 0 else 0.0,
        cpu_shares=min(max(resources.cpu_shares, 2), 262_144) if resources.cpu_shares else 0,
        pids=max(0, resources.pids or 0),
    )
    return host_bounds(memory_bytes, limits)


def place(pid: int, cpus: str) -> None:
    """Has a process of a machine, and what it starts, run on these processors of the host.

    Raises:
        SpecError: there are no such ones.
    """
    try:
        os.sched_setaffinity(pid, parse_cpuset(cpus))
    except ProcessLookupError:
        return


def _is_unified(path: str) -> bool:
    """Whether it is in a hierarchy of version 2, be it there yet or not."""
    group = Path(path)
    return any((above / "cgroup.controllers").exists() for above in (group, *group.parents))


def _of_systemd(path: str) -> str:
    """SLICE:PREFIX:NAME as a path: a-b.slice lies in a.slice. Source: systemd.slice(5)."""
    parts = path.split(":")
    if len(parts) != 3 or not parts[2]:
        raise SpecError(
            f'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, '
            f'got "{path}" instead'
        )
    slice_, prefix, name = parts
    slice_ = slice_ or "system.slice"
    words = slice_.removesuffix(".slice").split("-")
    above = ["-".join(words[: count + 1]) + ".slice" for count in range(len(words))]
    scope = f"{prefix}-{name}.scope" if prefix else f"{name}.scope"
    return "/" + "/".join([*above, scope])
