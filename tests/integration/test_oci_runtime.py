"""``drupe-runtime`` as engines call it: bundles of busybox, every verb, every state."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import drupe
from drupe.container.processes import machine_processes
from drupe.limits.hierarchy import find_roots
from drupe.platform.registry import NAMES, VARIABLE
from tests.conftest import Home

_LAUNCH = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.path.append(sys.argv.pop(1)); "
    "from drupe.runtime.main import main; main()"
)
_PACKAGES = sysconfig.get_path("purelib")
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_WAIT_S = 30.0
_APPLETS = (
    *("sh", "cat", "echo", "id", "sleep", "ls", "mount", "true", "false", "stty", "hostname"),
    *("grep", "touch", "pwd"),
)

pytestmark = [
    pytest.mark.usefixtures("no_leaks", "subreaper"),
    pytest.mark.skipif(os.geteuid() != 0, reason="an engine's bundles are root's"),
]


@pytest.fixture(autouse=True)
def platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Little here depends on the platform: what does is tried on each."""
    monkeypatch.setenv(VARIABLE, getattr(request, "param", "um"))


each_platform = pytest.mark.parametrize("platform", NAMES, indirect=True)


@pytest.fixture
def subreaper() -> Iterator[None]:
    """Whom a container kernel is left to, as to conmon or a shim."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    yield
    libc.prctl(_SUBREAPER, 0, 0, 0, 0)


@dataclass
class Bundle:
    """A directory with a config.json and a root with busybox."""

    path: Path
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.path / "rootfs"

    def write(self, *args: str, **process: Any) -> None:
        """What is to run, in what is the configuration otherwise."""
        self.config["process"] |= {"args": list(args), **process}
        (self.path / "config.json").write_text(json.dumps(self.config))


@dataclass
class Engine:
    """What an engine does: it calls the runtime, and waits for what is left to it."""

    root: Path
    bundle: Bundle
    log: Path

    def argv(self, *args: str) -> list[str]:
        options = ["--root", str(self.root), "--log", str(self.log), "--log-format", "json"]
        return [sys.executable, "-ISc", _LAUNCH, _source(), _PACKAGES, *options, *args]

    def __call__(self, *args: str, status: int = 0, **options: Any) -> str:
        """Runs a verb; what it printed."""
        done = subprocess.run(
            self.argv(*args),
            check=False,
            text=True,
            timeout=120,
            **{"stdin": subprocess.DEVNULL, "capture_output": True, **options},
        )
        assert done.returncode == status, (args, done.returncode, done.stderr)
        return str(done.stdout) if status == 0 else str(done.stderr).strip()

    def create(self, name: str = "one", *, input_bytes: bytes = b"", status: int = 0) -> Created:
        """``create`` with pipes, as conmon has them."""
        pid_file = self.root.parent / f"{name}.pid"
        ours, theirs = zip(*(os.pipe() for _ in range(3)), strict=True)
        ours, theirs = (theirs[0], ours[1], ours[2]), (ours[0], theirs[1], theirs[2])
        try:
            done = subprocess.run(
                self.argv(
                    "create", "--bundle", str(self.bundle.path), "--pid-file", str(pid_file), name
                ),
                stdin=theirs[0],
                stdout=theirs[1],
                stderr=theirs[2],
                timeout=120,
                check=False,
            )
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        if input_bytes:
            os.write(ours[0], input_bytes)
        os.close(ours[0])
        pid = int(pid_file.read_text()) if done.returncode == 0 else 0
        made = Created(pid, ours[1], ours[2])
        assert done.returncode == status, made.read()
        return made

    def run(self, *args: str, input_bytes: bytes = b"", **process: Any) -> Ended:
        """A container from its beginning to its end."""
        self.bundle.write(*args, **process)
        made = self.create(input_bytes=input_bytes)
        self("start", "one")
        ended = made.wait()
        self("delete", "one")
        return ended

    def state(self, name: str = "one") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("state", name))
        return found

    def logged(self) -> dict[str, str]:
        """The newest message of the log."""
        found: dict[str, str] = json.loads(self.log.read_text().splitlines()[-1])
        return found


@dataclass
class Ended:
    """The exit status as waitpid() tells it, and what was written."""

    status: int
    out: str
    err: str


@dataclass
class Created:
    """The container's host process, and the engine's ends of its streams."""

    pid: int
    out: int
    err: int

    def read(self) -> tuple[str, str]:
        """All that is written until the end."""
        pieces = {self.out: b"", self.err: b""}
        left = set(pieces)
        deadline = time.monotonic() + _WAIT_S
        while left:
            ready, _, _ = select.select(left, [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "no end of output"
            for descriptor in ready:
                piece = os.read(descriptor, 65536)
                pieces[descriptor] += piece
                if not piece:
                    left.remove(descriptor)
                    os.close(descriptor)
        return pieces[self.out].decode(), pieces[self.err].decode()

    def wait(self) -> Ended:
        out, err = self.read()
        return Ended(reap(self.pid), out, err)


def reap(pid: int) -> int:
    """The exit status of a process that was left to this one; negative: a signal."""
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    raise AssertionError(f"process {pid} does not end")


def _source() -> str:
    return str(Path(drupe.__file__).parents[1])


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    made = Bundle(tmp_path / "bundle")
    (made.root / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is missing")
    shutil.copy(busybox, made.root / "bin/busybox")
    for name in _APPLETS:
        (made.root / "bin" / name).symlink_to("busybox")
    made.config = {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {
            "cwd": "/",
            "env": ["PATH=/bin"],
            "capabilities": {},
        },
        "hostname": "plum",
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
    }
    made.write("true")
    return made


@pytest.fixture
def engine(private_home: Home, tmp_path: Path, bundle: Bundle) -> Iterator[Engine]:
    engine = Engine(tmp_path / "run", bundle, tmp_path / "log.json")
    yield engine
    for directory in sorted(engine.root.iterdir()) if engine.root.exists() else []:
        engine("delete", "--force", directory.name)
    # What a failed create has ended is left to this process, too.
    deadline = time.monotonic() + _WAIT_S
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            os.waitpid(-1, os.WNOHANG)
            time.sleep(0.01)


@each_platform
def test_a_life(engine: Engine, bundle: Bundle) -> None:
    """Runtime specification, Lifecycle: created, running, stopped."""
    bundle.write("sh", "-c", "cat; echo err >&2; hostname; exit 7")
    made = engine.create(input_bytes=b"hello\n")
    state = engine.state()
    assert (state["status"], state["pid"], state["id"]) == ("created", made.pid, "one")
    assert (state["ociVersion"], state["bundle"]) == ("1.0.2", str(bundle.path))
    assert state["rootfs"] == str(bundle.root)
    engine("start", "one")
    assert made.wait() == Ended(7, "hello\nplum\n", "err\n")
    state = engine.state()
    assert (state["status"], state["pid"]) == ("stopped", 0)
    engine("delete", "one")
    assert engine("state", "one", status=1) == "container does not exist"
    assert not list(engine.root.iterdir())


def test_create_runs_nothing_of_the_container(engine: Engine, bundle: Bundle) -> None:
    bundle.write("touch", "/made")
    made = engine.create()
    time.sleep(0.3)
    assert not (bundle.root / "made").exists()
    engine("start", "one")
    assert made.wait().status == 0
    assert (bundle.root / "made").exists()


def test_what_changes_after_create_has_no_effect(engine: Engine, bundle: Bundle) -> None:
    """Runtime specification, create: changes of config.json must not have an effect."""
    bundle.write("echo", "before")
    made = engine.create()
    bundle.write("echo", "after")
    engine("start", "one")
    assert made.wait().out == "before\n"
    (bundle.path / "config.json").unlink()
    engine("delete", "one")


@each_platform
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1])
def test_signals_end_it_as_a_shell_counts_them(engine: Engine, bundle: Bundle, number: int) -> None:
    bundle.write("sleep", "100")
    made = engine.create()
    engine("start", "one")
    engine("kill", "one", str(number))
    assert made.wait().status == 128 + number


def test_kill_of_one_that_waits_ends_it(engine: Engine, bundle: Bundle) -> None:
    made = engine.create()
    engine("kill", "one", "TERM")
    assert made.wait().status == 128 + signal.SIGTERM
    assert engine("start", "one", status=1) == "cannot start a container that has stopped"


def test_a_caught_signal(engine: Engine, bundle: Bundle) -> None:
    script = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.1; done"
    bundle.write("sh", "-c", script)
    made = engine.create()
    engine("start", "one")
    assert os.read(made.out, 6) == b"ready\n"
    engine("kill", "one", "SIGINT")
    assert made.wait() == Ended(3, "caught\n", "")


def test_what_a_state_does_not_allow(engine: Engine, bundle: Bundle) -> None:
    """Runtime specification, Operations: an error, and no effect, in a wrong state."""
    bundle.write("sleep", "100")
    made = engine.create()
    assert engine("resume", "one", status=1) == "container not paused"
    assert engine("pause", "one", status=1) == "container not running"
    refused = engine("delete", "one", status=1)
    assert refused == "cannot delete container one that is not stopped: created"
    again = engine("create", "--bundle", str(bundle.path), "one", status=1)
    assert again == "container with given ID already exists"
    engine("start", "one")
    assert engine("start", "one", status=1) == "cannot start an already running container"
    assert engine.logged()["msg"] == "cannot start an already running container"
    assert engine.logged()["level"] == "error"
    engine("delete", "one", status=1)
    engine("kill", "one", "KILL")
    assert made.wait().status == 137
    assert engine("kill", "one", status=1) == "container not running"
    assert engine("exec", "one", "true", status=255).startswith("exec failed: cannot exec in a")
    engine("delete", "one")
    for verb in ("start", "kill", "delete", "pause", "ps", "events", "update"):
        assert engine(verb, "one", status=1) == "container does not exist", verb
    engine("delete", "--force", "one")


def test_delete_with_force(engine: Engine, bundle: Bundle) -> None:
    bundle.write("sleep", "100")
    made = engine.create()
    engine("start", "one")
    engine("delete", "--force", "one")
    assert made.wait().status == 137


def test_a_killed_kernel_is_a_stopped_container(engine: Engine, bundle: Bundle) -> None:
    bundle.write("sleep", "100")
    made = engine.create()
    engine("start", "one")
    os.kill(made.pid, signal.SIGKILL)
    assert made.wait().status == -signal.SIGKILL
    assert engine.state()["status"] == "stopped"
    engine("delete", "one")


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        ("missing", 'exec: "missing": executable file not found in $PATH'),
        ("/bin/missing", 'exec: "/bin/missing": no such file or directory'),
        ("/proc", 'exec: "/proc": permission denied'),
    ],
)
def test_a_program_that_cannot_be_executed(
    engine: Engine, bundle: Bundle, program: str, cause: str
) -> None:
    bundle.write(program)
    made = engine.create(status=1)
    _, err = made.read()
    assert cause in err
    assert cause in engine.logged()["msg"]
    assert not list(engine.root.iterdir())


@each_platform
def test_what_a_process_gets(engine: Engine, bundle: Bundle) -> None:
    script = (
        "id; umask; ulimit -n; pwd; echo $FRUIT; cat /proc/self/oom_score_adj;"
        "grep -E 'CapEff|CapAmb|CapBnd|NoNewPrivs' /proc/self/status"
    )
    names = ("bounding", "effective", "permitted", "inheritable", "ambient")
    sets = {name: ["CAP_KILL", "CAP_NEW"] for name in names}
    ended = engine.run(
        *("sh", "-c", script),
        user={"uid": 1000, "gid": 1001, "umask": 0o27, "additionalGids": [5, 6]},
        env=["PATH=/bin", "FRUIT=plum"],
        cwd="/srv/new",
        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
        capabilities=sets,
        noNewPrivileges=True,
        oomScoreAdj=77,
    )
    assert ended.out.splitlines() == [
        "uid=1000 gid=1001 groups=5,6",
        "0027",
        "100",
        "/srv/new",
        "plum",
        "77",
        "CapEff:\t0000000000000020",
        "CapBnd:\t0000000000000020",
        "CapAmb:\t0000000000000020",
        "NoNewPrivs:\t1",
    ]


def test_without_capabilities_it_has_none(engine: Engine, bundle: Bundle) -> None:
    ended = engine.run("grep", "CapEff", "/proc/self/status")
    assert ended.out == "CapEff:\t0000000000000000\n"


def test_the_root_is_written_directly(engine: Engine, bundle: Bundle) -> None:
    engine.run("sh", "-c", "echo a >/made; chmod 640 /made; ln /made /linked")
    assert (bundle.root / "made").read_text() == "a\n"
    assert (bundle.root / "made").stat().st_mode & 0o777 == 0o640
    assert (bundle.root / "linked").samefile(bundle.root / "made")


def test_mounts_in_their_order(engine: Engine, bundle: Bundle, tmp_path: Path) -> None:
    shared, single = tmp_path / "shared", tmp_path / "single"
    shared.mkdir()
    (shared / "file").write_text("of the host\n")
    single.write_text("one\n")
    bundle.config["mounts"] += [
        {"destination": "/a", "type": "tmpfs", "options": ["size=64k", "mode=700"]},
        {"destination": "/a/b", "type": "bind", "source": str(shared), "options": ["rbind", "ro"]},
        {"destination": "/etc/one", "type": "none", "source": str(single), "options": ["bind"]},
        {"destination": "/dev/shm", "type": "tmpfs", "options": ["size=1m"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
    ]
    script = "cat /a/b/file /etc/one; echo two >>/etc/one; touch /a/new /a/b/new; mount; cat /sys/x"
    ended = engine.run("sh", "-c", script)
    assert ended.out.startswith("of the host\none\n")
    assert "touch: /a/b/new: Read-only file system" in ended.err
    mounts = dict(line.split(" ", 3)[2:] for line in ended.out.splitlines()[2:])
    assert "size=64k,mode=700" in mounts["/a"]
    assert "(ro," in mounts["/sys"]
    assert "size=1024k" in mounts["/dev/shm"]
    assert single.read_text() == "one\ntwo\n"
    assert not (shared / "new").exists()
    assert (bundle.root / "a").is_dir()
    assert not list((bundle.root / "a").iterdir())


def test_a_root_that_is_only_read(engine: Engine, bundle: Bundle, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (bundle.root / "inside").mkdir()
    (bundle.root / "link").symlink_to("/inside")
    (bundle.root / "away").symlink_to(outside)
    bundle.config["root"]["readonly"] = True
    bundle.config["mounts"] += [
        {"destination": "/new/tmp", "type": "tmpfs"},
        {"destination": "/link/tmp", "type": "tmpfs"},
    ]
    ended = engine.run("sh", "-c", "touch /new/tmp/a /link/tmp/a && echo yes; touch /x")
    assert ended.out == "yes\n"
    assert "touch: /x: Read-only file system" in ended.err
    assert (bundle.root / "inside/tmp").is_dir()
    bundle.config["mounts"].append({"destination": "/away/tmp", "type": "tmpfs"})
    bundle.write("true")
    _, err = engine.create(status=1).read()
    assert "failed to make mount point 'away'" in err
    assert not list(outside.iterdir())


def test_paths_that_are_hidden_or_only_read(engine: Engine, bundle: Bundle) -> None:
    bundle.config["linux"] |= {
        "maskedPaths": ["/proc/timer_list", "/proc/bus", "/nowhere"],
        "readonlyPaths": ["/proc/sys", "/nowhere"],
        "sysctl": {"net.ipv4.ip_forward": "1"},
    }
    script = (
        "cat /proc/timer_list; ls /proc/bus; cat /proc/sys/net/ipv4/ip_forward;"
        "echo 0 >/proc/sys/net/ipv4/ip_forward; ls -d /nowhere"
    )
    ended = engine.run("sh", "-c", script)
    assert ended.out == "1\n"
    assert "ip_forward: Read-only file system" in ended.err
    assert "/nowhere: No such file" in ended.err


def test_output_of_any_length_and_an_engine_that_reads_late(engine: Engine, bundle: Bundle) -> None:
    bundle.write("sh", "-c", "busybox head -c 3000000 /dev/zero | busybox tr '\\0' x; echo end >&2")
    made = engine.create()
    engine("start", "one")
    time.sleep(0.5)
    ended = made.wait()
    assert ended == Ended(0, "x" * 3_000_000, "end\n")


class Terminal:
    """The engine's end of a console socket."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self.path = str(path)
        self.master = -1

    def accept(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            _, (self.master,), _, _ = socket.recv_fds(connection, 4096, 1)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, text: str) -> str:
        """Reads until the text comes."""
        seen, deadline = "", time.monotonic() + _WAIT_S
        while text not in seen:
            left = deadline - time.monotonic()
            assert select.select([self.master], [], [], max(0.0, left))[0], seen
            seen += os.read(self.master, 65536).decode()
        return seen

    def close(self) -> None:
        self._listener.close()
        if self.master >= 0:
            os.close(self.master)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path / "console.sock")
    yield terminal
    terminal.close()


