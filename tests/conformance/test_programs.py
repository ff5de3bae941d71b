"""Every case of the C programs, on the host and in a container."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.conformance.conftest import Containers
from tests.conformance.differences import Differences
from tests.conformance.toolchain import Programs, cases

SKIPPED = 77
"""The exit status of a case that cannot be tried on this host: see ``check.h``."""

LIMIT_S = 120
LONG_S = 1500
LONG = {
    "a_million_signals",
    "fifty_thousand_threads",
    "two_hundred_thousand_forks",
    "ten_thousand_execs",
}


def parameters() -> list[object]:
    return [
        pytest.param(
            program,
            case,
            id=f"{program}-{case}",
            marks=pytest.mark.timeout(2 * (LONG_S if case in LONG else LIMIT_S)),
        )
        for program, case in cases()
    ]


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode(errors="replace").strip()


@pytest.mark.parametrize(("program", "case"), parameters())
def test_case(
    program: str, case: str, programs: Programs, containers: Containers, differences: Differences
) -> None:
    argv = (programs.path(program), case)
    limit_s = LONG_S if case in LONG else LIMIT_S
    native = subprocess.run(argv, capture_output=True, check=False, timeout=limit_s)
    if native.returncode == SKIPPED:
        pytest.skip(said(native))
    assert native.returncode == 0, f"fails on the host, so the case is wrong: {said(native)}"
    try:
        settings = [f"-e{name}" for name in os.environ if name.startswith("CONFORMANCE_")]
        where = ("--rootfs", "/", "-m", "1g", *settings, "--")
        done = containers.run(*where, *argv, timeout_s=limit_s)
        problem = f"status {done.returncode}: {said(done)}" if done.returncode else ""
    except subprocess.TimeoutExpired:
        problem = f"no end within {limit_s} s"
    differences.judge(f"{program}/{case}", problem)
