"""What the host asks of a guest, as frames: the container, then processes in it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from drupe.errors import SpecError
from drupe.guest.protocol import (
    CAPABILITIES,
    CAPABILITY_SETS,
    COUNT_MAX,
    FRAME_MAX,
    GROUPS_MAX,
    HEALTH,
    HOSTNAME_MAX,
    LIMIT,
    MOUNT,
    MOUNTS_MAX,
    OOM,
    RESTART,
    RLIMIT,
    SPEC_MAX,
    START,
    UMASK,
    WINDOW,
    LimitKind,
    MountFlag,
    RestartPolicy,
    StartFlag,
    Type,
    encode,
)

UNLIMITED = 0xFFFF_FFFF_FFFF_FFFF


class Mount(NamedTuple):
    """One mount of the container, in the guest's words.

    Attributes:
        kind: file system type.
        source: as for mount(2).
        target: absolute path in the container; the first mount's is "/".
        options: as for mount(2).
        readonly: no writes.
        overlay: root only: a writable layer above it.
        layer: it is that layer, the next mount after the root; without it, that is in memory.
        guarded: no set-user-id programs, no devices.
        noexec: no programs.
        file: of what is mounted, only the one file in it.
        seed: if it is empty, it gets what is there below it.
        masked: nothing is mounted, but what lies there, if anything, cannot be seen.
        frozen: nothing is mounted, but what lies there, if anything, cannot be written.
    """

    kind: str
    source: str
    target: str
    options: str = ""
    readonly: bool = False
    overlay: bool = False
    layer: bool = False
    guarded: bool = False
    noexec: bool = False
    file: bool = False
    seed: bool = False
    masked: bool = False
    frozen: bool = False


class Care(NamedTuple):
    """What the guest's init does for the main process while it runs.

    Attributes:
        policy: whether it is started again.
        attempts: on failure: so many at most; 0: no end.
        check: a command that tells how it does; empty: none.
        times_ms: of that: interval, timeout, start period, interval in that period.
        retries: failures in a row that make it unhealthy.
    """

    policy: RestartPolicy = RestartPolicy.NO
    attempts: int = 0
    check: tuple[str, ...] = ()
    times_ms: tuple[int, int, int, int] = (30_000, 30_000, 0, 5000)
    retries: int = 3

    def frames(self) -> bytes:
        """What is to be said before BOOT.

        Raises:
            SpecError: the command cannot be said in the protocol.
        """
        frames = b""
        if self.policy is not RestartPolicy.NO:
            frames += self.restart_frame()
        if self.check:
            words = b"".join(_text("health check", word) + b"\0" for word in self.check)
            frames += encode(Type.HEALTH, HEALTH.pack(*self.times_ms, self.retries, 0) + words)
        return frames

    def restart_frame(self) -> bytes:
        """The policy, before BOOT or instead of an earlier one."""
        return encode(Type.RESTART, RESTART.pack(self.policy, self.attempts))


class Process(NamedTuple):
    """One process in a container.

    Attributes:
        args: the program and its arguments; never empty.
        env: NAME → value, all of it.
        cwd: absolute path; made if missing.
        user: user[:group], names or numbers; empty: root.
        groups: supplementary groups, names or numbers.
        rlimits: (resource number, soft, hard); ``UNLIMITED`` for none.
        capabilities: bits of those that it may have; None: all.
        capability_sets: bits of each set: bounding, effective, permitted, inheritable, ambient.
        no_new_privileges: execve() gives no rights.
        umask: mask of file modes; None: 022.
        oom_score_adj: -1000 to 1000; None: as init's.
        terminal: (rows, columns) of a PTY, or None: pipes.
        stdin: whether input follows; else it reads /dev/null.
        helper: no program but a service of the guest's init, which the first argument names.
    """

    args: tuple[str, ...]
    env: Mapping[str, str] = MappingProxyType({})
    cwd: str = "/"
    user: str = ""
    groups: tuple[str, ...] = ()
    rlimits: tuple[tuple[int, int, int], ...] = ()
    capabilities: int | None = None
    capability_sets: tuple[int, int, int, int, int] | None = None
    no_new_privileges: bool = False
    umask: int | None = None
    oom_score_adj: int | None = None
    terminal: tuple[int, int] | None = None
    stdin: bool = False
    helper: bool = False


def boot_frames(
    hostname: str,
    mounts: tuple[Mount, ...],
    *,
    sysctls: Mapping[str, str] = MappingProxyType({}),
    limits: Mapping[LimitKind, int] = MappingProxyType({}),
    care: Care = Care(),  # noqa: B008 (never changed)
    further: bytes = b"",
    domainname: str = "",
) -> bytes:
    """The frames that make a container of a booted guest.

    ``sysctls`` maps paths below /proc/sys to values. ``further`` are frames that other
    modules made: networks, files.

    Raises:
        SpecError: they cannot be said in the protocol; names what.
    """
    name = _text("host name", hostname)
    if not 0 < len(name) <= HOSTNAME_MAX:
        raise SpecError(f"failed to use host name '{hostname}': 1 to {HOSTNAME_MAX} bytes, please")
    if not mounts or mounts[0].target != "/" or len(mounts) > MOUNTS_MAX:
        raise SpecError(f"failed to mount: 1 to {MOUNTS_MAX} mounts, the first at '/', please")
    frames = [encode(Type.HOSTNAME, name)]
    if domainname:
        frames.append(encode(Type.DOMAINNAME, _text("domain name", domainname)))
    for mount in mounts:
        flags = MountFlag.READONLY * mount.readonly | MountFlag.OVERLAY * mount.overlay
        flags |= MountFlag.LAYER * mount.layer | MountFlag.GUARDED * mount.guarded
        flags |= MountFlag.NOEXEC * mount.noexec
        flags |= MountFlag.FILE * mount.file | MountFlag.SEED * mount.seed
        flags |= MountFlag.MASKED * mount.masked | MountFlag.FROZEN * mount.frozen
        strings = (mount.kind, mount.source, mount.target, mount.options)
        body = b"".join(_text(f"mount at {mount.target}", string) + b"\0" for string in strings)
        frames.append(encode(Type.MOUNT, MOUNT.pack(flags) + body))
    for path, value in sysctls.items():
        payload = _text("sysctl", path) + b"\0" + _text(f"sysctl {path}", value)
        frames.append(encode(Type.SYSCTL, payload))
    frames += [encode(Type.LIMIT, LIMIT.pack(kind, 0, most)) for kind, most in limits.items()]
    frames += [care.frames(), further, encode(Type.BOOT)]
    return b"".join(frames)


def process_frames(process: Process, flags: StartFlag) -> bytes:
    """The frames that start a process.

    Raises:
        SpecError: they cannot be said in the protocol; names what.
    """
    args = [_text("argument", arg) for arg in process.args]
    env = [_text(f"environment variable {k}", f"{k}={v}") for k, v in process.env.items()]
    if not args or not args[0]:
        raise SpecError("failed to start a process: no command given", hint="name a command")
    _check_amounts(process, args, env)
    frames = [encode(Type.ARG, arg) for arg in args] + [encode(Type.ENV, entry) for entry in env]
    frames.append(encode(Type.CWD, _text("directory", process.cwd)))
    if process.user:
        frames.append(encode(Type.USER, _text("user", process.user)))
    frames += [encode(Type.GROUP, _text("group", group)) for group in process.groups]
    frames += [
        encode(Type.RLIMIT, RLIMIT.pack(resource, 0, soft, hard))
        for resource, soft, hard in process.rlimits
    ]
    frames += _rights(process)
    if process.terminal is not None:
        frames.append(encode(Type.TERMINAL, WINDOW.pack(*process.terminal)))
    flags |= StartFlag.STDIN * process.stdin | StartFlag.HELPER * process.helper
    frames.append(encode(Type.START, START.pack(flags)))
    return b"".join(frames)


def _rights(process: Process) -> list[bytes]:
    frames = []
    if process.capabilities is not None or process.no_new_privileges:
        kept = UNLIMITED if process.capabilities is None else process.capabilities
        payload = CAPABILITIES.pack(kept, process.no_new_privileges, 0)
        frames.append(encode(Type.CAPABILITIES, payload))
    if process.capability_sets is not None:
        payload = CAPABILITY_SETS.pack(*process.capability_sets)
        frames.append(encode(Type.CAPABILITY_SETS, payload))
    if process.umask is not None:
        frames.append(encode(Type.UMASK, UMASK.pack(process.umask)))
    if process.oom_score_adj is not None:
        frames.append(encode(Type.OOM, OOM.pack(process.oom_score_adj + 1000)))
    return frames


def _check_amounts(process: Process, args: list[bytes], env: list[bytes]) -> None:
    largest = max(map(len, [*args, *env]))
    if largest >= FRAME_MAX:
        raise SpecError(
            f"failed to start '{process.args[0]}': an argument or variable of {largest} bytes; "
            f"Linux takes less than {FRAME_MAX}"
        )
    total = sum(map(len, args)) + sum(map(len, env))
    if total > SPEC_MAX or len(args) > COUNT_MAX or len(env) > COUNT_MAX:
        raise SpecError(
            f"failed to start '{process.args[0]}': arguments and environment of {total} bytes; "
            f"at most {SPEC_MAX} fit"
        )
    if not process.cwd.startswith("/"):
        raise SpecError(
            f"failed to use directory '{process.cwd}': not an absolute path",
            hint="begin it with /",
        )
    if len(process.groups) > GROUPS_MAX:
        raise SpecError(f"failed to set groups: {len(process.groups)}, at most {GROUPS_MAX}")


def _text(what: str, value: str) -> bytes:
    encoded = value.encode("utf-8", "surrogateescape")
    if b"\0" in encoded:
        raise SpecError(f"failed to send {what} to the guest: it holds a NUL byte")
    return encoded
