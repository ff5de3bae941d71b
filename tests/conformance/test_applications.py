"""Applications under load, in a container and on the host: each workload checks its own results."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conformance.conftest import HERE, Containers
from tests.conformance.differences import Differences
from tests.conformance.native import needs_root, run_in_tree
from tests.conformance.tree import IMAGE, Tree

WORKLOADS = {
    "redis": ("python3.11", "/workloads/redis.py"),
    "nginx": ("python3.11", "/workloads/nginx.py"),
    "postgres": ("python3.11", "/workloads/postgres.py"),
    "sqlite": ("python3.11", "/workloads/sqlite.py"),
    "node": ("node", "/workloads/node.js"),
    "go": ("/workloads/go.sh",),
    "java": ("/workloads/java.sh",),
    "build": ("/workloads/build.sh",),
}
"""What takes the seconds it is to last as its last argument, and fails where a result is wrong."""

NATIVE_S = 3
"""On the host a short load says whether the workload itself is right."""

COUNTED = 'status=0; "$@" || status=$?; echo; cat /proc/inproc 2>/dev/null; exit $status'
"""A program, and then how its system calls arrived, on platform um."""

STEADY_S = 30
"""How long a load must last so that its beginning, when sites still trap, does not count."""

PATCHED_LEAST = 0.99
"""The share of system calls that must arrive through patched sites."""

SLACK_S = 600
MEMORY = "2g"


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    output = (done.stdout + done.stderr)[-3000:].decode(errors="replace")
    return f"status {done.returncode}: {output}"


def patched_share(output: str) -> float | None:
    """The share of all system calls that did not trap; None where nothing is told."""
    counts = dict(re.findall(r"^(calls|trapped) (\d+)$", output, re.MULTILINE))
    return 1 - int(counts["trapped"]) / int(counts["calls"]) if counts else None


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", WORKLOADS)
def test_application(
    name: str,
    tree: Tree,
    containers: Containers,
    load_s: int,
    tmp_path: Path,
    differences: Differences,
) -> None:
    if needs_root():
        pytest.skip(needs_root())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    native = run_in_tree(
        tree,
        (*WORKLOADS[name], str(NATIVE_S)),
        scratch=scratch,
        shared={HERE / "workloads": "/workloads"},
        timeout_s=SLACK_S,
    )
    assert native.returncode == 0, f"fails on the host, so the workload is wrong: {said(native)}"
    shared = ("-v", f"{HERE / 'workloads'}:/workloads:ro", "-m", MEMORY)
    limit_s = 2 * load_s + SLACK_S
    try:
        command = ("sh", "-c", COUNTED, "sh", *WORKLOADS[name], str(load_s))
        done = containers.run(*shared, IMAGE, *command, timeout_s=limit_s)
        problem = said(done) if done.returncode else ""
        output = done.stdout.decode()
        share = patched_share(output)
        print(f"{name}: {output.strip()}\npatched: {share}")  # noqa: T201 (how much was done)
        if share is not None and load_s >= STEADY_S and share < PATCHED_LEAST:
            problem = problem or f"of all system calls {share:.1%} come through patched sites"
    except subprocess.TimeoutExpired:
        problem = f"no end within {limit_s} s"
    differences.judge(f"applications/{name}", problem)
