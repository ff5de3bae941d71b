"""Disks that are full, commands that cross: nothing is broken or lost."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Home
from tests.consistency import broken, leftovers
from tests.integration.conftest import Cli


@pytest.fixture(autouse=True)
def one_platform(platform: str) -> None:
    """What is on disk is the same on all."""
    if platform != "um":
        pytest.skip("one platform does: what is on disk is the same on all")


@pytest.fixture
def archive(cli: Cli, tmp_path: Path) -> Path:
    """An image of a few MiB that is not in the store, as an archive."""
    path = tmp_path / "image.tar"
    write = "head -c 6000000 /dev/urandom >/fill; for i in $(seq 200); do echo $i >/f$i; done"
    start_and_wait(cli, "made", write)
    cli("commit", "made", "filled")
    cli("save", "-o", str(path), "filled")
    cli("rm", "-f", "made")
    cli("rmi", "filled")
    return path


def start_and_wait(cli: Cli, name: str, script: str) -> None:
    """A container in the background whose script has run."""
    cli("run", "-d", "--name", name, "busybox", "sh", "-c", f"{script}; echo done; sleep 1000")
    deadline = time.monotonic() + 20
    while cli.out("logs", name) != "done":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def tidy(cli: Cli, home: Home) -> None:
    """What the next commands clear away is gone, and all that is there is whole."""
    assert broken(home) == []
    for found in json.loads(cli.out("ps", "-a", "--format", "json")):
        cli("rm", "-f", found["id"], status=None)
    cli("image", "prune")
    assert broken(home) == []
    assert leftovers(home) == []


def test_what_is_broken_is_seen(cli: Cli, private_home: Home, archive: Path) -> None:
    """The check itself: it knows a home that is as it should be, and sees what is not."""
    cli("load", "-i", str(archive))
    cli("create", "--name", "c", "filled", "true")
    assert broken(private_home) == leftovers(private_home) == []
    (record,) = (private_home.state / "containers").iterdir()
    strange = [record / "strange", private_home.state / "s", private_home.data / "images/blobs/x"]
    for path in strange:
        path.touch()
    (private_home.state / "names/other").symlink_to(f"../containers/{record.name}")
    assert [line.partition(": ")[2] for line in leftovers(private_home)] == [
        "nobody knows what it is for",
        "nobody knows what it is for",
        "the container has another name",
        "no image needs it",
    ]
    (private_home.state / "names/other").unlink()
    for path in strange:
        path.unlink()
    (private_home.state / "names/c").unlink()
    blob, *_ = (private_home.data / "images/blobs").iterdir()
    blob.chmod(0o600)
    content = blob.read_bytes()
    blob.write_bytes(content[:-1] + b"?")
    told = "\n".join(broken(private_home))
    assert "container c: its name does not lead to it" in told
    assert f"blob {blob.name[:12]} has another content" in told
    blob.write_bytes(content)
    (private_home.state / "names/c").symlink_to(f"../containers/{record.name}")
    cli("rm", "c")
    tidy(cli, private_home)


@pytest.fixture
def small_disk(private_home: Home) -> Iterator[Path]:
    """The data home on a file system of 8 MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    data = private_home.data.parent
    data.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(data)]
    subprocess.run(mount, check=True)
    yield data
    subprocess.run(["umount", str(data)], check=True)


def test_a_full_disk_stops_load(
    small_disk: Path, cli: Cli, private_home: Home, tmp_path: Path
) -> None:
    cli("run", "--rm", "busybox", "true")
    archive = tmp_path / "big.tar"
    with archive.open("wb") as file:
        content = ["tar", "-c", "-C", str(tmp_path), "big"]
        (tmp_path / "big").write_bytes(os.urandom(10_000_000))
        subprocess.run(content, stdout=file, check=True)
    refused = cli("import", str(archive), "big", status=125).stderr
    assert b"No space left on device" in refused
    assert b"hint" in refused or b"prune" in refused, "it tells the way out"
    assert broken(private_home) == []
    assert leftovers(private_home) == []
    assert cli.out("run", "--rm", "busybox", "echo", "goes on") == "goes on"


def test_a_full_disk_stops_commit(small_disk: Path, cli: Cli, private_home: Home) -> None:
    start_and_wait(cli, "big", "head -c 12000000 /dev/urandom >/fill")
    refused = cli("commit", "big", "big", status=125).stderr
    assert b"No space left on device" in refused
    assert cli.out("exec", "big", "echo", "alive") == "alive"
    cli("rm", "-f", "big")
    tidy(cli, private_home)


def test_a_full_disk_stops_run(cli: Cli, private_home: Home) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    cli("run", "--rm", "busybox", "true")
    state = private_home.state.parent
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(state)]
    subprocess.run(mount, check=True)
    try:
        made = 0
        while made < 40:
            done = cli("create", "--name", f"c{made}", "busybox", "true", status=None)
            if done.returncode:
                break
            made += 1
        assert done.returncode == 125
        assert b"No space left on device" in done.stderr
        assert 0 < made < 40
        assert broken(private_home) == []
        assert leftovers(private_home) == []
        cli("rm", "c0")
        tidy(cli, private_home)
    finally:
        subprocess.run(["umount", str(state)], check=True)


def test_several_remove_while_one_runs(cli: Cli, private_home: Home) -> None:
    for _ in range(3):
        cli("run", "-d", "--name", "x", "busybox", "sleep", "1000")
        crossing = [cli.start("rm", "-f", "x") for _ in range(2)]
        crossing.append(cli.start("run", "-d", "--name", "x", "busybox", "sleep", "1000"))
        for process in crossing:
            process.communicate(timeout=60)
        first, second, run = (process.returncode for process in crossing)
        assert 0 in {first, second}
        assert run in {0, 125}
        assert broken(private_home) == []
        names = json.loads(cli.out("ps", "-a", "--format", "json"))
        assert len(names) <= 1
        tidy(cli, private_home)


def test_load_run_and_rmi_cross(cli: Cli, private_home: Home, archive: Path) -> None:
    load = ("load", "-i", str(archive))
    cli(*load)
    for _ in range(2):
        crossing = [cli.start(*load), cli.start("rmi", "-f", "filled"), cli.start(*load)]
        crossing.append(cli.start("run", "--rm", "filled", "cat", "/f9"))
        said = [process.communicate(timeout=60) for process in crossing]
        codes = [process.returncode for process in crossing]
        assert codes[0] == codes[2] == 0, said
        assert codes[1] in {0, 125}
        assert codes[3] in {0, 125}
        assert broken(private_home) == []
        cli(*load)
        assert cli.out("run", "--rm", "filled", "cat", "/f9") == "9"
    cli("rmi", "-f", "filled")
    tidy(cli, private_home)
