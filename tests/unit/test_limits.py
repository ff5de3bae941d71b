"""Control groups: where one can be made, what is written there, what users write of limits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.container.bounds import check_granted, host_bounds
from drupe.container.limits import (
    Limits,
    check_cpu_shares,
    check_pids,
    parse_cpus,
    parse_cpuset,
)
from drupe.errors import HostError, SpecError
from drupe.limits.group import Bounds, Groups, settings
from drupe.limits.hierarchy import Parent, find_parents

MINE = sorted(os.sched_getaffinity(0))


class Host:
    """A host's control groups, in plain files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.proc = path / "proc"
        self.proc.mkdir()
        self.groups: list[str] = []
        self.mounts = ["22 1 0:20 / /proc rw - proc proc rw"]

    def unified(self, own: str, **controllers: str) -> None:
        """Version 2; ``controllers``: group (with __ for /) → what it may give, and gives."""
        self.groups.append(f"0::{own}")
        mount = self.path / "unified"
        self.mounts.append(f"30 1 0:26 / {mount} rw,nosuid - cgroup2 cgroup rw,nsdelegate")
        for name, text in controllers.items():
            self.group(mount / name.replace("__", "/").lstrip("_"), text)

    def hierarchy(self, controllers: str, own: str, *, root: str = "/") -> Path:
        """Version 1; the mount shows what is below ``root``."""
        self.groups.append(f"{len(self.groups) + 2}:{controllers}:{own}")
        mount = self.path / controllers
        self.mounts.append(f"31 1 0:27 {root} {mount} rw - cgroup cgroup rw,{controllers}")
        path = mount / own.removeprefix(root).lstrip("/")
        self.group(path, "")
        return path

    def group(self, path: Path, text: str) -> None:
        path.mkdir(parents=True, exist_ok=True)
        for name in ("cgroup.controllers", "cgroup.subtree_control"):
            (path / name).write_text(text)
        (path / "cgroup.procs").touch()

    def parents(self) -> dict[str, Parent]:
        (self.proc / "cgroup").write_text("".join(f"{line}\n" for line in self.groups))
        (self.proc / "mountinfo").write_text("\n".join(self.mounts) + "\n")
        return dict(find_parents(self.proc))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_without_groups_grants_nothing(host: Host) -> None:
    assert host.parents() == {}


def test_version_1_grants_below_ones_own_group(host: Host) -> None:
    memory = host.hierarchy("memory", "/system/me")
    cpu = host.hierarchy("cpu,cpuacct", "/")
    named = host.hierarchy("pids", "/docker/abc", root="/docker/abc")
    assert host.parents() == {
        "memory": Parent(memory, 1),
        "cpu": Parent(cpu, 1),
        "pids": Parent(named, 1),
    }


def test_version_1_is_not_taken_for_what_it_does_not_show(host: Host) -> None:
    host.hierarchy("memory", "/elsewhere", root="/docker")
    assert host.parents() == {}


def test_version_2_grants_below_the_highest_group_that_is_ours(host: Host) -> None:
    host.unified("/user/app/me", _user="memory pids", _user__app="memory", _user__app__me="")
    top = host.path / "unified"
    (top / "cgroup.procs").unlink(missing_ok=True)  # the root is not ours
    assert host.parents() == {
        "memory": Parent(top / "user", 2),
        "pids": Parent(top / "user", 2),
    }


def test_version_2_turns_on_what_it_may(host: Host) -> None:
    host.unified("/me", _me="memory cpu")
    (host.path / "unified/me/cgroup.subtree_control").write_text("")
    # A plain file keeps "+cpu" where the kernel would say "cpu": it is not taken for granted.
    assert host.parents() == {}
    assert (host.path / "unified/me/cgroup.subtree_control").read_text() == "+cpu"


