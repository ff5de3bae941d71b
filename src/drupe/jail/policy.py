"""The list of host system calls that a container kernel may make, and why each is there.

A call outside the list ends the whole container at once. System call numbers are x86-64's.
Source: the container kernel's own host side (arch/um/os-Linux), observed and read.
"""

from __future__ import annotations

from typing import NamedTuple


class Argument(NamedTuple):
    """A condition on one argument: ``(argument & mask) == value``; 64 bits."""

    position: int
    mask: int
    value: int


class Rule(NamedTuple):
    """One allowed system call.

    Attributes:
        name: as in syscalls(2).
        number: on x86-64.
        reason: what the container kernel needs it for.
        alternatives: each a set of conditions, of which one must hold; empty: no condition.
    """

    name: str
    number: int
    reason: str
    alternatives: tuple[tuple[Argument, ...], ...] = ()


_LOW = 0xFFFF_FFFF

_CLONE_NEW_ANY = 0x7E02_0080
"""CLONE_NEW*: NS, CGROUP, UTS, IPC, USER, PID, NET and TIME."""


def _is(index: int, *values: int, mask: int = _LOW) -> tuple[tuple[Argument, ...], ...]:
    return tuple((Argument(index, mask, value),) for value in values)


_PTRACE_REQUESTS = (0, 3, 6, 7, 8, 12, 13, 14, 15, 21, 24, 31, 32, 0x4200, 0x4202, 0x4204, 0x4205)
"""TRACEME PEEKUSER POKEUSER CONT KILL {GET,SET}REGS {GET,SET}FPREGS OLDSETOPTIONS SYSCALL
SYSEMU SYSEMU_SINGLESTEP SETOPTIONS GETSIGINFO {GET,SET}REGSET: no PEEKDATA, no ATTACH, no SEIZE."""

_SECCOMP = Rule("seccomp", 317, "narrows this list before the first guest instruction", _is(0, 1))
_DUP2 = Rule("dup2", 33, "places descriptors for a guest process; opens a file anew to write it")

_TRACED = (
    # Guest processes: a host process each, stopped and resumed by ptrace.
    Rule(
        "ptrace", 101, "stops guest processes at system calls and faults", _is(0, *_PTRACE_REQUESTS)
    ),
    Rule("waitid", 247, "notices guest processes that were killed from outside"),
    Rule("kill", 62, "ends and interrupts guest processes (own pid namespace)"),
    Rule("prctl", 157, "ends processes with their parent", _is(0, 1, 15, 38)),
    Rule("close_range", 436, "closes inherited descriptors in guest processes"),
    Rule("memfd_create", 319, "holds the stub program"),
    _DUP2,
    Rule("getppid", 110, "tests ptrace at start-up"),
    Rule("sched_yield", 24, "waits for guest processes"),
    Rule("timer_create", 222, "the timer interrupt"),
    Rule("timer_settime", 223, "the timer interrupt"),
)

_PLACE = (
    Rule("sched_getaffinity", 204, "which processors of the host there are"),
    Rule("sched_setaffinity", 203, "keeps the processes that take turns on one of them"),
)

_IN_PROCESS = (
    # Guest processes: host processes that all have the container kernel mapped.
    Rule(
        "prctl",
        157,
        "ends processes with their parent; traps system calls of the guest's code; timers without "
        "slack",
        _is(0, 1, 15, 29, 38, 59),
    ),
    Rule("setitimer", 38, "the timer interrupt"),
    *_PLACE,
    _SECCOMP,
)

