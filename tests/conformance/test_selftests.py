"""The kernel's selftests: what passes on the host passes in a container."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conformance.conftest import Containers
from tests.conformance.differences import Differences
from tests.conformance.native import needs_root, run_in_tree
from tests.conformance.selftests import PLACE, PROGRAMS, build_selftests
from tests.conformance.tree import IMAGE, Tree

LIMIT_S = 150
SKIPPED = 4
_CASE = re.compile(r"^\s*(?:# )?(not ok|ok) \d+ (.*?)\s*$", re.M)
_NAMES = [(directory, program) for directory, programs in PROGRAMS.items() for program in programs]


@pytest.fixture(scope="session")
def built(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if needs_root():
        pytest.skip(needs_root())
    return build_selftests(tree, tmp_path_factory.mktemp("selftests"))


def cases(done: subprocess.CompletedProcess[bytes]) -> dict[str, str]:
    """What a program says of its cases; one that says nothing has a single one, its status."""
    found = {}
    for verdict, name in _CASE.findall(done.stdout.decode(errors="replace")):
        skipped = re.search(r"# (?:SKIP|XFAIL)", name, re.I)
        found[re.sub(r"\s*#.*| - \d+.*", "", name)] = "skip" if skipped else verdict
    statuses = {0: "ok", SKIPPED: "skip"}
    return found or {"status": statuses.get(done.returncode, "not ok")}


def command(directory: str, program: str) -> tuple[str, ...]:
    limit = ("timeout", "-s", "KILL", str(LIMIT_S))
    # Some make files beside themselves, and the volume is read only.
    run = f"cp -r {PLACE}/{directory} /tmp/here && cd /tmp/here && ./{program} 2>/tmp/errors"
    return (*limit, "sh", "-c", run)


@pytest.mark.timeout(0)
@pytest.mark.parametrize(("directory", "program"), _NAMES, ids=[f"{d}-{p}" for d, p in _NAMES])
def test_selftest(
    directory: str,
    program: str,
    built: Path,
    tree: Tree,
    containers: Containers,
    tmp_path: Path,
    differences: Differences,
) -> None:
    if not (built / directory / program).exists():
        pytest.skip("cannot be built with this compiler and these libraries")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    argv = command(directory, program)
    shared = {built: PLACE}
    native = run_in_tree(tree, argv, scratch=scratch, shared=shared, timeout_s=2 * LIMIT_S)
    here = cases(native)
    if "ok" not in here.values():
        pytest.skip("passes on the host neither")
    volume = ("-v", f"{built}:{PLACE}:ro", "-m", "1g")
    done = containers.run(*volume, IMAGE, *argv, timeout_s=2 * LIMIT_S)
    there = cases(done)
    worse = [
        f"{name}: {there.get(name, f'not told, status {done.returncode}')}"
        for name, verdict in here.items()
        if verdict == "ok" and there.get(name) != "ok"
    ]
    differences.judge(f"selftests/{directory}/{program}", "; ".join(worse))
