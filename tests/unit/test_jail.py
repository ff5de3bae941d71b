"""The jail: its filter does what its list says, and the list holds what it must not let slip."""

from __future__ import annotations

import json
import os
import re
import resource
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drupe.jail import enter, plan
from drupe.jail.bpf import KILL_PROCESS, TRAP, assemble
from drupe.jail.plan import JailPlan, Share, choose_ids
from drupe.jail.policy import REFUSED, Rule, rules

X86_64 = 0xC000_003E
ALLOW = 0x7FFF_0000
ENOSYS = 0x0005_0026
MASK = 0xFFFF_FFFF
X32_BIT = 0x4000_0000

HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")

LISTS = {
    (directories, traced): rules(directories=directories, traced=traced)
    for directories in (False, True)
    for traced in (False, True)
}
OTHERWISE = {which: KILL_PROCESS if which[1] else TRAP for which in LISTS}
PROGRAMS = {which: assemble(listed, otherwise=OTHERWISE[which]) for which, listed in LISTS.items()}
BY_NUMBER = {which: {rule.number: rule for rule in listed} for which, listed in LISTS.items()}
EVERY = tuple(dict.fromkeys(LISTS[True, True] + LISTS[True, False]))

# The program, interpreted as the kernel does: Documentation/networking/filter.rst.


def interpret(program: bytes, number: int, arch: int, arguments: list[int]) -> int:
    """The verdict on a system call; a program that reads or jumps astray fails the test."""
    data = struct.pack("=IIQ6Q", number, arch, 0x1000, *arguments)
    code = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        operation, if_true, if_false, constant = code[at]
        at += 1
        if operation == 0x20:
            assert constant % 4 == 0
            (accumulator,) = struct.unpack_from("=I", data, constant)
        elif operation == 0x15:
            at += if_true if accumulator == constant else if_false
        elif operation == 0x35:
            at += if_true if accumulator >= constant else if_false
        elif operation == 0x54:
            accumulator &= constant
        elif operation == 0x06:
            return int(constant)
        else:
            raise AssertionError(f"operation {operation:#x}")


def expected(rule: Rule | None, arguments: list[int], otherwise: int) -> int:
    """The verdict that the list promises."""
    if rule is None:
        return otherwise
    if rule.name in REFUSED:
        return ENOSYS
    fits = any(
        all(arguments[c.position] & c.mask == c.value for c in conditions)
        for conditions in rule.alternatives
    )
    return ALLOW if fits or not rule.alternatives else otherwise


interesting = sorted({c.value for rule in EVERY for each in rule.alternatives for c in each})
words = st.one_of(
    st.sampled_from(interesting),
    st.builds(
        lambda low, high: low | high << 32, st.sampled_from(interesting), st.integers(0, MASK)
    ),
    st.builds(lambda low, bit: low ^ 1 << bit, st.sampled_from(interesting), st.integers(0, 63)),
    st.integers(0, 0xFFFF_FFFF_FFFF_FFFF),
)
arguments_lists = st.lists(words, min_size=6, max_size=6)
either = st.sampled_from(list(LISTS))


@settings(max_examples=400)
@given(either, st.sampled_from(EVERY), arguments_lists)
def test_a_listed_call_passes_exactly_when_its_conditions_hold(
    which: tuple[bool, bool], rule: Rule, arguments: list[int]
) -> None:
    verdict = interpret(PROGRAMS[which], rule.number, X86_64, arguments)
    wanted = expected(BY_NUMBER[which].get(rule.number), arguments, OTHERWISE[which])
    assert verdict == wanted


@pytest.mark.parametrize("which", LISTS)
def test_every_condition_lets_its_own_value_through(which: tuple[bool, bool]) -> None:
    for rule in LISTS[which]:
        for conditions in rule.alternatives:
            arguments = [0] * 6
            for condition in conditions:
                arguments[condition.position] = condition.value
            wanted = ENOSYS if rule.name in REFUSED else ALLOW
            assert interpret(PROGRAMS[which], rule.number, X86_64, arguments) == wanted


