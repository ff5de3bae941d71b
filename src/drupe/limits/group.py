"""One machine's control groups: made before its first instruction, removed after its last."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drupe.errors import HostError
from drupe.limits.hierarchy import Parent, find_parents

PERIOD_US = 100_000
"""Over which a share of the processors is counted, as docker does."""

_USUAL_SHARES, _USUAL_WEIGHT = 1024, 100
_REMOVE_TRIES = 100
_REMOVE_PAUSE_S = 0.02


class Bounds(NamedTuple):
    """What a machine may use of its host; 0: no bound of that kind.

    Attributes:
        memory_bytes: of all its processes together, page tables and the like included.
        pids: its processes and threads.
        cpus: processors' worth of time.
        cpu_shares: weight against others, 1024 being usual.
        cpuset: the processors that it may run on; empty: all.
    """

    memory_bytes: int = 0
    pids: int = 0
    cpus: float = 0.0
    cpu_shares: int = 0
    cpuset: tuple[int, ...] = ()


Setting = tuple[str, str]
"""A control file's name, and what is written to it."""


def settings(bounds: Bounds, version: int) -> Mapping[str, Sequence[Setting]]:
    """Controller → what to write, in order, for bounds that are there; for processors always."""
    wanted: dict[str, list[Setting]] = {"cpu": _cpu(bounds, version)}
    if bounds.memory_bytes:
        most = str(bounds.memory_bytes)
        wanted["memory"] = (
            [("memory.max", most), ("memory.swap.max", "0"), ("memory.oom.group", "1")]
            if version == 2
            else [("memory.limit_in_bytes", most), ("memory.memsw.limit_in_bytes", most)]
        )
    if bounds.pids:
        wanted["pids"] = [("pids.max", str(bounds.pids))]
    if bounds.cpuset:
        wanted["cpuset"] = [("cpuset.cpus", ",".join(map(str, bounds.cpuset)))]
    return wanted


def _cpu(bounds: Bounds, version: int) -> list[Setting]:
    """What lifts a bound that was there before, too."""
    quota = max(1000, round(bounds.cpus * PERIOD_US))
    shares = bounds.cpu_shares
    if version == 1:
        return [
            ("cpu.cfs_period_us", str(PERIOD_US)),
            ("cpu.cfs_quota_us", str(quota if bounds.cpus else -1)),
            ("cpu.shares", str(shares or _USUAL_SHARES)),
        ]
    # The kernel's documented mapping of 2..262144 to 1..10000.
    weight = 1 + (shares - 2) * 9999 // 262_142 if shares else _USUAL_WEIGHT
    return [
        ("cpu.max", f"{quota if bounds.cpus else 'max'} {PERIOD_US}"),
        ("cpu.weight", str(weight)),
    ]


_OPTIONAL = {"memory.swap.max", "memory.memsw.limit_in_bytes", "memory.oom.group"}
"""Files that a host may lack: no swap accounting, an older kernel."""


class Groups:
    """The groups of one machine, by the name that they have in each hierarchy."""

    def __init__(self, paths: Mapping[str, Parent]) -> None:
        """``paths``: controller → the group's own directory, with its version."""
        self._groups = paths

    @classmethod
    def plan(cls, name: str, bounds: Bounds, parents: Mapping[str, Parent] | None = None) -> Groups:
        """The groups that bounds need and this host grants; nothing is made yet."""
        found = find_parents() if parents is None else parents
        needed = {
            "memory": bounds.memory_bytes,
            "pids": bounds.pids,
            "cpu": bounds.cpus or bounds.cpu_shares,
            "cpuset": bounds.cpuset,
        }
        return cls(
            {
                controller: Parent(found[controller].path / name, found[controller].version)
                for controller, bound in needed.items()
                if bound and controller in found
            }
        )

    @classmethod
    def at(cls, paths: Mapping[str, tuple[str, int]]) -> Groups:
        """Groups that were made before: as ``paths`` told."""
        return cls({name: Parent(Path(path), version) for name, (path, version) in paths.items()})

    @property
    def paths(self) -> dict[str, tuple[str, int]]:
        """Controller → directory and version, for a record."""
        return {name: (str(group.path), group.version) for name, group in self._groups.items()}

    @property
    def controllers(self) -> frozenset[str]:
        """What these bound."""
        return frozenset(self._groups)

    def make(self, bounds: Bounds) -> None:
        """Makes them, with these bounds.

        Raises:
            HostError: this host refused; what was made is for ``remove``.
        """
        for group in set(self._groups.values()):
            try:
                group.path.mkdir(exist_ok=True)
                if "cpuset" in self._groups and group == self._groups["cpuset"]:
                    _inherit_cpuset(group)
            except OSError as error:
                raise _failure("make control group", group.path, error) from error
        self.set(bounds)

    def set(self, bounds: Bounds) -> None:
        """Writes the bounds that are there.

        Raises:
            HostError: this host refused.
        """
        for controller, group in self._groups.items():
            for name, value in settings(bounds, group.version).get(controller, ()):
                path = group.path / name
                if name in _OPTIONAL and not path.exists():
                    continue
                try:
                    path.write_text(value)
                except OSError as error:
                    raise _failure(f"write {value} to", path, error) from error

    def join(self, pid: int) -> None:
        """Moves a process into them; what it starts will be in them too. It may have ended.

        Raises:
            HostError: this host refused.
        """
        for group in set(self._groups.values()):
            path = group.path / "cgroup.procs"
            try:
                path.write_text(str(pid))
            except ProcessLookupError:
                return
            except OSError as error:
                raise _failure(f"move process {pid} to", path, error) from error

    def remove(self) -> None:
        """Removes them, whether they are there or not; their processes must have ended.

        Raises:
            HostError: processes are left in one.
        """
        for group in set(self._groups.values()):
            for _ in range(_REMOVE_TRIES):
                try:
                    group.path.rmdir()
                except FileNotFoundError:
                    break
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        raise _failure("remove control group", group.path, error) from error
                    time.sleep(_REMOVE_PAUSE_S)  # the last process is still being buried
                else:
                    break
            else:
                raise HostError(f"failed to remove control group '{group.path}': in use")

    def read(self, controller: str, name: str) -> str | None:
        """What a control file says; None where it is not there."""
        group = self._groups.get(controller)
        if group is not None:
            with suppress(OSError):
                return (group.path / name).read_text()
        return None


def _inherit_cpuset(group: Parent) -> None:
    """Version 1 makes cpusets without memory or processors, which nobody can join."""
    if group.version == 1:
        for name in ("cpuset.mems", "cpuset.cpus"):
            (group.path / name).write_text((group.path.parent / name).read_text())


def _failure(what: str, path: Path, error: OSError) -> HostError:
    return HostError(f"failed to {what} '{path}': {error.strerror}")
