"""Fixtures that run the command line against real container kernels."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import drupe
from drupe.errors import NotFoundError
from drupe.kbuild.kernels import Kernel, find_initramfs, find_kernel
from drupe.platform.registry import NAMES, VARIABLE
from tests.conftest import Home

_LAUNCH = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.path.append(sys.argv.pop(1)); "
    "from drupe.cli.main import main; main()"
)
_PACKAGES = sysconfig.get_path("purelib")
ORDINARY_UID = 54321


@dataclass(frozen=True)
class Cli:
    """The command line, as some user, with a home of its own."""

    source: Path
    env: dict[str, str]
    user: int | None = None
    timeout_s: float = 120.0
    extra: dict[str, object] = field(default_factory=dict)

    def argv(self, *args: str) -> list[str]:
        """What to execute."""
        return [sys.executable, "-ISc", _LAUNCH, str(self.source), _PACKAGES, *args]

    def __call__(
        self, *args: str, status: int | None = 0, input_bytes: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs a verb; asserts its exit status unless that is None."""
        done = subprocess.run(
            self.argv(*args),
            env=self.env,
            input=input_bytes,
            capture_output=True,
            timeout=self.timeout_s,
            check=False,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
        )
        if status is not None:
            assert done.returncode == status, (args, done.returncode, done.stderr[-2000:])
        return done

    def out(self, *args: str) -> str:
        """Runs a verb that must succeed; returns its standard output without the last newline."""
        return self(*args).stdout.decode().rstrip("\n")

    def start(self, *args: str, **options: object) -> subprocess.Popen[bytes]:
        """Starts a verb and leaves it running."""
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            self.argv(*args),
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            **options,
        )


@pytest.fixture(scope="session")
def kernel() -> Kernel:
    """The container kernel under test; without one nothing here can be tested."""
    try:
        find_initramfs()
        return find_kernel("general")
    except NotFoundError as error:
        pytest.fail(f"{error}: run 'make kernel'")


@pytest.fixture(params=NAMES, autouse=True)
def platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All is tested on each platform: the one that is taken where a test names none."""
    monkeypatch.setenv(VARIABLE, request.param)
    return str(request.param)


@pytest.fixture
def cli(kernel: Kernel, private_home: Home, no_leaks: None, platform: str) -> Cli:
    """The command line as whoever runs the tests; nothing may be left behind."""
    source = Path(drupe.__file__).parent.parent
    return Cli(source, dict(os.environ))


@pytest.fixture(scope="session")
def shared_tree(kernel: Kernel) -> Iterator[Path]:
    """drupe, a kernel, an init and an image where any user can read them."""
    tree = Path(tempfile.mkdtemp(prefix="drupe-test."))
    tree.chmod(0o755)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(drupe.__file__).parent, tree / "src/drupe", ignore=ignore)
    data = tree / "share/drupe"
    home = kernel.linux.parent
    shutil.copytree(home, data / "kernels" / home.name)
    (data / "kernels/profiles").mkdir()
    (data / "kernels/profiles/general").symlink_to(f"../{home.name}")
    guest = find_initramfs().parent
    shutil.copytree(guest, data / "guests" / guest.name)
    (data / "guests/current").symlink_to(guest.name)
    subprocess.run(["chmod", "-R", "a+rX", str(tree)], check=True)
    yield tree
    shutil.rmtree(tree)


@pytest.fixture
def user_cli(shared_tree: Path, platform: str) -> Iterator[Cli]:
    """The command line as an ordinary user; needs root to become one, else it is the caller."""
    home = Path(tempfile.mkdtemp(prefix="drupe-user."))
    user = ORDINARY_UID if os.geteuid() == 0 else None
    if user is not None:
        os.chown(home, user, user)
    env = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "XDG_DATA_DIRS": str(shared_tree / "share"),
        VARIABLE: platform,
    }
    yield Cli(shared_tree / "src", env, user)
    left = list((home / ".local/state/drupe/containers").glob("*"))
    shutil.rmtree(home)
    assert not left
