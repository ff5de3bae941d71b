"""Where a container's writes go: what the user may say, and the layer's file."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.container import layer
from drupe.container.binding import Volume
from drupe.container.machine import guest_mounts
from drupe.container.storage import DISK, MEMORY, Storage, Tmpfs, parse_storage, parse_tmpfs
from drupe.errors import HostError, SpecError
from drupe.store.usage import taken_bytes
from tests.conftest import Home
from tests.fakes.platform import FakePlatform
from tests.fakes.specs import make_spec

needs_mke2fs = pytest.mark.skipif(
    shutil.which("mke2fs", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None,
    reason="mke2fs is missing: no layer can be made",
)

# What the user may say


def storage(*options: str, readonly: bool = False) -> Storage:
    return parse_storage(options, readonly=readonly, tmpfs=())


def test_a_layer_is_on_disk_unless_said_otherwise() -> None:
    assert storage() == Storage(DISK)
    assert storage("size=1g") == Storage(DISK, 1 << 30)
    assert storage("size=20000000") == Storage(DISK, 20 << 20)
    assert storage("layer=memory", "size=1g") == Storage(MEMORY)
    assert storage("size=1g", readonly=True) == Storage(MEMORY, readonly=True)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("size=", "failed to use storage size '': not a size"),
        ("size=x", "failed to use storage size 'x': not a size"),
        ("size=1m", "failed to use storage size '1m': 1048576 bytes"),
        ("size=99999999g", "failed to use storage size '99999999g': "),
        ("layer=paper", "failed to use storage option 'layer=paper': no such option"),
        ("dm.basesize=1g", "failed to use storage option 'dm.basesize=1g': no such option"),
    ],
)
def test_what_is_no_storage_option_is_refused(option: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        storage(option)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/run", Tmpfs("/run")),
        ("/run/", Tmpfs("/run")),
        ("//a/./b:", Tmpfs("/a/b")),
        ("/run:rw,noexec,nosuid,size=64k", Tmpfs("/run", "size=64k")),
        ("/run:exec,mode=1770,uid=5", Tmpfs("/run", "mode=1770,uid=5", executable=True)),
        ("/run:ro", Tmpfs("/run", readonly=True)),
    ],
)
def test_a_tmpfs_is_read(text: str, wanted: Tmpfs) -> None:
    assert parse_tmpfs(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run", "failed to use tmpfs 'run': 'run' cannot be a mount point"),
        ("/", "failed to use tmpfs '/': '/' cannot be a mount point"),
        ("/a/../b", "cannot be a mount point"),
        ("/dev/shm", "cannot be a mount point"),
        ("/run:size=x", "failed to use tmpfs '/run:size=x': no option 'size=x'"),
        ("/run:mode=999", "no option 'mode=999'"),
        ("/run:suid", "no option 'suid'"),
    ],
)
def test_what_is_no_tmpfs_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_tmpfs(text)


@given(st.text("/ab.:,=size16kmodexec", max_size=30).map("/".__add__))
def test_a_tmpfs_has_nothing_but_what_is_known(text: str) -> None:
    try:
        one = parse_tmpfs(text)
    except SpecError:
        return
    assert one.target.startswith("/")
    assert ".." not in one.target.split("/")
    names = {option.partition("=")[0] for option in one.options.split(",") if option}
    assert names <= {"size", "mode", "uid", "gid", "nr_inodes"}


def test_two_at_one_place_are_refused() -> None:
    with pytest.raises(SpecError, match="failed to use --tmpfs: two at '/a'"):
        parse_storage((), readonly=False, tmpfs=("/a", "/a/"))


def test_the_layer_follows_the_root_and_mounts_come_from_the_outside_in() -> None:
    spec = make_spec(
        "0" * 64,
        "it",
        volumes=(Volume("/", "/a"), Volume("/", "/a/b/c")),
        storage=Storage(DISK, 1 << 30, readonly=True, tmpfs=(Tmpfs("/a/b", "size=1m"),)),
    )
    root, disk, *rest = guest_mounts(spec, FakePlatform())
    assert (root.target, root.overlay, root.readonly) == ("/", True, True)
    assert (disk.target, disk.layer, disk.source) == ("/", True, "layer")
    assert [mount.target for mount in rest] == ["/a", "/a/b", "/a/b/c"]
    assert (rest[1].kind, rest[1].guarded, rest[1].noexec) == ("tmpfs", True, True)
    assert not guest_mounts(make_spec("0" * 64, "it"), FakePlatform())[-1].layer


# The layer's file


@needs_mke2fs
@pytest.mark.parametrize("size_bytes", [16 << 20, 300 << 20, 10 << 30])
def test_a_layer_is_a_sound_file_system_and_small(
    private_home: Home, tmp_path: Path, size_bytes: int
) -> None:
    for name in ("one", "two"):
        layer.make(tmp_path / name, size_bytes)
    one = tmp_path / "one"
    assert one.stat().st_size == size_bytes
    assert one.stat().st_blocks * 512 < 1 << 20
    assert one.stat().st_mode & 0o777 == 0o600
    checked = subprocess.run(
        ["e2fsck", "-f", "-n", str(one)],
        env={"PATH": "/usr/sbin:/sbin:/usr/bin"},
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
    with pytest.raises(HostError, match=f"failed to make '{one}': File exists"):
        layer.make(one, size_bytes)


@needs_mke2fs
def test_a_disk_that_knows_no_holes_is_not_filled(
    private_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seek = os.lseek

    def all_data(descriptor: int, offset: int, whence: int) -> int:
        return 1 << 30 if whence == os.SEEK_HOLE else seek(descriptor, offset, whence)

    monkeypatch.setattr(os, "lseek", all_data)
    layer.make(tmp_path / "layer", 1 << 30)
    assert taken_bytes(tmp_path / "layer") < 1 << 20
    with (tmp_path / "layer").open("rb") as file:
        assert file.read(1082)[1080:] == b"\x53\xef"  # ext4's magic number


def test_without_mke2fs_the_way_out_is_named(
    private_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise HostError("failed to run 'mke2fs': no such program", hint="install e2fsprogs")

    monkeypatch.setattr("drupe.process.run", missing)
    with pytest.raises(HostError, match="failed to run 'mke2fs': no such program"):
        layer.make(tmp_path / "layer", 1 << 30)
    assert list(tmp_path.glob("layer*")) == []


def test_a_layer_serves_one_machine(tmp_path: Path) -> None:
    path = tmp_path / "layer"
    with pytest.raises(HostError, match=r"failed to open writable layer .*No such file"):
        layer.open_layer(path)
    path.touch()
    first = layer.open_layer(path)
    with pytest.raises(HostError, match="a container kernel still has it"):
        layer.open_layer(path)
    os.close(first)
    os.close(layer.open_layer(path))


@pytest.mark.parametrize(
    ("free", "wanted"),
    [
        (20 << 30, 10 << 30),
        (10 << 30, 10 << 30),
        (5 << 30, 4 << 30),
        (3 << 20, 64 << 20),
        (0, 64 << 20),
    ],
)
def test_the_size_fits_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, wanted: int
) -> None:
    told = os.statvfs(tmp_path)
    parts = list(told)[:10]
    parts[1], parts[4] = 4096, free // 4096  # f_frsize, f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(parts))
    assert layer.choose_size(tmp_path) == wanted


# What is taken of the disk


def test_holes_take_nothing_and_a_file_counts_once(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "deep").mkdir()
    data = tmp_path / "deep/data"
    data.write_bytes(b"x" * 100_000)
    before = taken_bytes(tmp_path)
    assert 100_000 <= before < 200_000
    (tmp_path / "again").hardlink_to(data)
    (tmp_path / "link").symlink_to("/")
    assert taken_bytes(tmp_path) - before < 10_000
    assert taken_bytes(tmp_path / "nothing") == 0
