"""``drupe-runtime`` below its verbs: command lines, layouts, groups, processes. No kernel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drupe.errors import SpecError
from drupe.oci.bundle import BundleConfig, read_bundle
from drupe.platform.registry import find_platform
from drupe.runtime.groups import bounds_of, plan_groups
from drupe.runtime.guest import guest_process
from drupe.runtime.layout import Layout, lay_out
from drupe.runtime.options import Option, parse, switch
from drupe.runtime.words import parse_signal

OPTIONS = (Option("bundle", "b"), switch("detach", "d"), Option("env", "e"))


def test_options_as_runc_takes_them() -> None:
    given = parse(["-b", "x", "--detach", "-e=A=b", "--env", "C", "id", "-d"], OPTIONS)
    assert given.text("bundle") == "x"
    assert given.flag("detach")
    assert given.texts("env") == ["A=b", "C"]
    assert given.rest == ["id", "-d"]
    assert not parse(["--detach=false"], OPTIONS).flag("detach")
    assert parse(["--", "-d"], OPTIONS).rest == ["-d"]


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["--moon"], "flag provided but not defined: -moon"),
        (["--bundle"], "flag needs an argument: -bundle"),
        (["--detach=2"], 'invalid boolean value "2"'),
    ],
)
def test_options_that_cannot_be(words: list[str], cause: str) -> None:
    with pytest.raises(SpecError, match=cause):
        parse(words, OPTIONS)


@pytest.mark.parametrize(
    ("text", "number"), [("9", 9), ("KILL", 9), ("SIGterm", 15), ("64", 64), ("usr1", 10)]
)
def test_signals(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "MOON", "SIG", "²"])
def test_no_signals(text: str) -> None:
    with pytest.raises(SpecError, match="unknown signal"):
        parse_signal(text)


def bundle(tmp_path: Path, *mounts: dict[str, Any], **linux: Any) -> BundleConfig:
    (tmp_path / "rootfs").mkdir(exist_ok=True)
    value = {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {"args": ["true"], "cwd": "/", "capabilities": {"permitted": ["CAP_KILL"]}},
        "mounts": list(mounts),
        "linux": linux,
    }
    return read_bundle(json.dumps(value).encode(), "config.json")


def laid_out(tmp_path: Path, *mounts: dict[str, Any], **linux: Any) -> Layout:
    return lay_out(bundle(tmp_path, *mounts, **linux), tmp_path, find_platform("um"))


def test_mounts_become_shares_and_the_guests_own(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = laid_out(
        tmp_path,
        {"destination": "/proc", "type": "proc"},
        {"destination": "/dev/shm", "type": "tmpfs", "options": ["size=3m"]},
        {
            "destination": "/t",
            "type": "tmpfs",
            "options": ["nosuid", "nodev", "size=1m", "noatime"],
        },
        {"destination": "/f", "type": "bind", "source": "file", "options": ["bind", "ro", "rw"]},
        {"destination": "/n", "type": "bind", "source": "/dev/null", "options": ["bind"]},
        {"destination": "/sys", "type": "sysfs", "options": ["ro"]},
        maskedPaths=["/proc/kcore"],
    )
    assert [(share.source.name, share.readonly, share.file) for share in found.shares] == [
        ("rootfs", False, False),
        ("file", False, True),
    ]
    assert [mount.target for mount in found.mounts] == ["/", "/t", "/f", "/sys", "/proc/kcore"]
    _, memory, file, system, hidden = found.mounts
    assert (memory.options, memory.guarded) == ("size=1m", True)
    assert (file.file, file.readonly) == (True, False)
    assert (system.frozen, hidden.masked) == (True, True)
    assert found.shm_bytes == 3 << 20


@pytest.mark.parametrize(
    ("mount", "cause"),
    [
        ({"destination": "/", "type": "tmpfs"}, "a mount at '/'"),
        ({"destination": "/a", "type": "ext4", "source": "/dev/sda"}, "no file system 'ext4'"),
        ({"destination": "/a", "type": "bind", "source": "missing"}, "No such file"),
        ({"destination": "/a", "type": "bind", "source": "/proc"}, "belongs to the host's kernel"),
        ({"destination": "/a", "type": "tmpfs", "options": ["idmap"]}, "no option 'idmap'"),
        ({"destination": "/dev/shm", "type": "tmpfs", "options": ["size=x"]}, "size 'x'"),
    ],
)
def test_mounts_that_cannot_be(tmp_path: Path, mount: dict[str, Any], cause: str) -> None:
    with pytest.raises(SpecError, match=cause):
        laid_out(tmp_path, mount)


def test_a_process_in_the_guests_words(tmp_path: Path) -> None:
    found = guest_process(bundle(tmp_path).process)
    assert found.user == "0:0"
    assert found.capability_sets == (0, 0, 1 << 5, 0, 0)
    assert found.terminal is None


def test_groups_of_systemd() -> None:
    planned = plan_groups("a-b.slice:drupe:one", systemd=True)
    assert all(path.endswith("/a.slice/a-b.slice/drupe-one.scope") for path in planned.values())
    assert plan_groups("", systemd=True) == {}
    for path, systemd in (("/a/b", True), ("a:b", True), ("/a/../b", False)):
        with pytest.raises(SpecError, match="cgroupsPath"):
            plan_groups(path, systemd=systemd)


def test_bounds(tmp_path: Path) -> None:
    resources = bundle(
        tmp_path, resources={"cpu": {"quota": 50_000, "shares": 1}, "pids": {"limit": -1}}
    ).linux.resources
    found = bounds_of(resources, 64 << 20)
    assert (found.cpus, found.cpu_shares) == (0.5, 2)
    assert found.memory_bytes > 64 << 20
