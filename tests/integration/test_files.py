"""Files of real containers: cp, diff, export, commit."""

from __future__ import annotations

import io
import json
import tarfile
import time
from pathlib import Path

from tests.integration.conftest import Cli
from tests.unit.test_guest_files import archive, member


def test_files_go_in_and_out(cli: Cli, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub/file").write_text("content")
    (tree / "big").write_bytes(bytes(range(256)) * 40_000)
    (tree / "link").symlink_to("sub/file")
    (tree / ("n" * 255)).write_text("long")
    cli("run", "-d", "--name", "f", "busybox", "sleep", "1000")
    cli("cp", str(tree), "f:/srv")
    assert cli.out("exec", "f", "cat", "/srv/link") == "content"
    assert cli.out("exec", "f", "stat", "-c", "%u:%g", "/srv/sub") == "0:0"
    cli("cp", "f:/srv/.", str(tmp_path / "back"))
    for name in ("sub/file", "big", "n" * 255):
        assert (tmp_path / "back" / name).read_bytes() == (tree / name).read_bytes()
    assert (tmp_path / "back/link").readlink() == Path("sub/file")
    told = cli("cp", "f:/dev", str(tmp_path / "dev")).stderr
    assert b"left out" in told
    assert not any(path.is_char_device() for path in (tmp_path / "dev").rglob("*"))
    stream = cli("cp", "f:/etc", "-").stdout
    cli("cp", "-", "f:/mnt", input_bytes=stream)
    assert cli.out("exec", "f", "ls", "/mnt") == "etc"
    assert b"'f:/none': No such file" in cli("cp", "f:/none", ".", status=125).stderr
    assert b"both are in containers" in cli("cp", "f:/a", "f:/b", status=125).stderr
    assert b"neither is in a container" in cli("cp", "./a", "./b", status=125).stderr
    cli("rm", "-f", "f")


def test_what_was_changed_becomes_an_image(cli: Cli, tmp_path: Path) -> None:
    changes = "echo new >/root/f; rm /etc/group; mkdir -m 1750 /srv; ln /root/f /root/g"
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "secret").write_text("not part of it")
    cli("run", "-d", "--name", "c", "-v", f"{shared}:/data", "busybox", "sleep", "1000")
    cli("exec", "c", "sh", "-c", changes)
    told = json.loads(cli.out("diff", "--format", "json", "c"))
    assert {(change["kind"], change["path"]) for change in told} == {
        ("C", "/etc"), ("D", "/etc/group"), ("C", "/root"), ("A", "/root/f"), ("A", "/root/g"),
        ("A", "/srv"),
    }  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(cli("export", "c").stdout)) as tar:
        found = {info.name: info for info in tar}
    assert {"bin/busybox", "root/f", "proc", "data"} <= set(found)
    assert {"etc/group", "data/secret", "proc/1", "dev/null"}.isdisjoint(found)
    image = cli.out("commit", "-m", "a note", "-c", "ENV FRUIT=plum", "c", "mine:1")
    cli("rm", "-f", "c")
    script = (
        "cat /root/g; test -e /etc/group || echo gone; stat -c %a /srv; echo $FRUIT; ls -d /data"
    )
    out = cli.out("run", "--rm", image[:12], "sh", "-c", f"{script} || echo none")
    assert out.splitlines() == ["new", "gone", "1750", "plum", "none"]
    assert cli.out("run", "--rm", "mine:1", "cat", "/root/f") == "new"


def test_a_container_that_does_not_run_is_visited(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("from outside")
    cli("create", "--name", "v", "busybox", "cat", "/root/in")
    cli("cp", str(tmp_path / "in"), "v:/root/in")
    assert cli.out("ps", "-a", "--format", "{{.State}}") == "created"
    assert cli.out("start", "-a", "v") == "from outside"
    assert cli.out("diff", "v") == "C /root\nA /root/in"
    cli("cp", "v:/root/in", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "from outside"
    assert cli.out("ps", "-a", "--format", "{{.State}}") == "exited"
    cli("commit", "v", "visited")
    state = Path(cli.env["XDG_STATE_HOME"], "drupe/containers")
    assert list(state.glob("*/visit.*")) == []
    assert cli.out("run", "--rm", "visited") == "from outside"
    cli("rm", "v")


def test_a_visit_ends_with_its_visitor(cli: Cli) -> None:
    cli("create", "--name", "v", "busybox", "true")
    visitor = cli.start("cp", "-", "v:/root")
    assert visitor.stdin is not None
    with visitor:
        visitor.stdin.write(archive((member("f"), b"x" * 100_000))[:60_000])
        visitor.stdin.flush()
        time.sleep(1.0)
        visitor.kill()
    deadline = time.monotonic() + 10
    while cli("start", "-a", "v", status=None).returncode and time.monotonic() < deadline:
        time.sleep(0.1)
    assert cli.out("ps", "-a", "--format", "{{.Status}}").startswith("Exited (0)")
    cli("rm", "v")


def test_what_is_in_memory_has_gone(cli: Cli) -> None:
    cli("run", "--name", "m", "--storage-opt", "layer=memory", "busybox", "true")
    assert b"what it writes is in memory" in cli("diff", "m", status=125).stderr
    cli("rm", "m")


def test_a_container_that_runs_a_directory_is_no_image(cli: Cli, tmp_path: Path) -> None:
    cli("run", "-d", "--name", "d", "--rootfs", "/", "--", "sleep", "1000")
    assert b"it runs a directory" in cli("commit", "d", "x", status=125).stderr
    cli("rm", "-f", "d")