def _create_with(engine: Engine, terminal: Terminal) -> int:
    pid_file = engine.root.parent / "pid"
    words = ("create", "--bundle", str(engine.bundle.path), "--console-socket", terminal.path)
    engine(*words, "--pid-file", str(pid_file), "one")
    terminal.accept()
    return int(pid_file.read_text())


@each_platform
def test_a_terminal(engine: Engine, bundle: Bundle, terminal: Terminal) -> None:
    script = "read a; stty size; read a; stty size; sleep 100"
    bundle.write("sh", "-c", script, terminal=True)
    pid = _create_with(engine, terminal)
    terminal.resize(33, 101)
    engine("start", "one")
    time.sleep(0.5)
    terminal.type("\n")
    terminal.expect("33 101")
    terminal.resize(44, 90)
    time.sleep(0.5)
    terminal.type("\n")
    terminal.expect("44 90")
    terminal.type("\x03")
    assert reap(pid) == 130


def test_a_terminal_that_is_closed_hangs_up(
    engine: Engine, bundle: Bundle, terminal: Terminal
) -> None:
    bundle.write("sleep", "100", terminal=True)
    pid = _create_with(engine, terminal)
    engine("start", "one")
    terminal.close()
    terminal.master = -1
    assert reap(pid) == 128 + signal.SIGHUP


