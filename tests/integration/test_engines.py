"""Container engines that run ``drupe-runtime``: podman, and containerd with ctr."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

import drupe
from drupe.platform.registry import VARIABLE
from tests.conftest import Home

_WAIT_S = 60.0
_APPLETS = ("sh", "cat", "echo", "id", "sleep", "ls", "touch", "stty", "chown", "true")
_NO_NETWORK = "--network=none"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="engines are tried as root"),
]


@pytest.fixture(autouse=True)
def platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is the default: an engine does not know of them."""
    monkeypatch.setenv(VARIABLE, "um")


@pytest.fixture
def runtime(private_home: Home, tmp_path: Path) -> Path:
    """A program that is the runtime, whatever environment an engine gives it."""
    source, packages = Path(drupe.__file__).parents[1], sysconfig.get_path("purelib")
    path = tmp_path / "drupe-runtime"
    named = {name: os.environ[name] for name in ("XDG_DATA_DIRS", "XDG_DATA_HOME", VARIABLE)}
    path.write_text(
        f"#!{sys.executable} -IS\n"
        "import os, sys\n"
        f"os.environ.update({named!r})\n"
        f"sys.path[:0] = [{str(source)!r}, {packages!r}]\n"
        "from drupe.runtime.main import main\n"
        "main()\n"
    )
    path.chmod(0o755)
    return path


@dataclass
class Engine:
    """An engine's command line."""

    argv: list[str]

    def __call__(self, *args: str, status: int = 0, input_text: str = "") -> str:
        """Runs a command; what it wrote."""
        done = subprocess.run(
            [*self.argv, *args],
            input=input_text,
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
            check=False,
        )
        assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout if status == 0 else done.stdout + done.stderr

    def terminal(self, *args: str) -> pexpect.spawn:
        """Runs a command in a terminal of 31 rows and 97 columns."""
        return pexpect.spawn(
            self.argv[0], [*self.argv[1:], *args], dimensions=(31, 97), timeout=_WAIT_S
        )


def _need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is missing")