@pytest.mark.parametrize("which", LISTS)
@given(arguments=arguments_lists)
@settings(max_examples=10)
def test_all_other_numbers_are_refused(which: tuple[bool, bool], arguments: list[int]) -> None:
    for number in range(601):
        if number not in BY_NUMBER[which]:
            assert interpret(PROGRAMS[which], number, X86_64, arguments) == OTHERWISE[which]


@given(either, st.integers(0, MASK))
def test_no_other_number_either(which: tuple[bool, bool], number: int) -> None:
    if number not in BY_NUMBER[which]:
        wanted = KILL_PROCESS if number >= X32_BIT else OTHERWISE[which]
        assert interpret(PROGRAMS[which], number, X86_64, [0] * 6) == wanted


@given(either, st.sampled_from(EVERY), arguments_lists)
def test_x32_numbers_are_killed(which: tuple[bool, bool], rule: Rule, arguments: list[int]) -> None:
    number = rule.number | X32_BIT
    assert interpret(PROGRAMS[which], number, X86_64, arguments) == KILL_PROCESS
    assert interpret(PROGRAMS[which], MASK, X86_64, arguments) == KILL_PROCESS


@given(
    either,
    st.sampled_from(EVERY),
    st.integers(0, MASK).filter(lambda arch: arch != X86_64) | st.just(0x4000_0003),
)
def test_other_architectures_are_killed(which: tuple[bool, bool], rule: Rule, arch: int) -> None:
    assert interpret(PROGRAMS[which], rule.number, arch, [0] * 6) == KILL_PROCESS


def test_clone3_is_answered_as_if_unknown() -> None:
    assert set(REFUSED) == {"clone3"}
    for program in PROGRAMS.values():
        assert interpret(program, 435, X86_64, [0] * 6) == ENOSYS


def test_the_program_is_within_the_kernels_bound() -> None:
    assert all(len(program) // 8 <= 4096 for program in PROGRAMS.values())


# The list


def test_numbers_are_the_kernels() -> None:
    if not HEADER.exists():
        pytest.skip(f"{HEADER} is missing (linux-libc-dev)")
    known = dict(re.findall(r"#define __NR_(\w+) (\d+)", HEADER.read_text()))
    wrong = {
        name: number
        for name, number in [*((rule.name, rule.number) for rule in EVERY), *NEVER.items()]
        if name in known and int(known[name]) != number
    }
    assert not wrong
    assert {rule.name for rule in EVERY} <= set(known)


def test_no_call_is_listed_twice() -> None:
    for listed in LISTS.values():
        assert len({rule.number for rule in listed}) == len(listed)
        assert len({rule.name for rule in listed}) == len(listed)


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.name)
def test_every_call_has_its_reason(rule: Rule) -> None:
    assert len(rule.reason) >= 8
    for conditions in rule.alternatives:
        assert conditions
        for condition in conditions:
            assert 0 <= condition.position <= 5
            assert condition.value & ~condition.mask == 0, "can never hold"


def test_file_calls_come_with_directories_only() -> None:
    plain = {rule.name for rule in LISTS[False, True]}
    more = {rule.name for rule in LISTS[True, True]} - plain
    assert {"renameat2", "lsetxattr", "symlinkat", "ftruncate", "preadv"} <= more


def test_the_list_stays_short() -> None:
    assert len(LISTS[False, True]) <= 80
    assert len(LISTS[True, True]) <= 100
    assert len(LISTS[False, False]) <= 70
    assert len(LISTS[True, False]) <= 90


