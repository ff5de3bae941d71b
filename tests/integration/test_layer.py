"""The writable layer: it outlives runs and kills, has a size; or it lies in memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Home
from tests.integration.conftest import Cli


def usage(cli: Cli) -> dict[str, dict[str, Any]]:
    """What ``system df`` tells, by kind."""
    return {one["kind"]: one for one in json.loads(cli.out("system", "df", "--format", "json"))}


def layer_of(home: Home) -> Path:
    (path,) = (home.state / "containers").glob("*/layer")
    return path


def test_what_is_written_is_there_after_a_stop_and_after_a_kill(
    cli: Cli, private_home: Home
) -> None:
    cli("run", "-d", "--name", "c", "busybox", "sleep", "1000")
    cli("exec", "c", "sh", "-c", "echo stopped >/etc/one; rm /bin/vi; mkdir /new")
    cli("stop", "-t", "0", "c")
    cli("start", "c")
    cli("exec", "c", "sh", "-c", "echo killed >/new/two; sync -d /new/two || fsync /new/two")
    told = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", "c"))
    os.kill(told["state"]["pid"], signal.SIGKILL)
    cli("wait", "c")
    cli("start", "c")
    script = "cat /etc/one /new/two; test -e /bin/vi || echo removed; dmesg | grep -c recovery"
    assert cli.out("exec", "c", "sh", "-c", script).split() == ["stopped", "killed", "removed", "1"]
    cli("stop", "-t", "0", "c")
    checked = subprocess.run(
        ["e2fsck", "-f", "-n", str(layer_of(private_home))],
        env={"PATH": "/usr/sbin:/sbin:/usr/bin"},
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
    cli("rm", "c")


def test_a_size_is_the_most_and_what_is_deleted_goes_back(cli: Cli, private_home: Home) -> None:
    cli("create", "--name", "c", "--storage-opt", "size=64m", "busybox", "sleep", "1000")
    cli("start", "c")
    fill = "dd if=/dev/urandom of=/big bs=1M 2>&1; sync; df -m / | tail -1"
    assert "No space left on device" in cli.out("exec", "c", "sh", "-c", fill)
    full = layer_of(private_home).stat()
    assert full.st_size == 64 << 20
    assert full.st_blocks * 512 > 40 << 20
    cli("exec", "c", "sh", "-c", "rm /big; sync")
    cli("stop", "-t", "0", "c")
    assert layer_of(private_home).stat().st_blocks * 512 < 16 << 20
    cli("rm", "c")


def test_a_layer_in_memory_ends_with_its_run(cli: Cli, private_home: Home) -> None:
    script = "test -e /note || echo new; touch /note"
    cli("create", "--name", "c", "--storage-opt", "layer=memory", "busybox", "sh", "-c", script)
    for _ in range(2):
        assert cli.out("start", "-a", "c").split() == ["new"]
    assert not list((private_home.state / "containers").glob("*/layer"))
    cli("rm", "c")


def test_a_read_only_root_and_what_is_in_memory(cli: Cli) -> None:
    script = (
        "touch /x || echo refused; touch /run/x /scratch/a/y && echo written;"
        "cp /bin/busybox /run/sh; /run/sh true || echo no programs;"
        "cp /bin/busybox /scratch/a/true; /scratch/a/true && echo programs;"
        "df -m /run | tail -1 | awk '{print $2}'; stat -c %a /scratch/a"
    )
    options = ("--read-only", "--tmpfs", "/run:size=3m", "--tmpfs", "/scratch/a:exec,mode=700")
    done = cli("run", "--rm", *options, "busybox", "sh", "-c", script)
    assert done.stdout.decode().splitlines() == [
        "refused", "written", "no programs", "programs", "3", "700",
    ]  # fmt: skip
    assert b"Read-only file system" in done.stderr


@pytest.mark.parametrize("memory", ["64m", "512m"])
def test_more_than_the_memory_holds_can_be_written(cli: Cli, memory: str) -> None:
    script = "dd if=/dev/zero of=/big bs=1M count=150 2>/dev/null && wc -c </big"
    assert cli.out("run", "--rm", "-m", memory, "busybox", "sh", "-c", script) == "157286400"


def test_file_capabilities_and_acls_are_kept(cli: Cli) -> None:
    """On the layer as on any Linux: setcap, setfacl, of the host's programs."""
    script = (
        "import os; f='/root/f'; open(f, 'w').close();"
        "os.setxattr(f, 'security.capability', bytes.fromhex('0100000200040000') + bytes(12));"
        "os.setxattr(f, 'user.note', b'x');"
        "print(sorted(os.listxattr(f)))"
    )
    listed = cli.out("run", "--rm", "--rootfs", "/", "python3", "-c", script)
    assert listed == "['security.capability', 'user.note']"


def test_a_full_disk_of_the_host_is_an_error_inside(
    cli: Cli, private_home: Home, tmp_path: Path
) -> None:
    """The guest is told, its file system goes on or becomes read-only, and is sound in the end."""
    if os.geteuid() != 0:
        pytest.skip("a small disk takes a mount, which takes root")
    disk = private_home.state
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", disk], check=True)
    try:
        options = ("--name", "c", "--storage-opt", "size=1g")
        cli("run", "-d", *options, "busybox", "sleep", "1000")
        cli("exec", "c", "sh", "-c", "echo before >/before; sync")
        fill = "dd if=/dev/zero of=/big bs=1M count=60 conv=fsync && echo no error"
        done = cli("exec", "c", "sh", "-c", fill, status=1)
        assert b"error" in done.stderr.lower() or b"No space" in done.stderr
        cli("kill", "c")
        cli("wait", "c")
        filled = layer_of(private_home)
        # Room again, for the journal's recovery: the way out is to make some.
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        cli("start", "c")
        assert cli.out("exec", "c", "cat", "/before") == "before"
        cli("exec", "c", "sh", "-c", "rm -f /big; sync")
        cli("stop", "-t", "0", "c")
        checked = subprocess.run(
            ["e2fsck", "-f", "-n", str(filled)],
            env={"PATH": "/usr/sbin:/sbin:/usr/bin"},
            capture_output=True,
            check=False,
        )
        assert checked.returncode in {0, 4}, checked.stdout
        cli("rm", "c")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_what_nothing_needs_goes(cli: Cli, private_home: Home) -> None:
    fill = (
        "busybox",
        "sh",
        "-c",
        "dd if=/dev/urandom of=/big bs=1M count=5 2>/dev/null; sleep 100",
    )
    for name in ("kept", "gone"):
        cli("run", "-d", "--name", name, *fill)
        cli("exec", name, "sync")
    cli("create", "--name", "never", "busybox", "true")
    cli("stop", "-t", "0", "gone")
    told = usage(cli)
    sizes = {item["name"]: item["size_bytes"] for item in told["Containers"]["items"]}
    assert sizes["gone"] > 5 << 20 > sizes["never"]
    assert "Containers   3       1" in cli.out("system", "df")
    *removed, last = cli.out("container", "prune", "-f").splitlines()
    assert len(removed) == 2
    assert last.startswith("Total reclaimed space: 5.")
    assert cli.out("ps", "-a", "--format", "{{.Names}}") == "kept"
    cli("kill", "kept")
    cli("wait", "kept")
    cli("system", "prune", "-f", "-a")
    assert list((private_home.state / "containers").iterdir()) == []
