"""The boundary itself: what a container kernel is left with, and that the list is the list."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drupe.jail import policy
from drupe.jail.plan import JailPlan
from drupe.jail.spawn import spawn
from tests.integration.conftest import Cli

pytest_plugins = ["tests.integration.conftest"]

NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
LAST_CALL = 470
CODE_AFTER = b"\x31\xff\xb8\xe7\x00\x00\x00\x0f\x05"  # xor %edi,%edi; mov $231,%eax; syscall

# Calls that stop or fail in ways of their own when made with no arguments to speak of.
NO_VERDICT = {
    "rt_sigreturn": "takes what lies on the stack for a signal frame",
    "rt_sigsuspend": "waits for a signal",
    "ppoll": "waits for a signal",
    "exit": "ends as asked",
    "exit_group": "ends as asked",
    "restart_syscall": "goes on with nothing",
    "clone": "makes a child that goes on with the same code",
}


def program(number: int, arguments: tuple[int, ...] = ()) -> bytes:
    """A static ELF file that makes one system call and then exit_group(0)."""
    registers = {0: b"\x48\xbf", 1: b"\x48\xbe", 2: b"\x48\xba", 3: b"\x49\xba", 4: b"\x49\xb8"}
    code = b"".join(
        registers[index] + struct.pack("<Q", value & (2**64 - 1))
        for index, value in enumerate(arguments)
    )
    return elf(code + b"\xb8" + struct.pack("<I", number) + b"\x0f\x05" + CODE_AFTER)


def elf(code: bytes) -> bytes:
    """A static ELF file with this code."""
    base, headers = 0x40_0000, 64 + 56
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    fields = (ident, 2, 62, 1, base + headers, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    header = struct.pack("<16sHHIQQQIHHHHHH", *fields)
    size = headers + len(code)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096) + code


@pytest.fixture
def jailed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes this process the one that orphans of the jail come to, so that it sees their end."""
    from drupe._linux.libc import libc

    libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    yield
    libc.prctl(36, 0, 0, 0, 0)


