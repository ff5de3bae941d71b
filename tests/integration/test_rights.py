"""What a container's processes may do and get: the options arrive where they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import Cli


def test_limits_masks_and_capabilities_hold(cli: Cli) -> None:
    script = (
        "ulimit -n; ulimit -Hn; umask; cat /proc/self/oom_score_adj; "
        "grep -E 'CapEff|CapBnd|NoNew' /proc/self/status | cut -f2; "
        "touch f && chown 5 f && echo changed; mount -t tmpfs x /mnt 2>&1"
    )
    options = (
        "--ulimit=nofile=100:200 --umask=027 --oom-score-adj=500 --cap-drop=ALL --cap-add=chown "
        "--security-opt=no-new-privileges --init"
    )
    done = cli("run", "--rm", *options.split(), "busybox", "sh", "-c", script, status=1)
    *values, refused = done.stdout.decode().splitlines()
    assert values == [
        "100",
        "200",
        "0027",
        "500",
        "0000000000000001",
        "0000000000000001",
        "1",
        "changed",
    ]
    assert "permission denied" in refused.lower()


def test_a_server_may_open_many_files(cli: Cli) -> None:
    script = "ulimit -Sn; ulimit -Hn; cat /proc/sys/fs/nr_open; ulimit -n 500000 && ulimit -n"
    container = cli.out("run", "-d", "busybox", "sh", "-c", f"{script}; sleep 100")
    wanted = ["1024", "1048576", "1048576", "500000"]
    assert cli.out("exec", container, "sh", "-c", script).split() == wanted
    assert cli.out("logs", container).split() == wanted
    cli("rm", "-f", container)


def test_exec_has_the_containers_rights_unless_privileged(cli: Cli) -> None:
    container = cli.out("run", "-d", "--cap-drop", "SYS_ADMIN,MKNOD", "busybox", "sleep", "100")
    mknod = ("sh", "-c", "mknod /null c 1 3 && echo made")
    assert b"not permitted" in cli("exec", container, *mknod, status=1).stderr
    assert cli.out("exec", "--privileged", container, *mknod) == "made"
    cli("rm", "-f", container)


def test_the_kernels_settings_and_shared_memory(cli: Cli) -> None:
    script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax; df -k /dev/shm | tail -1"
    options = ("--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.msgmax=4242")
    forward, most, line = cli.out(
        "run", "--rm", *options, "--shm-size", "32m", "busybox", "sh", "-c", script
    ).splitlines()
    assert (forward, most, line.split()[1]) == ("1", "4242", "32768")
    done = cli("run", "--rm", "--sysctl", "no.such=1", "busybox", "true", status=125)
    assert b"failed to set kernel setting 'no/such' to '1': No such file" in done.stderr


def test_stop_does_what_the_container_was_told(cli: Cli) -> None:
    script = "trap 'echo usr1; exit 3' USR1; trap '' TERM; echo up; while :; do sleep 0.1; done"
    options = ("--stop-signal", "USR1", "--stop-timeout", "20")
    container = cli.out("run", "-d", *options, "busybox", "sh", "-c", script)
    while "up" not in cli.out("logs", container):
        pass
    cli("stop", container)
    assert cli.out("logs", container).split() == ["up", "usr1"]
    assert cli.out("wait", container) == "3"
    cli("rm", container)


def test_the_time_zone_is_the_hosts_rules(cli: Cli) -> None:
    if not Path("/usr/share/zoneinfo/Asia/Tokyo").exists():
        pytest.skip("no package tzdata")
    assert cli.out("run", "--rm", "--tz", "Asia/Tokyo", "busybox", "date", "+%z") == "+0900"
    done = cli("run", "--rm", "--tz", "Mars/Base", "busybox", "date", status=125)
    assert b"failed to use time zone 'Mars/Base'" in done.stderr


def test_labels_come_from_files_too(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("# notes\na=1\nb\n\n")
    options = ("--label-file", str(tmp_path / "labels"), "-l", "a=2")
    container = cli.out("create", *options, "busybox", "true")
    assert cli.out("inspect", "-f", "{{.Config.Labels.a}}{{.Config.Labels.b}}", container) == "2"
    cli("rm", container)
