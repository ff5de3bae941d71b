"""drupe run: what a newcomer does first, and what it must get right."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from drupe.kbuild.kernels import Kernel
from tests.integration.conftest import Cli

RELEASE = "import platform; print(platform.release())"


def test_the_container_has_its_own_kernel(cli: Cli, kernel: Kernel) -> None:
    release = cli.out("run", "--rm", "--rootfs", "/", "--", "python3", "-c", RELEASE)
    assert release.startswith(kernel.version)
    assert release != os.uname().release


def test_an_ordinary_user_has_one_too(user_cli: Cli, kernel: Kernel) -> None:
    release = user_cli.out("run", "--rm", "--rootfs", "/", "--", "python3", "-c", RELEASE)
    assert release.startswith(kernel.version)
    assert user_cli.out("run", "--rm", "busybox", "id", "-u") == "0"


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)],
)
def test_the_exit_status_is_the_programs(cli: Cli, script: str, status: int) -> None:
    cli("run", "--rm", "busybox", "sh", "-c", script, status=status)


def test_commands_that_cannot_be_run_have_statuses_of_their_own(cli: Cli) -> None:
    missing = cli("run", "--rm", "busybox", "/no/such", status=127)
    assert b"'/no/such': No such file or directory" in missing.stderr
    refused = cli("run", "--rm", "busybox", "/etc/passwd", status=126)
    assert b"'/etc/passwd': Permission denied" in refused.stderr


def test_output_and_errors_stay_apart(cli: Cli) -> None:
    done = cli("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_200_mb_pass_byte_for_byte(cli: Cli, tmp_path: Path) -> None:
    size = 200_000_000
    sent, received = tmp_path / "sent", tmp_path / "received"
    sent.write_bytes(os.urandom(1 << 20) * 190 + os.urandom(size - (190 << 20)))
    with sent.open("rb") as stdin, received.open("wb") as stdout:
        done = subprocess.run(
            cli.argv("run", "--rm", "-i", "busybox", "cat"),
            stdin=stdin,
            stdout=stdout,
            env=cli.env,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0
    assert received.stat().st_size == size
    subprocess.run(["cmp", str(sent), str(received)], check=True)


def test_input_through_a_pipe_ends_where_it_ends(cli: Cli) -> None:
    done = cli("run", "--rm", "-i", "busybox", "wc", "-c", input_bytes=b"x" * 300_000)
    assert done.stdout.strip() == b"300000"


def test_without_i_there_is_no_input(cli: Cli) -> None:
    assert cli("run", "--rm", "busybox", "cat", input_bytes=b"not passed on").stdout == b""


def test_environment_directory_and_user(cli: Cli, tmp_path: Path) -> None:
    variables = tmp_path / "variables"
    variables.write_text("# a comment\n\nA=file\nB=file with spaces\n")
    script = 'echo "$A|$B|$HOME"; pwd; id -u; id -g; id -G; hostname'
    done = cli.out(
        "run",
        "--rm",
        "-e",
        "A=option",
        "--env-file",
        str(variables),
        "-w",
        "/made/for/it",
        "-u",
        "65534",
        "--group-add",
        "5",
        "--hostname",
        "pit",
        "busybox",
        "sh",
        "-c",
        script,
    )
    lines = done.splitlines()
    assert lines == [
        "option|file with spaces|/",
        "/made/for/it",
        "65534",
        "65534",
        "65534 5",
        "pit",
    ]


def test_users_are_looked_up_in_the_container(cli: Cli) -> None:
    assert cli.out("run", "--rm", "-u", "nobody", "busybox", "id", "-un") == "nobody"
    refused = cli("run", "--rm", "-u", "nosuch", "busybox", "id", status=125)
    assert b"nosuch" in refused.stderr


def test_entrypoint_takes_the_command_as_arguments(cli: Cli) -> None:
    assert cli.out("run", "--rm", "--entrypoint", "echo", "busybox", "a", "b") == "a b"


def test_the_images_command_is_the_default(cli: Cli) -> None:
    done = cli("run", "--rm", "-i", "busybox", input_bytes=b"echo $((6 * 7))\n")
    assert done.stdout == b"42\n"


def test_memory_is_the_guests(cli: Cli) -> None:
    script = "sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"
    small = int(cli.out("run", "--rm", "-m", "64m", "busybox", "sh", "-c", script))
    assert 48_000 < small < 65_536
    # What the guest is not given it cannot take: its own kernel ends the program.
    greedy = "tail -c 300m /dev/zero >/dev/null; echo $?"
    assert cli.out("run", "--rm", "-m", "64m", "busybox", "sh", "-c", greedy) in {"137", "1"}


def test_writes_to_a_root_directory_are_thrown_away(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    subprocess.run(["cp", "/bin/busybox", str(root / "bin/busybox")], check=True)
    script = "echo new >/file; cat /file; rm /bin/busybox"
    run = ("run", "--rm", "--rootfs", str(root), "--", "/bin/busybox", "sh", "-c", script)
    for _ in range(2):
        assert cli.out(*run) == "new"
    assert sorted(p.name for p in root.iterdir()) == ["bin"]
    assert (root / "bin/busybox").exists()


def test_volumes_are_shared_both_ways(cli: Cli, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "in").write_text("from the host\n")
    script = (
        "cat /v/deep/in; echo from the guest >/v/deep/out; mkdir /v/deep/d; mv /v/deep/in /v/deep/d"
    )
    done = cli.out("run", "--rm", "-v", f"{volume}:/v/deep", "busybox", "sh", "-c", script)
    assert done == "from the host"
    assert (volume / "out").read_text() == "from the guest\n"
    assert (volume / "d/in").read_text() == "from the host\n"


def test_readonly_volumes_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    script = "echo x >/v/file; mount -o remount,rw /v; echo x >/v/file; echo x >/w/file"
    writable = tmp_path / "w"
    writable.mkdir()
    volumes = ("-v", f"{tmp_path}:/v:ro", "-v", f"{writable}:/w")
    done = cli("run", "--rm", *volumes, "busybox", "sh", "-c", script)
    assert done.stderr.count(b"Read-only file system") == 2
    assert [p.name for p in tmp_path.iterdir() if p.name == "file"] == []
    assert (writable / "file").exists()


def test_a_link_in_a_volume_leads_nowhere_outside(cli: Cli, tmp_path: Path) -> None:
    volume, secret = tmp_path / "volume", tmp_path / "secret"
    volume.mkdir()
    secret.write_text("secret")
    (volume / "link").symlink_to(secret)
    (volume / "up").symlink_to("../secret")
    script = "cat /v/link /v/up; echo x >/v/link; ls /v/../secret"
    done = cli("run", "--rm", "-v", f"{volume}:/v", "busybox", "sh", "-c", script, status=1)
    assert b"secret\n" not in done.stdout
    assert secret.read_text() == "secret"


def test_signals_are_passed_on(cli: Cli) -> None:
    script = "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    process = cli.start("run", "--rm", "busybox", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (3, b"caught\n", b"")


def test_output_arrives_as_it_is_written(cli: Cli) -> None:
    process = cli.start("run", "--rm", "busybox", "sh", "-c", "echo first; sleep 2; echo last")
    assert process.stdout is not None
    assert process.stdout.readline() == b"first\n"
    first = time.monotonic()
    assert process.stdout.readline() == b"last\n"
    assert time.monotonic() - first > 1.0
    process.communicate(timeout=30)


def test_cidfile_holds_the_id(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    container = cli.out("run", "-d", "--cidfile", str(file), "busybox", "sleep", "100")
    assert file.read_text() == container
    cli("rm", "-f", container)
