"""Starts a program in the jail: two forks, the steps of ``drupe.jail.enter``, execve()."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, NamedTuple

from drupe._linux import namespaces, privileges
from drupe.errors import HostError
from drupe.jail import enter
from drupe.jail.plan import JailPlan

# What the forks report: a tag, the size of what follows, and that.
_HEADER = struct.Struct("=cI")
_READY = b"R"
_PID = b"P"
_ERROR = b"E"
# What they wait for, twice.
_GO = b"G"

_STEP_KERNEL = "its kernel"
_KERNEL_HINT = "the kernel's file must be an x86-64 program that all users may execute"


def spawn(
    plan: JailPlan,
    program: int,
    argv: Sequence[str],
    env: Mapping[str, str],
    descriptors: Sequence[int],
    on_pid: Callable[[int], None],
) -> int:
    """Starts ``program``, an open file, in a new jail; returns its host process id.

    ``descriptors`` become its 0, 1, 2 and so on. ``on_pid`` records the process id; only after it
    has returned is the program executed, so that no program ever runs unrecorded: if this process
    ends first, so do the forks. The program is not a child of the caller: it is waited for through
    a pidfd, and no zombie is left to the caller.

    Raises:
        HostError: a step failed; names it. Nothing is left.
    """
    from_child, to_parent = os.pipe()
    from_parent, to_child = os.pipe()
    # No handler of the caller's may run in a fork, and raise there into the caller's code.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        child = os.fork()
        if child == 0:
            os.close(from_child)
            os.close(to_child)
            _first_fork(_Launch(plan, program, argv, env, descriptors, to_parent, from_parent))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(to_parent)
    os.close(from_parent)
    try:
        with os.fdopen(from_child, "rb") as reports:
            _expect(reports, _READY)
            _map_ids(plan, child)
            os.write(to_child, _GO)
            (pid,) = struct.unpack("=i", _expect(reports, _PID))
            on_pid(pid)
            os.write(to_child, _GO)
            _expect(reports, b"")
            return int(pid)
    finally:
        # Without our _GO the forks see this pipe close and end by themselves.
        os.close(to_child)
        with contextlib.suppress(ChildProcessError):  # a caller that ignores SIGCHLD
            os.waitpid(child, 0)


def _map_ids(plan: JailPlan, child: int) -> None:
    uids, gids = plan.id_maps
    try:
        namespaces.write_id_maps(child, uids, gids, deny_setgroups=os.geteuid() != 0)
    except OSError as error:
        raise _failure(error.errno or 0, "mapping user ids") from error


def _expect(reports: BinaryIO, tag: bytes) -> bytes:
    """Reads the next report, which must bear ``tag``; b"" stands for the end, by execve()."""
    header = reports.read(_HEADER.size)
    if not header:
        if tag == b"":
            return b""
        raise _failure(0, "it ended early")
    kind, size = _HEADER.unpack(header)
    body = reports.read(size)
    if kind == _ERROR:
        number, _, step = body.partition(b"\0")
        raise _failure(int(number), step.decode(errors="replace"))
    if kind != tag:
        raise _failure(0, "its steps came out of order")
    return body


def _report(pipe: int, tag: bytes, body: bytes = b"") -> None:
    os.write(pipe, _HEADER.pack(tag, len(body)) + body)


def _failure(number: int, step: str) -> HostError:
    cause = f"{step}: {os.strerror(number)}" if number else step
    hint = _KERNEL_HINT if step == _STEP_KERNEL else _hint(number)
    return HostError(f"failed to make a jail: {cause}", hint=hint)


def _hint(number: int) -> str:
    if number in {errno.EPERM, errno.ENOSPC, errno.EUSERS, errno.EACCES}:
        return (
            "this host may forbid user namespaces: 'drupe system check' tells which setting "
            "(user.max_user_namespaces, kernel.unprivileged_userns_clone, AppArmor)"
        )
    return "'drupe system check' tells what this host lacks"


class _Launch(NamedTuple):
    """What the forks get: the arguments of ``spawn``, and their ends of the two pipes."""

    plan: JailPlan
    program: int
    argv: Sequence[str]
    env: Mapping[str, str]
    descriptors: Sequence[int]
    report: int
    orders: int


def _first_fork(launch: _Launch) -> None:
    """Never returns."""
    step = "new namespaces"
    status = 1
    try:
        privileges.die_with_parent(signal.SIGKILL)
        may_set_groups = os.geteuid() == 0
        enter.leave_host()
        step = "opening what it holds"
        opened, shares = enter.open_sources(launch.plan)
        _report(launch.report, _READY)
        if os.read(launch.orders, 1) == _GO:
            step = "taking its user id"
            enter.take_ids(may_set_groups=may_set_groups)
            step = "process 1"
            kernel = os.fork()
            if kernel == 0:
                _process_one(launch, opened, shares)
            _report(launch.report, _PID, struct.pack("=i", kernel))
            status = 0
    except OSError as error:
        _report_error(launch.report, error, step)
    finally:
        os._exit(status)


def _process_one(
    launch: _Launch, opened: Sequence[enter.Source], shares: Sequence[enter.Source]
) -> None:
    """Never returns."""
    plan, report = launch.plan, launch.report
    step = "its root"
    try:
        enter.build_root(plan, opened, shares)
        if os.read(launch.orders, 1) != _GO:
            return
        step = "its session"
        os.setsid()
        _reset_signals()
        step = "its privileges"
        enter.drop_privileges(plan)
        step = "its descriptors"
        report, program = enter.take_descriptors(launch.descriptors, report, launch.program)
        step = "its system call filter"
        enter.load_filter(plan)
        step = _STEP_KERNEL
        os.execve(program, list(launch.argv), dict(launch.env))  # noqa: S606
    except OSError as error:
        _report_error(report, error, step)
    finally:
        os._exit(1)


def _reset_signals() -> None:
    """All by default, whatever the caller has made of them, and none held back."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGXFSZ, signal.SIGPIPE, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _report_error(report: int, error: OSError, step: str) -> None:
    name = error.filename
    text = f"{step}: '{os.fsdecode(name)}'" if isinstance(name, str | bytes) else step
    _report(report, _ERROR, f"{error.errno or 0}\0{text}".encode(errors="replace"))