_CORE = (
    Rule(
        "execveat",
        322,
        "starts the container kernel, and guest processes on their stub, by open files",
        (((Argument(4, _LOW, 0x1000)),),),
    ),
    Rule("wait4", 61, "waits for processes of its own"),
    Rule(
        "clone",
        56,
        "makes a host process for a guest address space, and helper threads",
        _is(0, 0, mask=_CLONE_NEW_ANY),
    ),
    Rule("socketpair", 53, "talks to helper threads and stubs", _is(0, 1)),
    Rule("tgkill", 234, "passes interrupts on; stops helper threads at power-off"),
    # Memory.
    Rule("mmap", 9, "maps guest memory"),
    Rule("munmap", 11, "unmaps guest memory"),
    Rule("mprotect", 10, "protects guest memory"),
    Rule("madvise", 28, "returns freed guest memory to the host"),
    Rule("fallocate", 285, "returns freed guest memory, and what the layer has freed, to the host"),
    Rule("brk", 12, "the C library's own memory at start-up"),
    # Time, interrupts, signals.
    Rule("clock_gettime", 228, "reads the clock where the vDSO cannot"),
    Rule("clock_nanosleep", 230, "sleeps while idle"),
    Rule("nanosleep", 35, "sleeps while idle"),
    Rule("epoll_create", 213, "collects device interrupts"),
    Rule("epoll_create1", 291, "collects host channel events"),
    Rule("epoll_ctl", 233, "collects device interrupts"),
    Rule("epoll_wait", 232, "collects device interrupts"),
    Rule("poll", 7, "waits for the block device's helper"),
    Rule("ppoll", 271, "sleeps while idle"),
    Rule("signalfd4", 289, "receives signals of helper threads"),
    Rule("rt_sigaction", 13, "installs interrupt handlers"),
    Rule("rt_sigprocmask", 14, "disables and enables interrupts"),
    Rule("rt_sigreturn", 15, "returns from interrupts"),
    Rule("rt_sigsuspend", 130, "sleeps while idle"),
    Rule("sigaltstack", 131, "the interrupt stack"),
    Rule("futex", 202, "waits for helper threads"),
    Rule("restart_syscall", 219, "goes on with a call that a stop interrupted"),
    # Descriptors it holds: console, control, status, log, image, memory.
    Rule("read", 0, "control sessions, initramfs, helpers"),
    Rule("write", 1, "console, control sessions, status, log, helpers"),
    Rule("pread64", 17, "block device"),
    Rule("pwrite64", 18, "block device"),
    Rule("fdatasync", 75, "what the guest syncs on its layer, or a volume, is on the disk"),
    Rule("close", 3, "closes what it opened"),
    Rule("lseek", 8, "sizes the memory and image files"),
    Rule(
        "fcntl",
        72,
        "makes descriptors asynchronous: F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL "
        "F_SETLK F_SETOWN F_SETSIG F_ADD_SEALS",
        _is(1, 0, 1, 2, 3, 4, 6, 8, 10, 1030, 1033),
    ),
    Rule(
        "ioctl",
        16,
        "asks whether the console is a terminal, which it is not: TCGETS and TIOCGWINSZ only",
        _is(1, 0x5401, 0x5413),
    ),
    Rule("accept4", 288, "accepts control sessions on the one listening socket"),
    Rule("pipe2", 293, "talks to helper threads"),
    Rule(
        "openat",
        257,
        "opens memory, initramfs, image and directory shares: all the files there "
        "are in its mount namespace",
    ),
    Rule("access", 21, "looks for its files"),
    Rule("newfstatat", 262, "sizes its files"),
    Rule("statx", 332, "sizes the image; attributes of files in the shares"),
    Rule("fstat", 5, "sizes its files"),
    Rule("statfs", 137, "checks that its memory lies on tmpfs; how full a share is"),
    Rule("readlink", 89, "the C library asks for the name of the program; there is no /proc"),
    Rule("mkdir", 83, "its run-time directory"),
    Rule("unlink", 87, "its run-time directory"),
    Rule("rmdir", 84, "its run-time directory"),
    Rule("getdents64", 217, "empties its run-time directory; lists directories of the shares"),
    # Start and end.
    Rule("getrandom", 318, "seeds the guest's random numbers"),
    Rule("arch_prctl", 158, "the C library's thread area; the guest's segment bases"),
    Rule("set_tid_address", 218, "the C library's start-up"),
    Rule("set_robust_list", 273, "the C library's start-up and threads"),
    Rule("rseq", 334, "the C library's start-up and threads"),
    Rule("clone3", 435, "helper threads; refused, so that the C library falls back to clone"),
    Rule("prlimit64", 302, "reads limits, lowers the stack's"),
    Rule("personality", 135, "asks for its address space layout", _is(0, 0x40000)),
    Rule("setsid", 112, "leaves the caller's session"),
    Rule("uname", 63, "names the machine in its log"),
    Rule("getpid", 39, "signals itself"),
    Rule("gettid", 186, "directs its timer"),
    Rule("exit", 60, "ends helper threads and guest processes"),
    Rule("exit_group", 231, "power-off"),
)