@pytest.fixture
def root_tar(tmp_path: Path) -> Path:
    """The files of a root with busybox."""
    root, path = tmp_path / "files", tmp_path / "root.tar"
    (root / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, root / "bin/busybox")
    for name in _APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    with tarfile.open(path, "w") as tar:
        tar.add(root, ".")
    return path


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short name: engines bound those of their sockets."""
    path = Path(tempfile.mkdtemp(prefix="d."))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def podman(runtime: Path, root_tar: Path, short: Path) -> Iterator[Engine]:
    """A podman with a store of its own, and an image ``box``."""
    _need("podman")
    options = ["--root", str(short / "root"), "--runroot", str(short / "run")]
    options += ["--tmpdir", str(short / "tmp"), "--cgroup-manager=cgroupfs"]
    engine = Engine(["podman", *options, "--runtime", str(runtime)])
    engine("import", str(root_tar), "box")
    yield engine
    engine("rm", "--all", "--force", "--time", "0")
    engine("rmi", "--all", "--force")
    subprocess.run(["umount", str(short / "root/overlay")], capture_output=True, check=False)


def test_podman_run(podman: Engine, tmp_path: Path) -> None:
    run = ("run", "--rm", _NO_NETWORK)
    assert podman(*run, "box", "sh", "-c", "echo out; exit 3", status=3) == "out\n"
    assert podman(*run, "-i", "box", "cat", input_text="in") == "in"
    assert "executable file not found" in podman(*run, "box", "missing", status=127)
    podman(*run, "box", "/proc", status=126)
    shared = tmp_path / "shared"
    shared.mkdir()
    podman(*run, "-v", f"{shared}:/v", "box", "sh", "-c", "echo a >/v/a; touch /root-is-writable")
    assert (shared / "a").read_text() == "a\n"
    refused = podman(*run, "-v", f"{shared}:/v:ro", "box", "touch", "/v/b", status=1)
    assert "Read-only file system" in refused
    child = podman.terminal(*run, "-it", "box", "sh", "-c", "read a; stty size; exit 7")
    time.sleep(2)
    child.sendline()
    child.expect("31 97")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 7


def test_podman_life(podman: Engine) -> None:
    podman("run", "-d", "--name", "one", _NO_NETWORK, "--pids-limit", "40", "box", "sh", "-c",
           "while sleep 0.1; do echo line; done")  # fmt: skip
    assert podman("exec", "one", "sh", "-c", "id -u; exit 4", status=4).startswith("0\n")
    assert podman("exec", "-i", "one", "cat", input_text="in") == "in"
    deadline = time.monotonic() + _WAIT_S
    while "line" not in podman("logs", "one"):
        assert time.monotonic() < deadline
    podman("pause", "one")
    podman("unpause", "one")
    (stats,) = json.loads(podman("stats", "--no-stream", "--format", "json", "one"))
    assert stats["name"] == "one"
    podman("stop", "--time", "1", "one")
    state = ("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "one")
    assert podman(*state) == "exited 143\n"
    podman("start", "one")
    podman("kill", "one")
    assert podman("wait", "one") == "137\n"
    podman("commit", "-q", "one", "other")
    podman("rm", "one")


def test_podman_build(podman: Engine, tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text(
        'FROM box\nRUN echo built >/built && chown 1000:1000 /built\nCMD ["cat", "/built"]\n'
    )
    build = ("build", "--isolation=oci", _NO_NETWORK, "-t", "made")
    podman(*build, "-f", str(tmp_path / "Containerfile"), str(tmp_path / "files"))
    assert podman("run", "--rm", _NO_NETWORK, "made") == "built\n"


@pytest.fixture
def ctr(runtime: Path, root_tar: Path, short: Path) -> Iterator[Engine]:
    """A containerd with directories of its own; its command line, ctr."""
    _need("containerd")
    _need("ctr")
    home = short
    disabled = [
        *(f"io.containerd.snapshotter.v1.{name}" for name in ("btrfs", "zfs", "aufs", "devmapper")),
        "io.containerd.grpc.v1.cri",
        "io.containerd.internal.v1.opt",
    ]
    (home / "config.toml").write_text(
        f'version = 2\nroot = "{home}/root"\nstate = "{home}/state"\n'
        f"disabled_plugins = {json.dumps(disabled)}\n"
        f'[grpc]\naddress = "{home}/sock"\n[ttrpc]\naddress = "{home}/ttrpc"\n'
    )
    with (home / "log").open("wb") as log:
        daemon = subprocess.Popen(
            ["containerd", "-c", str(home / "config.toml")], stdout=log, stderr=log
        )
    engine = Engine(["ctr", "-a", str(home / "sock")])
    deadline = time.monotonic() + _WAIT_S
    while not (home / "sock").exists():
        assert time.monotonic() < deadline, (home / "log").read_text()
        time.sleep(0.05)
    yield engine
    daemon.terminate()
    daemon.wait(_WAIT_S)


def test_ctr(ctr: Engine, runtime: Path, tmp_path: Path) -> None:
    root = str(tmp_path / "files")
    how = ("--runc-binary", str(runtime), "--rootfs", root)
    assert ctr("run", "--rm", *how, "a", "sh", "-c", "echo out; exit 6", status=6) == "out\n"
    missing = ctr("run", "--rm", *how, "a", "missing", status=1)
    assert "executable file not found in $PATH" in missing
    ctr("run", "--detach", *how, "one", "sleep", "100")
    executed = ("task", "exec", "--exec-id", "e", "one", "sh", "-c", "echo in; exit 3")
    assert ctr(*executed, status=3) == "in\n"
    ctr("task", "pause", "one")
    assert "PAUSED" in ctr("task", "ls")
    ctr("task", "resume", "one")
    assert "METRIC" in ctr("task", "metrics", "one")
    ctr("task", "kill", "-s", "TERM", "one")
    deadline = time.monotonic() + _WAIT_S
    while "STOPPED" not in ctr("task", "ls"):
        assert time.monotonic() < deadline
    ctr("task", "rm", "one")
    ctr("container", "rm", "one")
