"""What every platform must do: one suite, run on the fake one and on the real ones."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from drupe.errors import GuestError, HostError, NotFoundError
from drupe.guest import protocol
from drupe.guest.protocol import StartFlag, Type
from drupe.guest.pump import Streams, pump
from drupe.guest.session import Session, connect, kill_frames, request, stop_frames
from drupe.guest.spec import Mount, Process, boot_frames, process_frames
from drupe.image.find import find_image
from drupe.kbuild.kernels import find_initramfs, find_kernel
from drupe.platform.base import MachineFiles, MachineSpec, Platform
from drupe.platform.registry import find_platform
from drupe.store.liveness import ProcessId
from tests.conftest import Home
from tests.fakes.platform import FakePlatform

TIMEOUT_S = 60.0
BUSY = {"PATH": "/usr/bin:/bin"}

pytestmark = pytest.mark.usefixtures("no_leaks")


@dataclass
class Machine:
    """A machine's files on the host, and its platform."""

    platform: Platform
    spec: MachineSpec
    directory: Path
    log: bool = True
    pids: list[int] = field(default_factory=list)

    def start(self, on_pid: Callable[[int], None] | None = None) -> ProcessId:
        """Starts it; all descriptors of ours are closed again."""
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(self.directory / "control"))
            listener.listen(8)
            files = {}
            for name in ("status", "log", "console"):
                files[name] = stack.enter_context((self.directory / name).open("ab")).fileno()
            given = MachineFiles(
                listener.fileno(), files["status"], files["log"] if self.log else None,
                files["console"],
            )  # fmt: skip
            pid = self.platform.start(self.spec, given, on_pid or self.pids.append)
        return ProcessId.of(pid)

    def session(self) -> Session:
        return Session(connect(self.directory / "control"))

    def boot(self) -> None:
        """Boots it; its main process waits until it is told to end."""
        mount = self.platform.image_mount()
        root = Mount(mount.kind, mount.source, "/", mount.options, overlay=True)
        main = Process(
            ("sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"), BUSY
        )
        with contextlib.closing(self.session()) as session:
            session.send(boot_frames("contract", (root,)))
            session.expect(Type.READY, timeout_s=TIMEOUT_S)
            flags = StartFlag.MAIN | StartFlag.LOG
            session.send(process_frames(main, flags))
            session.expect(Type.STARTED, timeout_s=TIMEOUT_S)
            assert session.expect(Type.STDOUT, timeout_s=TIMEOUT_S) == b"ready\n"
            session.detach()

    def run(self, *args: str, stdin: int | None = None) -> tuple[int | None, bytes, bytes]:
        out, err = bytearray(), bytearray()
        with contextlib.closing(self.session()) as session:
            process = Process(args, BUSY, stdin=stdin is not None)
            session.send(process_frames(process, StartFlag(0)))
            session.expect(Type.STARTED, timeout_s=TIMEOUT_S)
            status = pump(session, Streams(stdin, out.extend, err.extend))
        return status, bytes(out), bytes(err)

    def status(self) -> list[str]:
        return (self.directory / "status").read_text().splitlines()

    def request(self, frames: bytes) -> None:
        request(self.directory / "control", frames, timeout_s=TIMEOUT_S)


def fake(directory: Path, guest: Path) -> Machine:
    spec = MachineSpec(secrets.token_hex(32), guest, guest, 64 << 20, None, ())
    return Machine(FakePlatform(), spec, directory)


def real(platform: Platform, directory: Path) -> Machine:
    try:
        kernel, initramfs = find_kernel().linux, find_initramfs()
        image = find_image("busybox").root
    except (NotFoundError, HostError) as error:
        pytest.skip(f"{error} ({error.hint})")
    spec = MachineSpec(secrets.token_hex(32), kernel, initramfs, 64 << 20, image, ())
    return Machine(platform, spec, directory)


@pytest.fixture(params=["fake", "um", "um-strict"])
def machine(request: pytest.FixtureRequest, private_home: Home) -> Machine:
    directory = private_home.path / "machine"
    directory.mkdir()
    if request.param == "fake":
        return fake(directory, request.getfixturevalue("fake_guest"))
    return real(find_platform(request.param), directory)


@pytest.fixture
def process(machine: Machine) -> Iterator[ProcessId]:
    """Started; ended after the test, however it ends."""
    process = machine.start()
    yield process
    process.kill()


@pytest.fixture
def booted(machine: Machine, process: ProcessId) -> Machine:
    machine.boot()
    return machine


# Starting


def test_the_process_is_told_before_anything_runs(machine: Machine) -> None:
    seen: list[tuple[int, bool, str]] = []

    def on_pid(pid: int) -> None:
        time.sleep(0.1)
        # No connection is tried: the guest ends if its first one ends before the main process.
        assert Path(f"/proc/{pid}/exe").readlink() != machine.spec.kernel
        written = [(machine.directory / name).read_text() for name in ("console", "status")]
        seen.append((pid, ProcessId.of(pid).alive(), "".join(written)))

    process = machine.start(on_pid)
    try:
        assert seen == [(process.pid, True, "")]
        assert process.alive()
    finally:
        process.kill()


def test_a_caller_that_refuses_the_process_leaves_nothing(machine: Machine) -> None:
    seen: list[ProcessId] = []

    def on_pid(pid: int) -> None:
        seen.append(ProcessId.of(pid))
        raise HostError("no more room")

    with pytest.raises(HostError, match="no more room"):
        machine.start(on_pid)
    assert seen[0].wait(10)
    assert machine.status() == []


