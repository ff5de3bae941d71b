"""Where on this host a control group can be made, for each controller.

Version 2: below the highest group that is an ancestor of ours and delegated to us, as processes may
be moved within a delegated tree only. Version 1: below our own group in each hierarchy. Sources:
cgroups(7), "Delegation Containment" in the kernel's admin-guide/cgroup-v2.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

CONTROLLERS = ("memory", "pids", "cpu", "cpuset")
ACCOUNTING = ("cpuacct", "blkio")
"""Those of version 1 that only count."""


class Parent(NamedTuple):
    """A group below which groups can be made.

    Attributes:
        path: its directory.
        version: 1 or 2.
    """

    path: Path
    version: int


def find_parents(proc: Path = Path("/proc/self")) -> Mapping[str, Parent]:
    """Controller → where a group with it can be made; those that cannot be had are missing."""
    groups = dict(_own_groups(proc))
    parents = {}
    for controllers, root, mount in _mounts(proc):
        own = _below(mount, root, groups.get(controllers))
        if own is None:
            continue
        if controllers:
            if _is_ours(own):
                named = [name for name in CONTROLLERS if name in controllers.split(",")]
                parents.update(dict.fromkeys(named, Parent(own, 1)))
        else:
            for name, parent in _unified(own, mount):
                parents.setdefault(name, parent)
    return parents


def find_roots(proc: Path = Path("/proc/self")) -> Mapping[str, Parent]:
    """Controller → where its hierarchy is mounted, with ``ACCOUNTING``, whoever may write there."""
    roots: dict[str, Parent] = {}
    for controllers, root, mount in _mounts(proc):
        if root != "/":
            continue
        if controllers:
            named = {*CONTROLLERS, *ACCOUNTING} & set(controllers.split(","))
            roots.update(dict.fromkeys(named, Parent(mount, 1)))
        else:
            for name in set(CONTROLLERS) & set(_words(mount, "cgroup.controllers")):
                roots.setdefault(name, Parent(mount, 2))
    return roots


def grant_down(root: Path, group: Path, names: Iterable[str]) -> None:
    """Makes the groups between ``root`` and ``group``, which get these controllers of version 2."""
    between = [root, *reversed([path for path in group.parents if root in path.parents])]
    for path in between:
        path.mkdir(exist_ok=True)
        for name in names:
            _grant(path, name)


def _own_groups(proc: Path) -> Iterator[tuple[str, str]]:
    """(controllers, path within the hierarchy); no controllers: version 2."""
    for line in (proc / "cgroup").read_text(errors="surrogateescape").splitlines():
        _, controllers, path = line.split(":", 2)
        yield controllers, path


def _mounts(proc: Path) -> Iterator[tuple[str, str, Path]]:
    """(controllers, root within the hierarchy, mount point) of each hierarchy that is mounted."""
    for line in (proc / "mountinfo").read_text(errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fields, (kind, _, options) = left.split(), right.split(" ", 2)
        if kind == "cgroup2":
            yield "", fields[3], Path(fields[4])
        elif kind == "cgroup":
            named = [name for name in options.split(",") if name not in {"rw", "ro"}]
            yield ",".join(name for name in named if name != "xattr"), fields[3], Path(fields[4])


def _below(mount: Path, root: str, group: str | None) -> Path | None:
    """Our own group's directory, where it can be seen below the mount point."""
    if group is None or "/.." in group:
        return None
    if root != "/":
        if group != root and not group.startswith(root + "/"):
            return None
        group = group[len(root) :]
    return mount / group.lstrip("/")


def _unified(own: Path, mount: Path) -> Iterator[tuple[str, Parent]]:
    """What the highest group above ours that is ours can give."""
    chain = [own, *(parent for parent in own.parents if parent.is_relative_to(mount))]
    ours = []
    for path in chain:
        if not _is_ours(path):
            break
        ours.append(path)
    for path in reversed(ours):
        controllers = [name for name in CONTROLLERS if name in _words(path, "cgroup.controllers")]
        granted = [name for name in controllers if _grant(path, name)]
        if granted:
            yield from ((name, Parent(path, 2)) for name in granted)
            return


def _grant(path: Path, name: str) -> bool:
    """Whether groups below ``path`` have that controller; tries to give it to them."""
    control = path / "cgroup.subtree_control"
    with suppress(OSError):  # a group with processes of its own gives none
        if name not in _words(path, control.name):
            control.write_text(f"+{name}")
        return name in _words(path, control.name)
    return False


def _is_ours(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path / "cgroup.procs", os.W_OK)


def _words(path: Path, name: str) -> list[str]:
    try:
        return (path / name).read_text().split()
    except OSError:
        return []
