"""The leak check of the fixtures sees what it is there for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from drupe.store import paths
from tests import conftest
from tests.conftest import Home


def left(home: Home, before: set[str]) -> str:
    return "\n".join(conftest.traces(home) - before)


def test_a_home_of_its_own(private_home: Home, tmp_path: Path) -> None:
    assert paths.state_home() == private_home.state
    assert paths.data_home() == private_home.data
    assert paths.cache_home() == private_home.cache
    assert all(path.is_relative_to(tmp_path) for path in (private_home.state, private_home.data))


def test_the_real_users_data_is_found(private_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert private_home.data == paths.data_dirs()[0]
    assert len(paths.data_dirs()) >= 3


def test_a_process_is_seen(private_home: Home) -> None:
    before = conftest.traces(private_home)
    with (private_home.path / "console").open("w") as console:
        child = subprocess.Popen(["sleep", "1000"], stdout=console)
    try:
        assert f"process {child.pid}: sleep" in left(private_home, before)
        assert f"child process {child.pid}" in left(private_home, before)
    finally:
        child.kill()
        child.wait()
    assert not left(private_home, before)


def test_a_descriptor_is_seen(private_home: Home) -> None:
    before = conftest.traces(private_home)
    reader, writer = os.pipe()
    assert f"descriptor {reader}: pipe:" in left(private_home, before)
    os.close(reader)
    os.close(writer)
    assert not left(private_home, before)


@pytest.mark.parametrize("part", ["containers", "names"])
def test_a_file_is_seen(private_home: Home, part: str) -> None:
    before = conftest.traces(private_home)
    (private_home.state / part / "x").mkdir(parents=True)
    assert f"{part}/x" in left(private_home, before)