def run_jailed(code: bytes, plan: JailPlan) -> int:
    """The wait status of a program in a jail."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    binary = os.memfd_create("call", os.MFD_CLOEXEC)
    try:
        os.write(binary, code)
        pid = spawn(plan, binary, ["call"], {}, [null, null, null], lambda _: None)
    finally:
        os.close(binary)
        os.close(null)
    return os.waitpid(pid, 0)[1]


def verdict(number: int, arguments: tuple[int, ...] = ()) -> int | None:
    """The signal that ended a jailed program which made that call; None: it was let through."""
    ids = os.geteuid(), os.getegid()
    plan = JailPlan(1 << 20, (), (), *ids, all_ids=False, traced=True)
    status = run_jailed(program(number, arguments), plan)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else None


def test_every_call_outside_the_list_ends_the_container(jailed: None) -> None:
    listed = {rule.number for rule in policy.rules(directories=False, traced=True)}
    outside = [number for number in range(LAST_CALL) if number not in listed]
    assert len(outside) > 250
    verdicts = {number: verdict(number) for number in outside}
    # uretprobe and uprobe pass by every filter, since Linux 6.11 and 6.18; the host's kernel
    # itself refuses them anywhere but in a trampoline that it made.
    verdicts.pop(335)
    verdicts.pop(336)
    assert {number for number, end in verdicts.items() if end != signal.SIGSYS} == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's other processes may count, too")
def test_host_processes_are_bounded_without_a_control_group(jailed: None) -> None:
    code = (
        b"\x45\x31\xff"  # xor %r15d,%r15d
        b"\xb8\x38\x00\x00\x00\x31\xff\x31\xf6\x0f\x05"  # clone(0, 0)
        b"\x85\xc0\x74\x14\x78\x05"  # child: wait; error: end
        b"\x41\xff\xc7\xeb\xea"  # count, again
        b"\x44\x89\xff\xc1\xef\x04\xb8\xe7\x00\x00\x00\x0f\x05"  # exit_group(count / 16)
        b"\x90\x90"
        b"\xb8\x0f\x01\x00\x00\x31\xff\x31\xf6\x31\xd2\x4d\x31\xd2\x0f\x05\xeb\xec"  # ppoll
    )
    plan = JailPlan(1 << 20, (), (), 0x7000_1234, 0x7000_1234, all_ids=False, traced=True)
    most = plan.limits["RLIMIT_NPROC"]
    assert os.WEXITSTATUS(run_jailed(elf(code), plan)) in {(most - 1) // 16, most // 16}


def test_x32_numbers_end_the_container(jailed: None) -> None:
    for number in (0, 1, 59, 0x4000_0000):
        assert verdict(0x4000_0000 | number) == signal.SIGSYS


def test_listed_calls_are_let_through(jailed: None) -> None:
    for rule in policy.rules(directories=False, traced=True):
        if rule.alternatives or rule.name in NO_VERDICT:
            continue
        assert verdict(rule.number, (2**64 - 1, 0, 0)) != signal.SIGSYS, rule.name


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ptrace", (16, 1)),  # ATTACH
        ("ptrace", (0x4206, 1)),  # SEIZE
        ("ptrace", (2, 1)),  # PEEKDATA
        ("prctl", (22, 2)),  # SET_SECCOMP
        ("prctl", (24, 1)),  # CAPBSET_DROP
        ("clone", (0x1000_0000,)),  # CLONE_NEWUSER
        ("clone", (0x0002_0000,)),  # CLONE_NEWNS
        ("execveat", (3, 0, 0, 0, 0)),  # without AT_EMPTY_PATH
        ("socketpair", (2, 1, 0)),  # AF_INET
        ("ioctl", (0, 0x5412)),  # TIOCSTI
        ("fcntl", (0, 1034)),  # F_GET_SEALS
        ("personality", (0x008_0000,)),
    ],
)
def test_arguments_outside_the_list_end_the_container(
    jailed: None, name: str, arguments: tuple[int, ...]
) -> None:
    (rule,) = (rule for rule in policy.rules(directories=True, traced=True) if rule.name == name)
    assert verdict(rule.number, arguments) == signal.SIGSYS


def test_what_a_container_kernel_is_left_with(cli: Cli, tmp_path: Path) -> None:
    leaked = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(leaked, True)
    process = cli.start("run", "-d", "--name", "j", "busybox", "sleep", "100", close_fds=False)
    process.communicate(timeout=30)
    os.close(leaked)
    told = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", "j"))
    pid = told["state"]["pid"]
    family = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    assert len(family) >= 2
    for member in family:
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{member}/status").read_text().splitlines()
            if ":\t" in line
        )
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[capabilities], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        limits = Path(f"/proc/{member}/limits").read_text()
        assert re.search(rf"Max processes +{told['jail']['limits']['RLIMIT_NPROC']} ", limits)
        assert status["Groups"].split() == ([] if os.geteuid() == 0 else status["Groups"].split())
        for namespace in NAMESPACES:
            theirs = Path(f"/proc/{member}/ns/{namespace}").readlink()
            assert theirs != Path(f"/proc/self/ns/{namespace}").readlink()
        if os.geteuid() == 0:
            assert set(status["Uid"].split()) == {str(told["jail"]["uid"])} != {"0"}
        opened = [str(entry.readlink()) for entry in Path(f"/proc/{member}/fd").iterdir()]
        assert not [
            name for name in opened if name.startswith(str(tmp_path)) and "state" not in name
        ]
    mounts = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    assert sorted(line.split()[4] for line in mounts) == ["/", "/image", "/initramfs"]
    flags = {line.split()[4]: line.split()[5] for line in mounts}
    assert flags["/image"].startswith("ro,nosuid,nodev,noexec")
    cli("rm", "-f", "j")


def test_all_threads_have_both_filters(cli: Cli, tmp_path: Path) -> None:
    cli("run", "-d", "--name", "j", "-v", f"{tmp_path}:/v", "busybox", "sleep", "100")
    pid = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", "j"))["state"]["pid"]
    broker = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    threads = list(Path(f"/proc/{broker}/task").iterdir())
    assert len(threads) == 3
    for thread in threads:
        status = (thread / "status").read_text()
        assert re.search(r"^Seccomp:\s2\nSeccomp_filters:\s2$", status, re.MULTILINE)
    cli("rm", "-f", "j")


def test_directory_shares_are_readonly_to_the_host(cli: Cli) -> None:
    cli("run", "-d", "--name", "j", "--rootfs", "/", "--", "sleep", "100")
    told = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", "j"))
    mounts = Path(f"/proc/{told['state']['pid']}/mountinfo").read_text().splitlines()
    shared = {f[4]: f[5] for f in map(str.split, mounts) if f[4].startswith("/shares")}
    visible = {
        p: o for p, o in shared.items() if not p.startswith(("/shares/0/proc/", "/shares/0/sys/"))
    }
    assert visible
    assert [p for p, options in visible.items() if not options.startswith("ro,nosuid,nodev")] == []
    cli("rm", "-f", "j")


@pytest.mark.parametrize("share", ["--rootfs", "-v"])
def test_the_host_kernels_files_are_covered_in_shares(cli: Cli, share: str) -> None:
    where = "" if share == "--rootfs" else "/host"
    options = ("--rootfs", "/") if share == "--rootfs" else ("-v", "/:/host:ro", "busybox")
    look = "ls -A %s/proc/sys %s/sys/kernel 2>&1 | head -3; cat %s/proc/version"
    if share == "-v":
        seen = cli("run", "--rm", *options, "sh", "-c", look % (where, where, where), status=1)
        assert b"Linux version" not in seen.stdout
        assert seen.stdout.count(b"No such file") == 2
    else:
        # What is there is the container kernel's own.
        seen = cli("run", "--rm", *options, "sh", "-c", "cat /proc/version", status=0)
        assert b"-drupe" in seen.stdout


def test_the_host_kernels_directories_cannot_be_shared(cli: Cli) -> None:
    for directory in ("/proc", "/proc/sys", "/sys", "/sys/kernel"):
        refused = cli("run", "-v", f"{directory}:/v", "busybox", "true", status=125)
        assert b"belongs to the host's kernel" in refused.stderr


def test_mounts_of_the_host_kernel_anywhere_in_a_share_are_covered(
    cli: Cli, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a proc in a directory")
    volume = tmp_path / "volume"
    place = volume / "deep/with blank"
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "proc", "proc", str(place)], check=True)
    try:
        script = "ls -A '/v/deep/with blank' | wc -l; echo 1 >'/v/deep/with blank/x'"
        done = cli("run", "--rm", "-v", f"{volume}:/v", "busybox", "sh", "-c", script, status=1)
        assert done.stdout == b"0\n"
        assert b"Read-only file system" in done.stderr
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_the_host_is_not_named(cli: Cli) -> None:
    assert os.uname().nodename not in cli.out("run", "--rm", "busybox", "cat", "/proc/cpuinfo")


def test_a_guest_that_opens_the_control_socket_again_stays_reachable(cli: Cli) -> None:
    """Its root may name the driver's device; the init's watch of the socket must not suffer."""
    script = (
        "import fcntl, os, struct\n"
        "(line,) = [x for x in open('/proc/misc') if 'hostchan' in x]\n"
        "os.mknod('/tmp/channel', 0o20600, os.makedev(10, int(line.split()[0])))\n"
        "device = os.open('/tmp/channel', os.O_RDWR)\n"
        "for _ in range(3):\n"
        "    try:\n"
        "        fcntl.ioctl(device, 0x40086400, struct.pack('=II', 0, 0))\n"
        "    except FileExistsError:\n"
        "        print('refused')\n"
    )
    cli("run", "-d", "--name", "twice", "--rootfs", "/", "sleep", "1000")
    try:
        out = cli.out("exec", "twice", "/usr/bin/python3", "-c", script)
        assert out.split() == ["refused"] * 3
        assert cli.out("exec", "twice", "echo", "reached") == "reached"
    finally:
        cli("rm", "--force", "twice")


def test_a_signal_to_a_fork_does_not_run_the_callers_code(cli: Cli) -> None:
    """Ctrl-C reaches the forks, too: nothing of the caller's may be done twice."""
    script = (
        "import os, signal, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from drupe.jail import spawn\n"
        "from drupe.platform.probe import probe_user_mode\n"
        "fork = os.fork\n"
        "def interrupted():\n"
        "    child = fork()\n"
        "    child or os.kill(os.getpid(), signal.SIGINT)\n"
        "    return child\n"
        "spawn.os.fork = interrupted\n"
        "try:\n"
        "    print([finding.ok for finding in probe_user_mode(traced=True)][1], flush=True)\n"
        "except BaseException as error:\n"
        "    print(repr(error), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-ISc", script, str(cli.source)],
        env=cli.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "True\n", done.stderr
