"""The one place that spawns programs.

Container kernels are not spawned here: they start from a fork that is jailed step by step
(``drupe.platform``).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from drupe.errors import CommandError, HostError, TimedOutError

if TYPE_CHECKING:
    import subprocess

_STDERR_TAIL_BYTES = 8192


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input_bytes: bytes | None = None,
    hint: str | None = None,
    program: str | None = None,
    timeout_s: float | None = None,
) -> bytes:
    """Runs a program to its end and returns what it wrote to standard output.

    It is ``program`` where its first argument is not its path.

    Raises:
        HostError: there is no such program.
        CommandError: it failed; holds the end of its standard error.
        TimedOutError: it was ended after ``timeout_s`` seconds.
    """
    import subprocess

    try:
        done = subprocess.run(
            list(argv),
            executable=program,
            timeout=timeout_s,
            cwd=cwd,
            env=env,
            input=input_bytes,
            stdin=subprocess.DEVNULL if input_bytes is None else None,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise HostError(f"failed to run '{argv[0]}': no such program", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise TimedOutError(
            f"failed to run '{argv[0]}': not ended in {timeout_s} s", timeout_s or 0.0
        ) from error
    if done.returncode != 0:
        stderr = done.stderr[-_STDERR_TAIL_BYTES:].decode(errors="replace")
        raise CommandError(argv, done.returncode, stderr, hint=hint)
    return done.stdout


def attend(argv: Sequence[str], *, quiet: bool = False) -> int:
    """Runs a program that reads and writes what the caller does; returns its exit status.

    Ctrl-C reaches both; the program is waited for in any case. ``quiet``: what it writes to
    standard output is dropped.

    Raises:
        HostError: there is no such program.
    """
    import subprocess

    try:
        child = subprocess.Popen(list(argv), stdout=subprocess.DEVNULL if quiet else None)
    except OSError as error:
        raise HostError(f"failed to run '{argv[0]}': {error.strerror}") from error
    try:
        return child.wait()
    except BaseException:
        child.wait()
        raise


def run_logged(
    argv: Sequence[str],
    log: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> int:
    """Runs a program with both its outputs appended to ``log``; returns its exit status.

    ``on_line`` sees each line as it comes, for progress. The program and its children end when
    this process is interrupted.

    Raises:
        HostError: there is no such program.
    """
    import subprocess

    with log.open("ab") as sink:
        try:
            child = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise HostError(f"failed to run '{argv[0]}': no such program") from error
        try:
            assert child.stdout is not None  # noqa: S101 (stdout=PIPE)
            for line in child.stdout:
                sink.write(line)
                if on_line is not None:
                    on_line(line.decode(errors="replace").rstrip("\n"))
            return child.wait()
        except BaseException:
            _end_session(child)
            raise


class Daemon:
    """A program that goes to the background by itself once it is ready, or fails before.

    Nothing slow is imported for it: it is on the path of a run.
    """

    def __init__(
        self, argv: Sequence[str], *, env: Mapping[str, str], inherit: Sequence[int] = ()
    ) -> None:
        """Starts it. The descriptors ``inherit`` are its own too, with the same numbers.

        Raises:
            HostError: there is no such program.
        """
        self._argv = argv
        self._complaints = os.memfd_create("complaints", os.MFD_CLOEXEC)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        moves = [(null, 0), (null, 1), (self._complaints, 2), *((fd, fd) for fd in inherit)]
        try:
            self._pid = os.posix_spawn(
                argv[0],
                list(argv),
                env,
                file_actions=[(os.POSIX_SPAWN_DUP2, *move) for move in moves],
                setsigmask=(),
            )
        except OSError as error:
            os.close(self._complaints)
            raise HostError(f"failed to run '{argv[0]}': {error.strerror}") from error
        finally:
            os.close(null)

    def complaints(self) -> str:
        """What it has said so far on standard error."""
        return os.pread(self._complaints, _STDERR_TAIL_BYTES, 0).decode(errors="replace").strip()

    def wait_ready(self, *, hint: str | None = None) -> None:
        """Waits until it is in the background.

        Raises:
            CommandError: it failed; holds the end of its standard error.
        """
        try:
            _, status = os.waitpid(self._pid, 0)
            code = os.waitstatus_to_exitcode(status)
        except ChildProcessError:  # a caller that ignores SIGCHLD
            code = 0
        self._pid = 0
        stderr = os.pread(self._complaints, _STDERR_TAIL_BYTES, 0).decode(errors="replace")
        self.close()
        if code != 0:
            raise CommandError(self._argv, code, stderr, hint=hint)

    def close(self) -> None:
        """Ends it, unless it is in the background already; nothing of it is left to the caller."""
        import signal

        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._pid = 0
        if self._complaints >= 0:
            os.close(self._complaints)
            self._complaints = -1


def open_elsewhere(namespaces: Sequence[str], work: Callable[[], int]) -> int:
    """What ``work`` opens in other namespaces, which are entered in that order, by a fork.

    Raises:
        HostError: a namespace cannot be entered, or ``work`` failed.
    """
    import signal
    import socket

    from drupe._linux.namespaces import enter

    last = namespaces[-1] if namespaces else "/proc/self/ns"
    ours, its = socket.socketpair()
    # No handler of the caller's may run in the fork.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        child = os.fork()
        if child == 0:
            try:
                for path in namespaces:
                    enter(path)
                socket.send_fds(its, [b"ok"], [work()])
            except OSError as error:
                its.send(f"{error.filename or last}: {error.strerror}".encode())
            except HostError as error:
                its.send(f"{error}\0{error.hint or ''}".encode())
            finally:
                os._exit(0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    its.close()
    with ours:
        told, descriptors, _, _ = socket.recv_fds(ours, 4096, 1)
    _forget(child)
    if descriptors:
        os.set_inheritable(descriptors[0], False)
        return descriptors[0]
    cause, _, hint = told.decode(errors="replace").partition("\0")
    if hint or cause.startswith("failed to"):
        raise HostError(cause, hint=hint or None)
    raise HostError(f"failed to join '{last}': {cause or 'it ended'}")


def fork_off(work: Callable[[], int]) -> int:
    """Has a fork of this process do ``work``, in a session of its own, and exit with what it says.

    Returns its process id; it is not waited for.
    """
    child = os.fork()
    if child:
        return child
    status = 255
    try:
        os.setsid()
        status = work()
    finally:
        os._exit(status)


def _forget(child: int) -> None:
    try:
        os.waitpid(child, 0)
    except ChildProcessError:  # a caller that ignores SIGCHLD
        return


def pipeline(stages: Sequence[Sequence[str]], *, hint: str | None = None) -> None:
    """Runs programs that each read what the one before wrote, to the end of all of them.

    What the last one writes to standard output is dropped.

    Raises:
        HostError: there is no such program.
        CommandError: one failed; holds the end of its standard error. Where several failed, the
            last one that was not merely cut off by its neighbour.
    """
    import subprocess
    import tempfile

    children: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryFile() as complaints:
        try:
            for number, argv in enumerate(stages):
                last = number == len(stages) - 1
                before = children[-1].stdout if children else subprocess.DEVNULL
                children.append(
                    subprocess.Popen(
                        list(argv),
                        stdin=before,
                        stdout=subprocess.DEVNULL if last else subprocess.PIPE,
                        stderr=complaints,
                        start_new_session=True,
                    )
                )
                if isinstance(before, int) or before is None:
                    continue
                before.close()
            for child in children:
                child.wait()
        except FileNotFoundError as error:
            for child in children:
                _end_session(child)
            name = stages[len(children)][0]
            raise HostError(f"failed to run '{name}': no such program", hint=hint) from error
        except BaseException:
            for child in children:
                _end_session(child)
            raise
        failed = [child for child in children if child.returncode != 0]
        if failed:
            blamed = next((c for c in reversed(failed) if c.returncode != -13), failed[-1])
            complaints.seek(0)
            stderr = complaints.read()[-_STDERR_TAIL_BYTES:].decode(errors="replace")
            argv = stages[children.index(blamed)]
            raise CommandError(argv, blamed.returncode, stderr, hint=hint)


def _end_session(child: subprocess.Popen[bytes]) -> None:
    import signal
    import subprocess

    try:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(timeout=5)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        child.kill()
        child.wait()
