"""Fixtures for all tests: a private home, the fake guest, and a check that nothing is left."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from drupe.limits.hierarchy import find_parents
from tests.fakes.platform import build_fake_guest

# A busy machine is no defect.
settings.register_profile("drupe", deadline=None)
settings.load_profile("drupe")

_END_S = 5.0
"""How long what a test started may take to go after the test has ended."""


@dataclass(frozen=True)
class Home:
    """Directories of one test alone; ``state``, ``data`` and ``cache`` are drupe's own in them."""

    path: Path
    state: Path
    data: Path
    cache: Path


@pytest.fixture
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A user's home of the test's own; kernels and images that the real user has are found."""
    real = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    system = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    monkeypatch.setenv("XDG_DATA_DIRS", f"{real}:{system}")
    for name in ("state", "data", "cache"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path / name))
    home = (tmp_path / name / "drupe" for name in ("state", "data", "cache"))
    return Home(tmp_path, *home)


@pytest.fixture(scope="session")
def fake_guest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guest's init as a program of this host; for ``FakePlatform``."""
    return build_fake_guest(tmp_path_factory.mktemp("fake-guest"))


@pytest.fixture
def no_leaks(private_home: Home) -> Iterator[None]:
    """Fails a test that leaves a process, mount, descriptor or container behind."""
    before = traces(private_home)
    yield
    deadline = time.monotonic() + _END_S
    while (left := traces(private_home) - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, "left behind:\n" + "\n".join(sorted(left))


def traces(home: Home) -> set[str]:
    """What can be left, each as a line that names it."""
    return {
        *_machines(home),
        *(f"child process {pid}" for pid in _children()),
        *(f"mount {line}" for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        *(f"descriptor {fd}: {name}" for fd, name in _descriptors(Path("/proc/self/fd"))),
        *(f"file {path}" for part in ("containers", "names") for path in _list(home.state / part)),
        *(f"control group {path}" for path in _empty_groups()),
    }


def _empty_groups() -> Iterator[Path]:
    """Those of machines that have gone; others that run at the same time have processes."""
    for path in {parent.path for parent in find_parents().values()}:
        for group in path.glob("drupe-*"):
            with suppress(OSError):
                if not (group / "cgroup.procs").read_text():
                    yield group


def _machines(home: Home) -> Iterator[str]:
    """Processes of this test's containers.

    They hold the status file, log or console of one: so those of others that run at the same time
    are told apart. The processes of a container's guest end with its kernel.
    """
    for process in _list(Path("/proc")):
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        if any(name.startswith(f"{home.path}/") for _, name in _descriptors(process / "fd")):
            yield f"process {process.name}: {_command(process)}"


def _children() -> list[str]:
    """Zombies included."""
    found: list[str] = []
    for thread in _list(Path("/proc/self/task")):
        with suppress(OSError):  # it has ended meanwhile
            found += (thread / "children").read_text().split()
    return found


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "ended meanwhile"


def _descriptors(directory: Path) -> Iterator[tuple[str, str]]:
    for entry in _list(directory):
        try:
            yield entry.name, str(entry.readlink())
        except OSError:  # the one that lists the directory, or of a process that has ended
            continue


def _list(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []
