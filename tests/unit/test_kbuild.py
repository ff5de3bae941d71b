"""Build keys, the store of kernels, the initramfs."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from drupe.cli import kernel as cli
from drupe.errors import NotFoundError, SpecError, StateError
from drupe.kbuild import assets, cpio, initramfs, kernels, toolchain
from drupe.kbuild.build import Inputs, Request, build_key
from drupe.kbuild.build import build as build_kernel
from drupe.kbuild.kernels import Kernel, find_kernel, list_kernels, remove_kernel, select

INPUTS = Inputs(platform="um", overlay="o", config="CONFIG_A=y\n", compiler="gcc 12")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "system"))
    return tmp_path


def stored(base: Path, kernel_id: str, profile: str = "general", at: float = 1.0) -> Kernel:
    directory = base / "drupe/kernels" / kernel_id
    directory.mkdir(parents=True)
    (directory / "linux").write_bytes(b"\x7fELF")
    (directory / "config").write_text("CONFIG_A=y\n")
    kernel = Kernel(
        kernel_id, profile, "um", "7.3.4", directory / "linux", directory / "config", built_at=at
    )
    (directory / "kernel.json").write_text(json.dumps(kernel.describe()))
    return kernel


def test_the_key_sees_every_input() -> None:
    changed = [
        replace(INPUTS, platform="vm"),
        replace(INPUTS, overlay="p"),
        replace(INPUTS, config="CONFIG_A=n\n"),
        replace(INPUTS, compiler="gcc 13"),
        replace(INPUTS, recipe=INPUTS.recipe + 1),
    ]
    keys = {build_key(inputs, "debian 7.3.4-1") for inputs in [INPUTS, *changed]}
    keys.add(build_key(INPUTS, "debian 7.3.4-2"))
    assert len(keys) == 7
    assert build_key(INPUTS, "debian 7.3.4-1") in keys


def test_an_unknown_platform_is_refused() -> None:
    with pytest.raises(SpecError, match="unknown platform"):
        build_kernel(Request("toy", "abacus", {}))


def test_kernels_are_listed_newest_first(data: Path) -> None:
    stored(data / "data", "a" * 16, at=1)
    stored(data / "system", "b" * 16, at=2)
    stored(data / "system", "a" * 16, at=3)
    found = list_kernels()
    assert [kernel.id for kernel in found] == ["b" * 16, "a" * 16]
    assert found[1].linux.is_relative_to(data / "data")


def test_half_a_kernel_is_none(data: Path) -> None:
    kernel = stored(data / "data", "a" * 16)
    kernel.linux.unlink()
    stored(data / "data", "b" * 16)
    (data / "data/drupe/kernels" / ("b" * 16) / "kernel.json").write_text("{")
    assert list_kernels() == []


def test_a_kernel_is_found_by_profile_id_and_path(data: Path) -> None:
    kernel = stored(data / "data", "abcd" * 4)
    select(kernel, "general")
    for name in ("general", "abcd", "abcd" * 4, str(kernel.linux), str(kernel.linux.parent)):
        assert find_kernel(name) == kernel
    with pytest.raises(NotFoundError, match="failed to find kernel 'abc'") as caught:
        find_kernel("abc")
    assert caught.value.hint == "build a profile's: drupe kernel build --profile abc"
    with pytest.raises(NotFoundError, match="no such file"):
        find_kernel("./no/linux")


def test_a_kernel_installed_for_all_serves_this_user(data: Path) -> None:
    kernel = stored(data / "system", "a" * 16)
    links = data / "system/drupe/kernels/profiles"
    links.mkdir()
    (links / "general").symlink_to(f"../{'a' * 16}")
    assert find_kernel("general") == kernel
    with pytest.raises(StateError, match="failed to remove kernel 'general'"):
        remove_kernel("general")


def test_a_plain_program_is_a_kernel(tmp_path: Path) -> None:
    program = tmp_path / "vmlinux"
    program.write_bytes(b"\x7fELF")
    assert find_kernel(str(program)) == Kernel("", "", "um", "", program, size_bytes=4)


def test_an_ambiguous_id_is_refused(data: Path) -> None:
    stored(data / "data", "abcd" + "0" * 12)
    stored(data / "data", "abcd" + "1" * 12)
    with pytest.raises(SpecError, match="several ids begin so"):
        find_kernel("abcd")


def test_a_removed_kernel_is_gone_with_its_name(data: Path) -> None:
    kernel = stored(data / "data", "a" * 16)
    select(kernel, "general")
    select(kernel, "other")
    assert remove_kernel("general") == kernel
    assert list((data / "data/drupe/kernels").rglob("*")) == [data / "data/drupe/kernels/profiles"]


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.main(parser.parse_args(words))


def test_the_command_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kernel = stored(data / "data", "a" * 16)
    assert run("ls") == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["ID", "PROFILE", "PLATFORM", "VERSION", "SIZE", "BUILT"]
    assert row.split()[:6] == [kernel.id, "general", "um", "7.3.4", "0.0", "MB"]
    run("ls", "--format", "json")
    assert json.loads(capsys.readouterr().out)[0]["id"] == kernel.id
    run("show", "aaaa", "--config")
    assert capsys.readouterr().out == "CONFIG_A=y\n"
    run("show", "aaaa")
    assert json.loads(capsys.readouterr().out)["linux"] == str(kernel.linux)
    run("rm", "aaaa")
    assert capsys.readouterr().out == f"{kernel.id}\n"
    run("ls", "-q")
    assert capsys.readouterr().out == ""


def test_cpio_reads_what_is_packed(tmp_path: Path) -> None:
    if shutil.which("cpio") is None:
        pytest.skip("cpio is not installed")
    packed = initramfs.pack(b"\x7fELF program" * 100)
    listing = subprocess.run(
        ["cpio", "-tvn", "--quiet"], input=packed, capture_output=True, check=True
    ).stdout.decode()
    rows = {line.split()[-1]: line.split() for line in listing.splitlines()}
    assert set(rows) == {
        "dev",
        "proc",
        "sys",
        "newroot",
        "lower",
        "layer",
        "dev/console",
        "init",
    }
    assert rows["dev/console"][0] == "crw-------"
    assert rows["dev/console"][4:6] == ["5,", "1"]
    assert rows["init"][0] == "-rwxr-xr-x"
    assert rows["init"][4] == "1200"
    subprocess.run(["cpio", "-i", "--quiet", "init"], input=packed, cwd=tmp_path, check=True)
    assert (tmp_path / "init").read_bytes() == b"\x7fELF program" * 100


def test_the_same_entries_give_the_same_archive() -> None:
    assert initramfs.pack(b"x") == initramfs.pack(b"x")
    with pytest.raises(ValueError, match="not a relative path"):
        cpio.archive([cpio.directory("/dev")])


def test_the_guest_key_sees_source_and_compiler(tmp_path: Path) -> None:
    (tmp_path / "init").mkdir()
    (tmp_path / "init/main.c").write_text("one")
    one = initramfs.guest_key([tmp_path], "gcc")
    assert initramfs.guest_key([tmp_path], "musl-gcc") != one
    (tmp_path / "init/main.c").write_text("two")
    assert initramfs.guest_key([tmp_path], "gcc") != one


def test_a_missing_initramfs_is_named(data: Path) -> None:
    with pytest.raises(NotFoundError, match=r"failed to find 'initramfs.cpio'"):
        kernels.find_initramfs()
    current = data / "system/drupe/guests/current"
    current.mkdir(parents=True)
    (current / "initramfs.cpio").write_bytes(b"")
    assert kernels.find_initramfs() == current / "initramfs.cpio"


def test_a_guest_of_another_drupe_is_told(tmp_path: Path) -> None:
    sources = (assets.guest_dir(), assets.netpolicy_dir())
    key = initramfs.guest_key(sources, toolchain.guest_compiler()[1])
    assert initramfs.is_current(tmp_path / key[:16] / "initramfs.cpio")
    assert not initramfs.is_current(tmp_path / key[16:32] / "initramfs.cpio")
