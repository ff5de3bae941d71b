"""A short run of the fuzzer of the broker of shares; tests/fuzz/README.md tells of long ones."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUESTS = 15_000


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, for this host."""
    if not shutil.which("gcc") or not shutil.which("make"):
        pytest.skip("gcc or make is missing")
    out = tmp_path_factory.mktemp("fuzz")
    program = out / "fuzz_broker"
    subprocess.run(["make", "-s", "-C", ROOT / "guest", f"O={out}", program], check=True)
    return program


@pytest.mark.parametrize("how", [(), ("race",)], ids=["alone", "while they change"])
def test_requests_at_random(fuzzer: Path, how: tuple[str, ...]) -> None:
    seed = str(random.randrange(1 << 31))
    done = subprocess.run(
        [fuzzer, seed, str(REQUESTS), *how], capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 0, (seed, done)
    assert b" done" in done.stdout