_DIRECTORIES = (
    # All but the last are made by the broker, which has a filter of its own.
    Rule("fchdir", 81, "goes to a directory of a share: some calls take a name there only"),
    Rule("lgetxattr", 192, "extended attributes of files in the shares"),
    Rule("lsetxattr", 189, "extended attributes of files in the shares"),
    Rule("llistxattr", 195, "extended attributes of files in the shares"),
    Rule("lremovexattr", 198, "extended attributes of files in the shares"),
    Rule("fgetxattr", 193, "extended attributes of open files in the shares"),
    Rule("fsetxattr", 190, "extended attributes of open files in the shares"),
    Rule("mkdirat", 258, "makes directories on a volume"),
    Rule("unlinkat", 263, "removes files of a volume"),
    Rule("renameat2", 316, "renames files of a volume"),
    Rule("linkat", 265, "links files of a volume"),
    Rule("symlinkat", 266, "makes symbolic links on a volume"),
    Rule("readlinkat", 267, "reads symbolic links in the shares"),
    Rule("fchmod", 91, "modes of files of a volume"),
    Rule("utimensat", 280, "times of files of a volume"),
    Rule("ftruncate", 77, "truncates files of a volume"),
    Rule("preadv", 295, "reads files of the shares into the guest's memory"),
    Rule("pwritev", 296, "writes files of a volume from the guest's memory"),
    Rule("fsync", 74, "fsync on a volume"),
    Rule("copy_file_range", 326, "copies between files of a share"),
    Rule("flock", 73, "locks of the guest on files of the shares, for others on the host to see"),
    Rule("fcntl", 72, "such locks: F_OFD_GETLK F_OFD_SETLK", _is(1, 36, 37)),
    _SECCOMP,
    *_PLACE,
)

NARROWED = (
    "futex", "munmap", "mprotect", "rt_sigreturn", "setitimer", "ppoll", "sched_setaffinity",
    "tgkill", "wait4", "read", "write", "epoll_wait", "epoll_ctl", "accept4", "exit_group", "mmap",
    "madvise", "clone", "prctl", "pread64", "close", "fcntl",
)  # fmt: skip
"""What a container kernel on platform ``um`` leaves to itself before its guest runs.

It checks more arguments then, adds ``WRITTEN`` where there is a writable layer on disk, ``ioctl``
for the size of the one terminal that it was given, if it was, and keeps ``clock_gettime`` where the
host's vDSO has no clock. Its own source says so:
``arch/um/os-Linux/inproc/jail.c`` in the overlay.
"""

WRITTEN = ("pwrite64", "fdatasync", "fallocate")
"""What is left beside ``NARROWED``, for the one descriptor of the writable layer."""

REFUSED = frozenset({"clone3"})
"""Calls answered with ENOSYS instead of an end: their arguments cannot be checked by a filter."""


def rules(*, directories: bool, traced: bool) -> tuple[Rule, ...]:
    """The list for one container.

    With directory shares it also has the file calls that they need; ``traced`` tells how the
    container kernel runs its guest.
    """
    listed = (_TRACED if traced else _IN_PROCESS) + _CORE + (_DIRECTORIES if directories else ())
    merged: dict[str, Rule] = {}
    for rule in dict.fromkeys(listed):
        before = merged.get(rule.name)
        merged[rule.name] = rule if before is None else _either(before, rule)
    return tuple(merged.values())


def _either(one: Rule, other: Rule) -> Rule:
    """What either lets through; both have conditions."""
    return one._replace(
        reason=f"{one.reason}; {other.reason}", alternatives=one.alternatives + other.alternatives
    )
