"""The one place that spawns programs.

Container kernels are not spawned here: they start from a fork that is jailed step by step
(``drupe.platform``).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from drupe.errors import CommandError, HostError

_STDERR_TAIL_BYTES = 8192


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input_bytes: bytes | None = None,
    hint: str | None = None,
) -> bytes:
    """Runs a program to its end and returns what it wrote to standard output.

    Raises:
        HostError: there is no such program.
        CommandError: it failed; holds the end of its standard error.
    """
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env=env,
            input=input_bytes,
            stdin=subprocess.DEVNULL if input_bytes is None else None,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise HostError(f"failed to run '{argv[0]}': no such program", hint=hint) from error
    if done.returncode != 0:
        stderr = done.stderr[-_STDERR_TAIL_BYTES:].decode(errors="replace")
        raise CommandError(argv, done.returncode, stderr, hint=hint)
    return done.stdout


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


def pipeline(stages: Sequence[Sequence[str]], *, hint: str | None = None) -> None:
    """Runs programs that each read what the one before wrote, to the end of all of them.

    What the last one writes to standard output is dropped.

    Raises:
        HostError: there is no such program.
        CommandError: one failed; holds the end of its standard error. Where several failed, the
            last one that was not merely cut off by its neighbour.
    """
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
    import os
    import signal

    try:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(timeout=5)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        child.kill()
        child.wait()
