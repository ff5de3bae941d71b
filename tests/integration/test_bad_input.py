"""Bad input: one line that names the object and the way out, exit status 125, nothing left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import Cli


def refused(cli: Cli, *args: str, says: str, hint: str = "") -> None:
    done = cli(*args, status=125)
    lines = done.stderr.decode().splitlines()
    assert lines[0].startswith("drupe: failed to ")
    assert says in lines[0]
    assert hint in "\n".join(lines[1:])
    assert "Traceback" not in done.stderr.decode()


def test_words_that_mean_nothing(cli: Cli) -> None:
    refused(cli, "frobnicate", says="'frobnicate': no such verb", hint="--help")
    refused(cli, "run", "--frobnicate", "busybox", says="--frobnicate", hint="--help")
    refused(cli, "run", says="no image given", hint="busybox")
    refused(cli, "run", "--pull", "never", "nosuch", "true", says="'nosuch': no such image")
    refused(cli, "run", "../busybox", "true", says="'..' is not a registry")
    refused(cli, "run", "--rootfs", "/", says="no command given")
    refused(cli, "run", "--kernel", "nosuch", "busybox", says="'nosuch'", hint="kernel")
    refused(cli, "run", "--platform", "nosuch", "busybox", says="'nosuch'", hint="um-strict")
    refused(cli, "run", "--name", "a/b", "busybox", says="'a/b': not a container name")
    refused(cli, "run", "--hostname", "a b", "busybox", says="'a b': not a host name")
    refused(cli, "run", "-m", "lots", "busybox", says="'lots': not a size", hint="512m")
    refused(cli, "run", "-m", "1m", "busybox", says="'1m'", hint="at least 32m")
    refused(cli, "run", "-w", "relative", "busybox", says="'relative': not an absolute path")
    refused(cli, "run", "-e", "=x", "busybox", says="'=x': no name")
    refused(cli, "run", "-v", "nonsense", "busybox", says="'nonsense': not HOST:GUEST")
    refused(cli, "run", "-v", "/tmp:/", "busybox", says="'/' cannot be a mount point")
    refused(cli, "run", "-v", "/tmp:/a/../b", "busybox", says="cannot be a mount point")
    refused(cli, "run", "-v", "/tmp:/dev", "busybox", says="cannot be a mount point")
    two = ("-v", "/tmp:/a", "-v", "/usr:/a:ro")
    refused(cli, "run", *two, "busybox", says="two have the target '/a'")
    refused(cli, "run", "--detach-keys", "ctrl-", "busybox", says="'ctrl-' is no key")
    refused(cli, "kill", "-s", "NOSUCH", "x", says="'NOSUCH': no such signal")
    refused(cli, "stop", "-t", "soon", "x", says="'soon': not a number")
    refused(cli, "logs", "-n", "9" * 30, "x", says="'999999999999999999999999999999': not a number")
    refused(cli, "logs", "nosuch", says="'nosuch': no such container", hint="ps -a")
    refused(cli, "exec", "nosuch", "true", says="'nosuch': no such container")


def test_paths_that_are_not_there_or_not_right(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    missing = tmp_path / "missing"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for option, tail in (("--rootfs", ""), ("-v", ":/v")):
        rest = ("true",) if option == "--rootfs" else ("busybox", "true")
        refused(cli, "run", option, f"{missing}{tail}", *rest, says=f"'{missing}'")
        refused(cli, "run", option, f"{pipe}{tail}", *rest, says=f"'{pipe}': not a directory")
        refused(cli, "run", option, f"{loop}{tail}", *rest, says=f"'{loop}'")
    refused(cli, "run", "--env-file", str(missing), "busybox", says=f"'{missing}'")
    file.write_text("=x\n")
    refused(cli, "run", "--env-file", str(file), "busybox", says="line 1")
    refused(cli, "run", "--kernel", str(missing), "busybox", says=f"'{missing}'")


def test_what_an_ordinary_user_may_not_read(user_cli: Cli, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to have something that the user may not read")
    secret = Path("/root")
    refused(user_cli, "run", "--rootfs", str(secret), "true", says="'/root'")
    refused(user_cli, "run", "-v", "/usr:/v", "busybox", "true", says="not writable", hint=":ro")


def test_a_kernel_that_is_none(cli: Cli, tmp_path: Path) -> None:
    text = tmp_path / "linux"
    text.write_text("not a kernel")
    text.chmod(0o755)
    refused(cli, "run", "--kernel", str(text), "busybox", "true", says="its kernel")
    static = tmp_path / "static"
    shutil.copyfile("/bin/busybox", static)
    static.chmod(0o755)
    # It runs, but never speaks.
    refused(cli, "run", "--kernel", str(static), "busybox", "true", says="failed to boot")
    unreadable = tmp_path / "unreadable"
    shutil.copyfile("/bin/busybox", unreadable)
    unreadable.chmod(0o644)
    refused(cli, "run", "--kernel", str(unreadable), "busybox", "true", says="Permission denied")


def test_a_root_without_programs(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", "--rootfs", str(tmp_path), "--", "/bin/true", status=127)
    assert b"'/bin/true': No such file or directory" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Callable[[int], Path]:
    """Mounts a small tmpfs in a mount namespace: a command prefix would do; here as root only."""

    def mount(size: int) -> Path:
        place = tmp_path / "disk"
        place.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)], check=True
        )
        return place

    return mount


def test_a_full_disk(cli: Cli, small_disk: Callable[[int], Path]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    disk = small_disk(192 << 10)
    try:
        full = Cli(cli.source, {**cli.env, "XDG_STATE_HOME": str(disk / "state")})
        (disk / "filler").write_bytes(b"x" * (188 << 10))
        refused(full, "run", "busybox", "true", says="No space left on device")
        assert list((disk / "state/drupe/containers").glob("*")) == []
        (disk / "filler").unlink()
        # The log meets the end of the disk; the program does not notice.
        chatty = "i=0; while [ $i -lt 3000 ]; do echo line $i of many; i=$((i+1)); done; echo end"
        done = full("run", "--name", "c", "busybox", "sh", "-c", chatty)
        assert done.stdout.endswith(b"end\n")
        (disk / "state/drupe/containers").exists()
        full("rm", "c")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_no_user_namespaces(cli: Cli) -> None:
    """In a user namespace whose own limit of user namespaces is zero."""
    limit = "echo 0 >/proc/sys/user/max_user_namespaces"
    command = " ".join(f"'{arg}'" for arg in cli.argv("run", "--rm", "busybox", "true"))
    done = subprocess.run(
        ["unshare", "-Ur", "sh", "-c", f"{limit}; exec {command}"],
        env=cli.env,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 125
    lines = done.stderr.decode().splitlines()
    assert (
        lines[0]
        == "drupe: failed to make a jail: new namespaces: 'unshare': No space left on device"
    )
    assert "drupe system check" in lines[1]


def test_closed_standard_descriptors(cli: Cli) -> None:
    command = " ".join(f"'{arg}'" for arg in cli.argv("run", "--rm", "-i", "busybox", "echo", "x"))
    for closing, output in (("<&-", b"x\n"), (">&-", b""), ("2>&-", b"x\n")):
        done = subprocess.run(
            ["sh", "-c", f"{command} {closing}"], env=cli.env, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, output, b"")


def test_a_caller_that_ignores_its_children(cli: Cli) -> None:
    done = subprocess.run(
        cli.argv("run", "--rm", "busybox", "echo", "x"),
        env=cli.env,
        capture_output=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x\n", b"")


def test_interrupts_are_minded_after_a_launcher_that_does_not(cli: Cli) -> None:
    cli("run", "-d", "--name", "waited", "busybox", "sleep", "1000")
    command = cli.argv("logs", "-f", "waited")
    command[2] = f"import _signal; _signal.signal(2, _signal.SIG_DFL); {command[2]}"
    process = subprocess.Popen(command, env=cli.env, stderr=subprocess.PIPE)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1] == b""
    assert process.returncode == 130
    cli("rm", "--force", "waited")


def test_a_spoilt_container_among_others(cli: Cli) -> None:
    cli("run", "--name", "whole", "busybox", "true")
    cli("run", "--name", "spoilt", "busybox", "true")
    described = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", "spoilt"))
    Path(described["directory"], "process.json").write_text("{")
    listed = cli("ps", "-a")
    assert b" whole\n" in listed.stdout
    assert b" spoilt\n" not in listed.stdout
    assert b"rm --force" in listed.stderr
    cli("rm", "--force", "spoilt", "whole")


def test_output_that_nobody_takes(cli: Cli) -> None:
    command = " ".join(f"'{arg}'" for arg in cli.argv("run", "--rm", "busybox", "echo", "x"))
    done = subprocess.run(
        ["sh", "-c", f"{command} >/dev/full"], env=cli.env, capture_output=True, check=False
    )
    assert done.returncode == 125
    assert done.stderr.startswith(b"drupe: failed to use standard output")


def test_an_id_file_that_is_there_already(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    file.write_text("something else")
    refused(cli, "run", "-d", "--cidfile", str(file), "busybox", "true", says="File exists")
    assert file.read_text() == "something else"
    assert cli.out("ps", "-aq") == ""
    file.unlink()
    missing = cli("run", "--cidfile", str(file), "busybox", "/no/such", status=127)
    assert b"/no/such" in missing.stderr
    assert not file.exists()