NEVER = {
    "socket": 41, "connect": 42, "sendto": 44, "sendmsg": 46, "bind": 49, "listen": 50,
    "fork": 57, "vfork": 58, "execve": 59, "shmget": 29, "semget": 64, "msgget": 68,
    "chroot": 161, "mount": 165, "umount2": 166, "pivot_root": 155, "swapon": 167, "reboot": 169,
    "iopl": 172, "ioperm": 173, "init_module": 175, "delete_module": 176, "finit_module": 313,
    "kexec_load": 246, "kexec_file_load": 320, "add_key": 248, "request_key": 249, "keyctl": 250,
    "setuid": 105, "setgid": 106, "setresuid": 117, "setresgid": 119, "setgroups": 116,
    "capset": 126, "mknod": 133, "unshare": 272, "setns": 308, "bpf": 321,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "perf_event_open": 298,
    "fanotify_init": 300, "userfaultfd": 323, "process_vm_readv": 310, "process_vm_writev": 311,
    "kcmp": 312, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "pidfd_open": 434, "pidfd_getfd": 438, "pidfd_send_signal": 424, "process_madvise": 440,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "mount_setattr": 442, "landlock_restrict_self": 446, "memfd_secret": 447,
    "move_pages": 279, "migrate_pages": 256, "io_setup": 206, "remap_file_pages": 216,
    "modify_ldt": 154, "vhangup": 153, "acct": 163, "quotactl": 179, "syslog": 103,
    "settimeofday": 164, "clock_settime": 227, "clock_adjtime": 305, "adjtimex": 159,
    "lookup_dcookie": 212, "splice": 275, "vmsplice": 278, "tee": 276,
}  # fmt: skip
"""Calls that reach other processes, networks, mounts, keys, privileges, or much kernel code."""


@pytest.mark.parametrize("name", NEVER)
def test_it_is_never_allowed(name: str) -> None:
    assert name not in {rule.name for rule in EVERY}
    for which, program in PROGRAMS.items():
        assert interpret(program, NEVER[name], X86_64, [0] * 6) == OTHERWISE[which]


@pytest.mark.parametrize("which", LISTS)
@pytest.mark.parametrize(
    ("number", "index", "values"),
    [
        # PEEKTEXT PEEKDATA POKETEXT POKEDATA ATTACH SEIZE INTERRUPT LISTEN SECCOMP_GET_FILTER
        # GET_RSEQ_CONFIGURATION
        (101, 0, [1, 2, 4, 5, 16, 0x4206, 0x4207, 0x4208, 0x420C, 0x420F]),
        # CLONE_NEW: TIME NS CGROUP UTS IPC USER PID NET
        (56, 0, [0x80, 0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000]),
        (56, 0, [0x4000_0000, 0x7E02_0080, 0x2_0000 | 17, 0x1_0000_0000 | 0x1000_0000]),
        # execveat: flags without AT_EMPTY_PATH
        (322, 4, [0, 0x100]),
        # socketpair: INET, NETLINK, PACKET, VSOCK
        (53, 0, [2, 10, 16, 17, 40]),
        # prctl: SET_SECCOMP CAPBSET_DROP SET_SECUREBITS SET_MM SET_PTRACER CAP_AMBIENT
        (157, 0, [22, 24, 28, 35, 0x5961_6D61, 47]),
        # ioctl: TIOCSTI, TIOCLINUX, TUNSETIFF, FICLONE, FS_IOC_SETFLAGS
        (16, 1, [0x5412, 0x541C, 0x4004_54CA, 0x4004_9409, 0x4008_6602]),
        # fcntl: F_SETLEASE, F_NOTIFY, F_SETPIPE_SZ
        (72, 1, [1024, 1026, 1031]),
        # personality: READ_IMPLIES_EXEC, PER_LINUX
        (135, 0, [0x40_0000, 0]),
    ],
)
def test_these_arguments_are_never_allowed(
    which: tuple[bool, bool], number: int, index: int, values: list[int]
) -> None:
    for value in values:
        for rest in (0, MASK):
            arguments = [rest] * 6
            arguments[index] = value
            verdict = interpret(PROGRAMS[which], number, X86_64, arguments)
            assert verdict == OTHERWISE[which], hex(value)


# The plan


def make(*shares: Share, all_ids: bool = False, root_bytes: int = 1 << 25) -> JailPlan:
    return JailPlan(root_bytes, (("image", Path("/x")),), shares, 1000, 1001, all_ids, traced=True)


def test_one_id_is_mapped() -> None:
    assert make().id_maps == ([(0, 1000, 1)], [(0, 1001, 1)])