def test_a_terminal_needs_somebody_who_has_it(engine: Engine, bundle: Bundle) -> None:
    bundle.write("true", terminal=True)
    words = ("create", "--bundle", str(bundle.path), "one")
    assert "without setting console socket" in engine(*words, status=1)
    bundle.write("true", terminal=False)
    unwanted = (*words[:-1], "--console-socket", "/nowhere", "one")
    assert "cannot use console socket" in engine(*unwanted, status=1)


def _hook(path: Path, point: str, *, status: int = 0) -> dict[str, Any]:
    """A hook that notes that it ran, and what the state said."""
    program = path / f"{point}{status}.sh"
    program.write_text(
        "#!/bin/sh\n"
        f'echo {point} "$1" "$FRUIT" $(sed "s/.*status.: .\\([a-z]*\\).*/\\1/") >>{path}/ran\n'
        f"[ {status} = 0 ] || echo because >&2\n"
        f"exit {status}\n"
    )
    program.chmod(0o755)
    env = ["FRUIT=fig", "PATH=/usr/bin:/bin"]
    return {"path": str(program), "args": [point, "word"], "env": env}


def test_hooks_in_their_order(engine: Engine, bundle: Bundle, tmp_path: Path) -> None:
    points = ("poststop", "poststart", "createContainer", "createRuntime", "prestart")
    bundle.config["hooks"] = {point: [_hook(tmp_path, point)] for point in points}
    bundle.config["hooks"]["startContainer"] = [
        {"path": "/bin/sh", "args": ["sh", "-c", "cat >/state; echo a >/order"]}
    ]
    bundle.write("sh", "-c", "echo b >>/order; sleep 0.5")
    made = engine.create()
    ran = (tmp_path / "ran").read_text().splitlines()
    assert ran == [
        "prestart word fig creating",
        "createRuntime word fig creating",
        "createContainer word fig creating",
    ]
    engine("start", "one")
    assert (tmp_path / "ran").read_text().splitlines()[3:] == ["poststart word fig running"]
    assert made.wait().status == 0
    assert (bundle.root / "order").read_text() == "a\nb\n"
    state = json.loads((bundle.root / "state").read_text())
    assert (state["id"], state["status"], state["pid"]) == ("one", "created", made.pid)
    engine("delete", "one")
    assert (tmp_path / "ran").read_text().splitlines()[4:] == ["poststop word fig stopped"]


