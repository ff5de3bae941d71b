"""Fixtures of the conformance tests: a container as on the command line, the host beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import drupe
from drupe.errors import NotFoundError
from drupe.kbuild.kernels import find_initramfs, find_kernel
from drupe.platform.registry import default_platform
from tests.conformance.differences import Differences, read_differences
from tests.conformance.images.make import Images
from tests.conformance.toolchain import Programs, build_programs
from tests.conformance.tree import Tree, make_tree
from tests.conftest import Home
from tests.integration.conftest import Cli

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--platform", default=default_platform(), help="what runs the containers")
    parser.addoption("--kernel", default="general", help="their kernel: a profile, an id, a path")
    parser.addoption(
        "--minutes", type=float, default=0.5, help="how long each application is under load"
    )
    parser.addoption("--cpython", default="", help="modules of CPython's tests, or 'all'")
    parser.addoption("--engine", default="drupe", help="what runs the images: drupe or podman")
    parser.addoption("--static", action="store_true", help="link the C programs statically")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here may take long; a case that hangs says so by its own limit."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True)
class Containers:
    """Runs commands in new containers of the platform under test."""

    cli: Cli
    platform: str
    kernel: str

    def run(
        self, *args: str, timeout_s: float = 120, input_bytes: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """``drupe run --rm`` with these arguments."""
        process = subprocess.Popen(
            self.argv(*args),
            env=self.cli.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            out, errors = process.communicate(input_bytes, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.cli("ps")  # sweeps away what the killed command has left
            raise
        return subprocess.CompletedProcess(args, process.returncode, out, errors)

    def argv(self, *args: str) -> list[str]:
        """What to execute for that."""
        where = ("--platform", self.platform, "--kernel", self.kernel)
        return self.cli.argv("run", "--rm", *where, *args)


@pytest.fixture
def containers(
    request: pytest.FixtureRequest,
    private_home: Home,
    tree_data: None,
    no_leaks: None,
) -> Containers:
    """Containers of the platform under test; nothing may be left behind."""
    kernel = request.config.getoption("--kernel")
    try:
        find_initramfs()
        find_kernel(kernel)
    except NotFoundError as error:
        pytest.fail(f"{error}: run 'make kernel'")
    platform = request.config.getoption("--platform")
    source = Path(drupe.__file__).parent.parent
    return Containers(Cli(source, dict(os.environ)), platform, kernel)


@pytest.fixture(scope="session")
def load_s(request: pytest.FixtureRequest) -> int:
    """How long an application is to be under load, in seconds."""
    minutes: float = request.config.getoption("--minutes")
    return max(1, round(60 * minutes))


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """The C and C++ programs, built."""
    if shutil.which("gcc") is None or shutil.which("g++") is None:
        pytest.skip("needs gcc and g++")
    directory = tmp_path_factory.mktemp("programs")
    return build_programs(directory, static=request.config.getoption("--static"))


@pytest.fixture(scope="session")
def tree() -> Tree:
    """The Debian tree, as a directory for the host and as an image for containers."""
    return make_tree()


@pytest.fixture
def tree_data(
    request: pytest.FixtureRequest, private_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lets drupe find the tree's image, in tests that ask for the tree."""
    if "tree" in request.fixturenames:
        data = request.getfixturevalue("tree").data
        monkeypatch.setenv("XDG_DATA_DIRS", f"{data}:{os.environ['XDG_DATA_DIRS']}")


@pytest.fixture(scope="session")
def differences(request: pytest.FixtureRequest) -> Differences:
    """What is known to be otherwise in a container, each with its reason."""
    return read_differences(request.config.getoption("--platform"))


@pytest.fixture(scope="session")
def images() -> Images:
    """All images of applications, made."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make images")
    if shutil.which("mmdebstrap") is None:
        pytest.skip("needs mmdebstrap: apt-get install mmdebstrap")
    made = Images()
    made.make()
    return made