def test_a_caller_that_dies_leaves_nothing(machine: Machine) -> None:
    told, tell = os.pipe()

    def on_pid(pid: int) -> None:
        os.write(tell, f"{pid}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)

    caller = os.fork()
    if caller == 0:
        try:
            machine.start(on_pid)
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told) as answers:
        pid = int(answers.readline())
    assert os.waitpid(caller, 0)[1] == signal.SIGKILL
    with contextlib.suppress(ProcessLookupError):
        assert ProcessId.of(pid).wait(10)
    assert machine.status() == []


def test_a_kernel_that_cannot_be_run_is_told(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"no program")
    (tmp_path / "bad").chmod(0o755)
    changed = Machine(machine.platform, machine.spec._replace(kernel=tmp_path / "bad"), tmp_path)
    with pytest.raises(HostError, match=r"failed to .*: .*Exec format error"):
        changed.start()


def test_a_kernel_that_only_root_may_run_is_told_so(private_home: Home, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's containers run as another user")
    machine = real(find_platform("um"), tmp_path)
    (tmp_path / "linux").write_bytes(b"no matter")
    (tmp_path / "linux").chmod(0o700)
    machine.spec = machine.spec._replace(kernel=tmp_path / "linux")
    with pytest.raises(HostError, match="its kernel: Permission denied") as caught:
        machine.start()
    assert "all users may execute" in (caught.value.hint or "")


def test_the_machine_is_not_a_child(machine: Machine, process: ProcessId) -> None:
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


# Sessions


def test_the_control_socket_answers_hello(machine: Machine, process: ProcessId) -> None:
    with contextlib.closing(connect(machine.directory / "control")) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.sendall(protocol.hello())
        assert connection.recv(16, socket.MSG_WAITALL) == protocol.hello()


def test_it_boots_and_tells_its_status(booted: Machine) -> None:
    assert booted.status() == ["running"]


def test_a_process_runs(booted: Machine) -> None:
    script = "echo out; echo err >&2; exit 42"
    assert booted.run("sh", "-c", script) == (42, b"out\n", b"err\n")


def test_a_process_ends_by_a_signal(booted: Machine) -> None:
    assert booted.run("sh", "-c", "kill -9 $$") == (137, b"", b"")


def test_a_process_gets_input(booted: Machine, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(bytes(1_000_000))
    with (tmp_path / "input").open("rb") as file:
        status, out, _ = booted.run("wc", "-c", stdin=file.fileno())
    assert (status, out.strip()) == (0, b"1000000")


def test_a_program_that_is_not_there_is_told(booted: Machine) -> None:
    with pytest.raises(GuestError, match="No such file or directory") as caught:
        booted.run("no-such-program")
    assert caught.value.stage == protocol.Stage.EXEC


def test_sessions_are_apart(booted: Machine) -> None:
    with contextlib.closing(booted.session()) as session:
        session.send(process_frames(Process(("cat",), BUSY, stdin=True), StartFlag(0)))
        session.expect(Type.STARTED, timeout_s=TIMEOUT_S)
        for number in range(3):
            assert booted.run("echo", str(number))[1] == f"{number}\n".encode()
        session.send_input(b"still here")
        assert session.expect(Type.STDOUT, timeout_s=TIMEOUT_S) == b"still here"


# The end


def test_a_stop_ends_the_machine(booted: Machine, process: ProcessId) -> None:
    booted.request(stop_frames(signal.SIGTERM, 10_000))
    assert process.wait(TIMEOUT_S)
    running, exited = booted.status()
    assert running == "running"
    assert exited.startswith("exited 7 0 ")
    assert (booted.directory / "log").read_text().endswith(" stdout F ready\n")


def test_a_stop_that_is_not_heeded_kills(booted: Machine, process: ProcessId) -> None:
    booted.request(stop_frames(signal.SIGCONT, 100))
    assert process.wait(TIMEOUT_S)
    assert booted.status()[-1].startswith("exited 0 9 ")


def test_the_end_of_the_main_process_is_the_end(booted: Machine, process: ProcessId) -> None:
    booted.request(kill_frames(signal.SIGKILL))
    assert process.wait(TIMEOUT_S)
    assert booted.status()[-1].startswith("exited 0 9 ")


def test_the_end_of_the_process_is_the_machines(booted: Machine, process: ProcessId) -> None:
    with contextlib.closing(booted.session()) as session:
        session.send(process_frames(Process(("sleep", "1000"), BUSY), StartFlag(0)))
        session.expect(Type.STARTED, timeout_s=TIMEOUT_S)
        process.kill()
        with pytest.raises(GuestError, match="the guest has gone"):
            pump(session, Streams(None, bytearray().extend, bytearray().extend))
    assert booted.status() == ["running"]
    with pytest.raises(ConnectionRefusedError):
        connect(booted.directory / "control")


def test_it_needs_no_log(machine: Machine) -> None:
    machine.log = False
    process = machine.start()
    try:
        machine.boot()
        assert machine.run("echo", "hello")[1] == b"hello\n"
        machine.request(stop_frames(signal.SIGTERM, 10_000))
        assert process.wait(TIMEOUT_S)
    finally:
        process.kill()
    assert (machine.directory / "log").read_text() == ""


def test_it_is_described(machine: Machine) -> None:
    assert machine.platform.describe(machine.spec)
    assert machine.platform.name
    assert all(finding.name for finding in machine.platform.probe())