def test_all_ids_are_mapped_as_they_are() -> None:
    uids, gids = make(all_ids=True).id_maps
    assert uids == gids == [(0, 0, 0xFFFF_FFFF)]


def test_limits() -> None:
    limits = make().limits
    assert limits == {
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 65_536,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_NPROC": (32 << 20) // (128 << 10) + 1024,
        "RLIMIT_FSIZE": 1 << 30,
    }
    assert make(root_bytes=1 << 40).limits["RLIMIT_FSIZE"] == 1 << 40
    assert make()._replace(layer_bytes=1 << 41).limits["RLIMIT_FSIZE"] == 1 << 41


def test_only_a_writable_share_lifts_the_size_of_files() -> None:
    readonly, writable = Share(Path("/a"), readonly=True), Share(Path("/b"), readonly=False)
    assert "RLIMIT_FSIZE" in make(readonly).limits
    assert "RLIMIT_FSIZE" not in make(readonly, writable).limits


@given(st.integers(1, 60_000), st.integers(0, 60_000), either)
def test_a_user_keeps_their_own_ids(uid: int, gid: int, directories: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: uid)
        patch.setattr(os, "getegid", lambda: gid)
        assert choose_ids("0" * 64, directories=directories) == (uid, gid, False)


@given(st.integers(0, 2**256 - 1))
def test_root_takes_an_unprivileged_id(number: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 0)
        uid, gid, all_ids = choose_ids(f"{number:064x}", directories=False)
        assert choose_ids(f"{number:064x}", directories=True) == (0, 0, True)
    assert uid == gid
    assert not all_ids
    assert plan._FIRST_DYNAMIC_UID <= uid < 0x7FFF_0000


def test_the_jail_is_described_as_json() -> None:
    described = enter.describe(make(Share(Path("/a"), readonly=True)))
    text = json.dumps(described)
    assert '"/a"' in text
    assert described["namespaces"] == ["user", "mount", "pid", "net", "ipc", "uts", "cgroup"]
    allowed = json.loads(text)["seccomp"]["allowed"]
    assert allowed == {rule.name: rule.reason for rule in LISTS[True, True]}


@given(st.permutations([0, 1, 2, 3]), st.integers(0, 4))
@settings(max_examples=25, deadline=None)
def test_only_the_wanted_descriptors_remain(order: list[int], wanted: int) -> None:
    """In whatever order they lie: each goes where it belongs, the private one stays private."""
    opened = [os.memfd_create(f"file{index}") for index in range(5)]
    handed = [opened[index] for index in order][:wanted]
    reports, report = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            report, private = enter.take_descriptors([*handed], report, opened[4])
            names = {
                int(f.name): str(f.readlink())
                for f in Path("/proc/self/fd").iterdir()
                if f.exists()
            }
            flags = [os.get_inheritable(fd) for fd in (*range(wanted), report, private)]
            told = [names.get(index, "") for index in range(wanted)], flags, names.get(private, "")
            os.write(report, json.dumps([*told, len(names)]).encode())
        finally:
            os._exit(0)
    os.close(report)
    with os.fdopen(reports, "rb") as answers:
        names, flags, private_name, count = json.loads(answers.read())
    os.waitpid(child, 0)
    for fd in opened:
        os.close(fd)
    assert names == [f"/memfd:file{index} (deleted)" for index in order[:wanted]]
    assert flags == [True] * wanted + [False, False]
    assert private_name == "/memfd:file4 (deleted)"
    assert count == wanted + 2


def test_descriptors_above_the_jails_limit_are_handed_on() -> None:
    wanted, reports, report = os.memfd_create("wanted"), *os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(wanted, 500)
            os.dup2(report, 600)
            resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
            (report,) = enter.take_descriptors([500], 600)
            os.write(report, os.fsencode(Path("/proc/self/fd/0").readlink()))
        finally:
            os._exit(0)
    os.close(report)
    os.close(wanted)
    with os.fdopen(reports, "rb") as answers:
        assert answers.read() == b"/memfd:wanted (deleted)"
    os.waitpid(child, 0)