@pytest.mark.parametrize("point", ["prestart", "createRuntime", "createContainer"])
def test_a_hook_of_create_that_fails(
    engine: Engine, bundle: Bundle, tmp_path: Path, point: str
) -> None:
    bundle.config["hooks"] = {
        point: [_hook(tmp_path, point, status=3)],
        "poststop": [_hook(tmp_path, "poststop")],
    }
    bundle.write("true")
    _, err = engine.create(status=1).read()
    assert f"error running {point} hook #0: exit status 3, stderr: because" in err
    assert "poststop word fig stopped" in (tmp_path / "ran").read_text()
    assert not list(engine.root.iterdir())


def test_a_hook_that_takes_too_long(engine: Engine, bundle: Bundle) -> None:
    slow = {"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}
    bundle.config["hooks"] = {"createRuntime": [slow]}
    bundle.write("true")
    _, err = engine.create(status=1).read()
    assert "error running createRuntime hook #0: " in err
    assert "not ended in 1" in err


def test_hooks_after_the_start_only_warn(engine: Engine, bundle: Bundle, tmp_path: Path) -> None:
    bundle.config["hooks"] = {
        point: [_hook(tmp_path, point, status=1), _hook(tmp_path, point)]
        for point in ("poststart", "poststop")
    }
    bundle.write("sleep", "0.5")
    made = engine.create()
    engine("start", "one")
    assert engine.logged()["level"] == "warning"
    assert made.wait().status == 0
    engine("delete", "one")
    assert len((tmp_path / "ran").read_text().splitlines()) == 4


def test_a_start_container_hook_that_fails_stops_it(engine: Engine, bundle: Bundle) -> None:
    bundle.config["hooks"] = {"startContainer": [{"path": "/bin/false"}]}
    bundle.write("touch", "/made")
    made = engine.create()
    assert "error running startContainer hook #0" in engine("start", "one", status=1)
    made.wait()
    assert engine.state()["status"] == "stopped"
    assert not (bundle.root / "made").exists()


def test_exec(engine: Engine, bundle: Bundle, tmp_path: Path) -> None:
    bundle.write("sleep", "100")
    made = engine.create()
    assert engine("exec", "one", "echo", "early") == "early\n"
    engine("start", "one")
    words = ("--user", "1:2", "--cwd", "/bin", "-e", "FRUIT=fig", "one")
    assert engine("exec", *words, "sh", "-c", "id -u; id -g; pwd; echo $FRUIT") == (
        "1\n2\n/bin\nfig\n"
    )
    assert engine("exec", "one", "cat", stdin=None, input="words") == "words"
    engine("exec", "one", "sh", "-c", "exit 5", status=5)
    missing = engine("exec", "one", "missing", status=255)
    assert missing == (
        'exec failed: unable to start container process: exec: "missing": executable file not '
        "found in $PATH"
    )
    file = tmp_path / "process.json"
    file.write_text(json.dumps({"args": ["pwd"], "cwd": "/proc", "env": ["PATH=/bin"]}))
    assert engine("exec", "--process", str(file), "one") == "/proc\n"
    engine("kill", "one", "KILL")
    made.wait()


@each_platform
def test_an_exec_that_is_left_alone_ends_as_its_program(engine: Engine, bundle: Bundle) -> None:
    bundle.write("sleep", "100")
    made = engine.create()
    engine("start", "one")
    pid_file = engine.root.parent / "exec.pid"
    words = ("exec", "--detach", "--pid-file", str(pid_file), "one")
    engine(*words, "sh", "-c", "exit 6", capture_output=False)
    assert reap(int(pid_file.read_text())) == 6
    engine(*words, "sleep", "100", capture_output=False)
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    assert reap(int(pid_file.read_text())) == 128 + signal.SIGTERM
    engine("kill", "one", "KILL")
    made.wait()


def test_an_exec_with_a_terminal(
    engine: Engine, bundle: Bundle, terminal: Terminal, tmp_path: Path
) -> None:
    bundle.write("sleep", "100")
    made = engine.create()
    engine("start", "one")
    file, pid_file = tmp_path / "process.json", tmp_path / "exec.pid"
    file.write_text(
        json.dumps({"args": ["sh"], "cwd": "/", "env": ["PATH=/bin"], "terminal": True})
    )
    engine(
        *("exec", "--detach", "--process", str(file), "--console-socket", terminal.path),
        *("--pid-file", str(pid_file), "one"),
        capture_output=False,
    )
    terminal.accept()
    terminal.resize(22, 55)
    time.sleep(0.3)
    terminal.type("stty size; exit 9\n")
    terminal.expect("22 55")
    assert reap(int(pid_file.read_text())) == 9
    engine("kill", "one", "KILL")
    made.wait()


def test_pause_list_ps_events_update(engine: Engine, bundle: Bundle) -> None:
    bundle.config["linux"]["resources"] = {"pids": {"limit": 20}}
    bundle.write("sleep", "100")
    made = engine.create()
    engine("start", "one")
    engine("pause", "one")
    assert engine.state()["status"] == "paused"
    assert "cannot exec in a paused container" in engine("exec", "one", "true", status=255)
    engine("resume", "one")
    (row,) = json.loads(engine("list", "--format", "json"))
    assert (row["id"], row["pid"], row["status"]) == ("one", made.pid, "running")
    assert engine("list", "-q") == "one\n"
    assert engine("list").splitlines()[1].split()[:3] == ["one", str(made.pid), "running"]
    assert made.pid in json.loads(engine("ps", "--format", "json", "one"))
    assert "sleep 100" in engine("ps", "one")
    stats = json.loads(engine("events", "--stats", "one"))
    assert (stats["type"], stats["id"]) == ("stats", "one")
    assert stats["data"]["pids"]["current"] == 1
    assert stats["data"]["memory"]["usage"]["usage"] > 1 << 20
    limit = ("exec", "one", "cat", "/sys/fs/cgroup/container/pids.max")
    assert engine(*limit) == "20\n"
    engine("update", "--pids-limit", "30", "one")
    assert engine(*limit) == "30\n"
    resources = json.dumps({"pids": {"limit": 40}})
    engine("update", "--resources", "-", "one", stdin=None, input=resources)
    assert engine(*limit) == "40\n"
    refused = engine("update", "--memory", str(8 << 30), "one", status=1)
    assert "the container's kernel keeps" in refused
    engine("kill", "--all", "one", "KILL")
    assert made.wait().status == 137


def test_run_in_the_foreground(engine: Engine, bundle: Bundle) -> None:
    bundle.write("sh", "-c", "cat; exit 8")
    words = ("run", "--bundle", str(bundle.path), "one")
    done = subprocess.run(engine.argv(*words), input=b"in", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (8, b"in")
    assert not list(engine.root.iterdir())


def test_features_and_spec(engine: Engine, tmp_path: Path) -> None:
    features = json.loads(engine("features"))
    assert features["ociVersionMin"] == "1.0.0"
    assert features["hooks"][0] == "prestart"
    engine("spec", "--bundle", str(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text())["process"]["args"] == ["sh"]
    assert "exists" in engine("spec", "--bundle", str(tmp_path), status=1)
    assert engine("--version").startswith("drupe-runtime version")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("moon",), "no such command: moon"),
        (("state",), "exactly one argument is needed"),
        (("state", "a", "b"), "exactly one argument is needed"),
        (("state", "a/b"), "invalid container ID format: a/b"),
        (("state", ".."), "invalid container ID format"),
        (("create", "--moon", "a"), "flag provided but not defined: -moon"),
        (("create", "--bundle"), "flag needs an argument: -bundle"),
        (("create", "--bundle", "/nowhere", "a"), "chdir /nowhere: no such file or directory"),
        (("create", "--preserve-fds", "1", "a"), "failed to use --preserve-fds"),
        (("create", "--preserve-fds", "x", "a"), "invalid value"),
        (("kill", "a", "MOON"), 'unknown signal "MOON"'),
    ],
)
def test_words_that_cannot_be(engine: Engine, words: Sequence[str], cause: str) -> None:
    assert cause in engine(*words, status=1)
    assert cause in engine.logged()["msg"]


