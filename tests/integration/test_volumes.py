"""Named and anonymous volumes, single files, and both notations."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Cli


@pytest.fixture
def image(cli: Cli) -> Iterator[str]:
    """An image with two volumes, of which one has something."""
    cli("run", "--name", "c", "busybox", "sh", "-c",
        "mkdir -p /data/in; echo 1 >/data/f; chown -R 7:8 /data; chmod 2750 /data")  # fmt: skip
    cli("commit", "-c", "VOLUME /data /new", "c", "with-volumes:1")
    cli("rm", "c")
    yield "with-volumes:1"
    cli("rmi", "with-volumes:1")


def names(cli: Cli) -> list[str]:
    return cli.out("volume", "ls", "--format", "{{.Name}}").split()


def test_a_named_volume_outlives_its_containers(cli: Cli) -> None:
    run = ("run", "--rm", "-v", "data:/v", "busybox", "sh", "-c")
    cli(*run, "echo kept >/v/f; chown 999:999 /v/f")
    assert cli.out(*run, "cat /v/f; stat -c %u:%g /v/f") == "kept\n999:999"
    (told,) = json.loads(cli.out("volume", "inspect", "data"))
    assert (Path(told["mountpoint"]) / "f").read_text() == "kept\n"
    cli("create", "--name", "user", "-v", "data:/v", "busybox", "true")
    refused = cli("volume", "rm", "data", status=125)
    assert b"failed to remove volume 'data': container 'user' has it" in refused.stderr
    cli("rm", "user")
    cli("volume", "rm", "data")
    assert b"no such volume" in cli("volume", "rm", "data", status=125).stderr
    assert names(cli) == []


def test_the_first_use_copies_what_the_image_has(cli: Cli) -> None:
    listing = "cd /bin; ls | wc -l; stat -c '%u %a' busybox; readlink sh"
    wanted = cli.out("run", "--rm", "busybox", "sh", "-c", listing)
    run = ("run", "--rm", "-v", "programs:/bin", "busybox", "sh", "-c")
    assert cli.out(*run, listing) == wanted
    cli(*run, "rm /bin/true")
    assert cli.out(*run, "ls /bin/true 2>&1; echo done").endswith("done")
    assert "No such file" in cli.out(*run, "ls /bin/true 2>&1; echo done")
    cli("volume", "rm", "programs")
    nocopy = cli("run", "--rm", "-v", "programs:/bin:nocopy", "busybox", "true", status=127)
    assert b"true" in nocopy.stderr
    cli("volume", "rm", "programs")


def test_a_first_use_that_was_cut_off_is_made_good(cli: Cli) -> None:
    count = "ls /bin | wc -l; cmp /bin/busybox /proc/self/exe && readlink /bin/sh"
    wanted = cli.out("run", "--rm", "busybox", "sh", "-c", count)
    cli("volume", "create", "programs")
    place = Path(json.loads(cli.out("volume", "inspect", "programs"))[0]["mountpoint"])
    (place / "busybox").write_bytes(b"half")
    (place / "ls").symlink_to("busybox")
    os.setxattr(place, "user.drupe.unfinished", b"")
    run = ("-v", "programs:/bin", "busybox", "sh", "-c", count)
    # Whoever comes second waits for the first.
    both = [cli.start("run", "--rm", *run) for _ in range(2)]
    assert [one.communicate()[0].decode().rstrip() for one in both] == [wanted] * 2
    assert os.listxattr(place) == []
    cli("volume", "rm", "programs")


def test_anonymous_volumes_go_with_their_container_if_asked(cli: Cli) -> None:
    cli("run", "--rm", "-v", "/v", "busybox", "touch", "/v/f")
    assert names(cli) == []
    for options in ((), ("-v",)):
        cli("create", "--name", "one", "-v", "/v", "busybox", "true")
        assert len(names(cli)) == 1
        cli("rm", *options, "one")
        assert len(names(cli)) == (0 if options else 1)
        cli("volume", "create", "named")
        cli("volume", "prune", "-f")
        assert names(cli) == ["named"]
        cli("volume", "prune", "-a", "-f")
        assert names(cli) == []


def test_an_image_has_volumes(cli: Cli, image: str) -> None:
    script = "stat -c '%u:%g %a' /data /data/in; cat /data/f; echo 2 >/data/f; echo new >>/new/f"
    cli("create", "--name", "c", image, "sh", "-c", script)
    assert len(names(cli)) == 2
    for content in "12":
        assert cli.out("start", "-a", "c").split() == ["7:8", "2750", "7:8", "755", content]
    told = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", "c"))
    volumes = {volume["target"]: volume for volume in told["volumes"]}
    assert {volume["name"] for volume in volumes.values()} == set(cli.out("volume", "ls", "-q",
        "--no-trunc").split())  # fmt: skip
    assert (Path(volumes["/new"]["source"]) / "f").read_text() == "new\nnew\n"
    # They are no part of what the container has changed.
    assert "/data" not in cli.out("diff", "c")
    lent = ("--volumes-from", "c:ro", "-v", "mine:/data")
    script = "cat /new/f /data/f; touch /data/g; touch /new/g"
    done = cli("run", "--rm", *lent, image, "sh", "-c", script, status=1)
    assert done.stdout.split() == [b"new", b"new", b"1"]
    assert b"/new/g: Read-only file system" in done.stderr
    cli("rm", "-v", "c")
    assert names(cli) == ["mine"]
    cli("volume", "rm", "mine")


def test_an_images_volumes_are_taken_by_others_and_writable(cli: Cli, image: str) -> None:
    script = "touch /x; touch /new/f /data/f && ls /data /new; mount | grep -c hostshare"
    other = ("--read-only", "--tmpfs", "/data")
    done = cli("run", "--rm", *other, image, "sh", "-c", script)
    assert done.stdout.split() == [b"/data:", b"f", b"/new:", b"f", b"1"]
    assert b"/x: Read-only file system" in done.stderr
    assert names(cli) == []
    # One that cannot be started leaves none behind.
    assert cli("run", image, "/none", status=127).stderr
    assert cli("create", "--stop-signal", "none", image, "true", status=125).stderr
    assert names(cli) == []
    assert cli("ps", "-aq").stdout == b""


def test_volumes_have_labels_and_a_row(cli: Cli) -> None:
    cli("volume", "create", "--label", "a=b", "one")
    cli("volume", "create", "two")
    assert cli.out("volume", "ls", "-q", "-f", "label=a=b") == "one"
    (row,) = json.loads(cli.out("system", "df", "-f", "type=volumes", "--format", "json"))
    assert [item["name"] for item in row["items"]] == ["one", "two"]
    cli("volume", "rm", "one", "two")


def test_a_single_file_is_shared(cli: Cli, tmp_path: Path) -> None:
    file, beside = tmp_path / "file.conf", tmp_path / "beside"
    file.write_text("before\n")
    beside.write_text("secret\n")
    script = (
        "cat /etc/app/app.conf; echo after >>/etc/app/app.conf; ls /etc/app; echo x >/new.conf; "
        "ls -la /files /shares 2>&1 | grep -c secret"
    )
    volumes = ("-v", f"{file}:/etc/app/app.conf", "-v", f"{beside}:/new.conf:ro")
    done = cli("run", "--rm", *volumes, "busybox", "sh", "-c", script, status=None)
    assert done.stdout.split() == [b"before", b"app.conf", b"0"]
    assert b"Read-only file system" in done.stderr
    assert file.read_text() == "before\nafter\n"
    # The directory that it lies in, alone, takes nothing else.
    script = (
        "mount -t hostshare 0 /mnt 2>/dev/null || { mkdir -p /mnt; mount -t hostshare 0 /mnt; }; "
        "ls /mnt; touch /mnt/new"
    )
    done = cli("run", "--rm", *volumes, "busybox", "sh", "-c", script, status=1)
    assert done.stdout == b"file\n"
    assert b"Read-only file system" in done.stderr


def test_mounts_are_nested_and_have_options(cli: Cli, tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    outer.mkdir()
    inner.mkdir()
    (inner / "program").write_text("#!/bin/sh\necho ran\n")
    (inner / "program").chmod(0o755)
    mounts = (
        "--mount", f"type=bind,src={inner},dst=/o/i,ro", "--mount", f"type=bind,src={outer},dst=/o",
        "--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700", "-v", f"{inner}:/n:noexec",
    )  # fmt: skip
    script = "/o/i/program; /n/program; stat -c %a /t; df /t | tail -1; touch /o/made; touch /o/i/x"
    done = cli("run", "--rm", *mounts, "busybox", "sh", "-c", script, status=1)
    lines = done.stdout.decode().splitlines()
    assert lines[:2] == ["ran", "700"]
    assert lines[2].split()[1] == "1024"
    assert b"Permission denied" in done.stderr
    assert b"Read-only file system" in done.stderr
    assert sorted(os.listdir(outer)) == ["i", "made"]  # noqa: PTH208