@pytest.mark.parametrize("version", [1, 2])
def test_bounds_are_written(tmp_path: Path, version: int) -> None:
    parents = {name: Parent(tmp_path / name, version) for name in ("memory", "pids", "cpu")}
    for parent in parents.values():
        parent.path.mkdir()
    bounds = Bounds(memory_bytes=1 << 28, pids=99, cpus=0.25, cpu_shares=1024)
    groups = Groups.plan("drupe-x", bounds, parents)
    assert Groups.at(groups.paths).paths == groups.paths
    groups.make(bounds)
    groups.join(1234)
    read = {
        name: groups.read(*name.split("/")) for name in ("memory/cgroup.procs", "pids/pids.max")
    }
    assert read == {"memory/cgroup.procs": "1234", "pids/pids.max": "99"}
    if version == 1:
        assert groups.read("memory", "memory.limit_in_bytes") == str(1 << 28)
        assert groups.read("cpu", "cpu.cfs_quota_us") == "25000"
        assert groups.read("cpu", "cpu.shares") == "1024"
    else:
        assert groups.read("memory", "memory.max") == str(1 << 28)
        assert groups.read("cpu", "cpu.max") == "25000 100000"
        assert groups.read("cpu", "cpu.weight") == "39"
    groups.set(Bounds(memory_bytes=1 << 28, pids=99))
    lifted = {1: ("cpu.cfs_quota_us", "-1"), 2: ("cpu.max", "max 100000")}
    assert groups.read("cpu", lifted[version][0]) == lifted[version][1]


@given(st.integers(2, 262_144))
def test_weights_are_within_their_bounds(shares: int) -> None:
    weight = dict(settings(Bounds(cpu_shares=shares), 2)["cpu"])["cpu.weight"]
    assert 1 <= int(weight) <= 10_000


def test_groups_that_cannot_be_made_are_told(tmp_path: Path) -> None:
    bounds = Bounds(pids=1)
    groups = Groups.plan("drupe-x", bounds, {"pids": Parent(tmp_path / "gone", 2)})
    with pytest.raises(HostError, match=r"failed to make control group '.*/gone/drupe-x': No such"):
        groups.make(bounds)
    groups.remove()


def test_removing_takes_them_away_and_may_be_repeated(tmp_path: Path) -> None:
    groups = Groups({"pids": Parent(tmp_path / "a", 2)})
    (tmp_path / "a").mkdir()
    groups.remove()
    groups.remove()
    assert not (tmp_path / "a").exists()


def test_a_share_of_the_processors_needs_a_group() -> None:
    check_granted(Limits(pids=5, cpuset=(0,)), Groups({}))
    check_granted(Limits(cpus=0.5), Groups({"cpu": Parent(Path("/x"), 2)}))
    with pytest.raises(HostError, match=r"failed to use --cpus 0\.5: no control group") as caught:
        check_granted(Limits(cpus=0.5), Groups({}))
    assert caught.value.hint is not None
    assert "Delegate=yes" in caught.value.hint


def test_the_hosts_bounds_leave_room_for_the_kernel_itself() -> None:
    bounds = host_bounds(512 << 20, Limits(pids=10))
    assert bounds.memory_bytes == (512 + 256 + 64) << 20
    assert bounds.pids == 10 + 1024
    assert host_bounds(512 << 20, Limits()).pids == 4096 + 1024


def test_limits_are_what_they_say() -> None:
    assert parse_cpus("0.5") == 0.5
    assert parse_cpus("0") == 0  # no limit
    assert parse_cpuset(f"{MINE[0]}-{MINE[0]},{MINE[-1]}") == tuple(sorted({MINE[0], MINE[-1]}))
    assert (check_pids(-1), check_pids(0), check_pids(7)) == (0, 0, 7)
    assert (check_cpu_shares(0), check_cpu_shares(2)) == (0, 2)


@pytest.mark.parametrize(
    ("parse", "wrong", "message"),
    [
        (parse_cpus, "0.001", "failed to use cpus '0.001': not a share of processors"),
        (parse_cpus, "nan", "failed to use cpus 'nan'"),
        (parse_cpus, "9999", "failed to use cpus '9999'"),
        (parse_cpus, "half", "failed to use cpus 'half'"),
        (parse_cpuset, "a", "failed to use processors 'a': not a list"),
        (parse_cpuset, "0-", "failed to use processors '0-': not a list"),
        (parse_cpuset, "9999", "failed to use processors '9999': 9999 is not one of yours"),
        (lambda text: check_cpu_shares(int(text)), "1", "failed to use cpu shares 1"),
        (lambda text: check_pids(int(text)), "5000000", "failed to use pids limit 5000000"),
    ],
)
def test_what_is_wrong_is_refused(parse: Callable[[str], object], wrong: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(wrong)
    assert message in str(caught.value)