def test_a_bundle_without_a_root_or_a_config(engine: Engine, bundle: Bundle) -> None:
    words = ("create", "--bundle", str(bundle.path), "one")
    shutil.rmtree(bundle.root)
    assert "invalid rootfs" in engine(*words, status=1)
    (bundle.path / "config.json").write_text("{")
    assert "not JSON" in engine(*words, status=1)
    (bundle.path / "config.json").unlink()
    assert engine(*words, status=1) == "JSON specification file config.json not found"
    assert not list(engine.root.iterdir())


def test_what_a_killed_create_leaves_is_deleted(engine: Engine, bundle: Bundle) -> None:
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "100"]}]}
    bundle.write("true")
    with subprocess.Popen(
        engine.argv("create", "--bundle", str(bundle.path), "one"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as child:
        deadline = time.monotonic() + _WAIT_S
        while not (engine.root / "one/process.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert engine.state()["status"] == "creating"
        child.kill()
    assert engine.state()["status"] == "stopped"
    engine("delete", "one")
    assert not list(engine.root.iterdir())
    for pid in map(int, Path("/proc/self/task", str(os.getpid()), "children").read_text().split()):
        os.kill(pid, signal.SIGKILL)  # the hook
        reap(pid)


def test_control_groups(engine: Engine, bundle: Bundle) -> None:
    parents = {name: root for name, root in find_roots().items() if name in {"memory", "pids"}}
    if not parents:
        pytest.skip("no control groups")
    name = f"drupe-test-{os.getpid()}/one"
    bundle.config["linux"] |= {
        "cgroupsPath": f"/{name}",
        "resources": {"pids": {"limit": 50}, "cpu": {"quota": 50_000, "period": 100_000}},
    }
    bundle.write("sleep", "100")
    made = engine.create()
    groups = [parent.path / name for parent in parents.values()]
    for group in groups:
        assert str(made.pid) in (group / "cgroup.procs").read_text().split()
    assert int((parents["pids"].path / name / "pids.max").read_text()) >= 50
    engine("start", "one")
    engine("update", "--cpu-quota", "60000", "one")
    engine("kill", "one", "KILL")
    made.wait()
    engine("delete", "one")
    for group in groups:
        assert not group.exists()
    for root in find_roots().values():
        with contextlib.suppress(FileNotFoundError):
            (root.path / name).parent.rmdir()


def test_groups_of_systemd_are_named_as_it_names_them(engine: Engine, bundle: Bundle) -> None:
    bundle.config["linux"]["cgroupsPath"] = "/a"
    bundle.write("true")
    words = ("--systemd-cgroup", "create", "--bundle", str(bundle.path), "one")
    assert "slice:prefix:name" in engine(*words, status=1)


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace as an engine makes it: eth0 with addresses, a route, the host behind."""
    name = f"drupe-oci-{os.getpid()}"
    commands = [
        f"netns add {name}",
        f"link add dro0 mtu 1400 type veth peer name eth0 netns {name}",
        "addr add 198.51.100.1/24 dev dro0",
        "addr add 2001:db8::1/64 dev dro0 nodad",
        "link set dro0 up",
        f"-n {name} addr add 198.51.100.2/24 dev eth0",
        f"-n {name} addr add 2001:db8::2/64 dev eth0 nodad",
        f"-n {name} link set eth0 mtu 1400 up",
        f"-n {name} route add default via 198.51.100.1",
    ]
    try:
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True, capture_output=True)
        yield f"/run/netns/{name}"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)
        subprocess.run(["ip", "link", "del", "dro0"], check=False, capture_output=True)


def test_the_network_of_an_engine(engine: Engine, bundle: Bundle, namespace: str) -> None:
    bundle.config["linux"]["namespaces"].append({"type": "network", "path": namespace})
    script = (
        "busybox ip -o addr show eth0; busybox ip route; cat /sys/class/net/eth0/mtu;"
        "busybox nc 198.51.100.1 7777; busybox nc 2001:db8::1 7777"
    )
    with socket.create_server(("::", 7777), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        bundle.write("sh", "-c", script)
        made = engine.create()
        engine("start", "one")
        server.settimeout(_WAIT_S)
        for _ in range(2):
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"hello\n")
    ended = made.wait()
    assert ended.status == 0, ended
    assert "inet 198.51.100.2/24" in ended.out
    assert "inet6 2001:db8::2/64" in ended.out
    assert "default via 198.51.100.1 dev eth0" in ended.out
    assert ended.out.endswith("1400\nhello\nhello\n")


@each_platform
def test_what_its_kernel_is_left_with(engine: Engine, bundle: Bundle) -> None:
    bundle.write("sleep", "100")
    made = engine.create()
    engine("start", "one")
    for pid in machine_processes(made.pid):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        for name in ("CapPrm", "CapEff", "CapBnd"):  # CAP_DAC_OVERRIDE, CAP_FOWNER
            assert int(status[name], 16) == 0b1010, name
        assert int(status["CapAmb"], 16) == int(status["CapInh"], 16) == 0
        assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")
        for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
            its, ours = (Path(f"/proc/{who}/ns/{kind}").readlink() for who in (pid, "self"))
            assert its != ours, kind
    engine("kill", "one", "KILL")
    made.wait()
