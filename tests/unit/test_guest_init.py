# SPDX-License-Identifier: Apache-2.0
"""The guest's init, built for the host with ASan and UBSan, driven over its socket."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GUEST = Path(__file__).resolve().parents[2] / "guest"
MAGIC = 0x50555244
WINDOW = 262144
FRAME_MAX = 131072
WAIT_S = 30.0

HELLO, HOSTNAME, MOUNT, BOOT, INTERFACE, ADDRESS, ROUTE, FILE = 1, *range(16, 23)
RESTART, HEALTH, LIMIT, SYSCTL = range(23, 27)
ARG, ENV, CWD, USER, GROUP, RLIMIT, TERMINAL, START, CAPABILITIES, UMASK, OOM = range(32, 43)
STDIN, STDIN_EOF, SIGNAL, WINDOW_SIZE, DETACH = range(48, 53)
KILL, STOP, FILE_UPDATE, STATS = range(64, 68)
ATTACH, RELEASE, KILL_ALL = 70, 71, 72
READY, STARTED, STDOUT, STDERR, CREDIT, EXITED, DONE, ERROR, FIGURES = range(128, 137)
START_MAIN, START_STDIN, START_DETACHED, START_LOG, START_HELPER = 1, 2, 4, 8, 16
START_HELD, START_FILES = 32, 64
STAGE_PROTOCOL, STAGE_BOOT, STAGE_PROCESS, STAGE_EXEC, STAGE_REQUEST = range(1, 6)

PATH = b"PATH=/usr/local/bin:/usr/bin:/bin"


def frame(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack("<IHH", len(payload), kind, 0) + payload


def hello(magic: int = MAGIC, version: int = 2) -> bytes:
    return frame(HELLO, struct.pack("<IHH", magic, version, 0))


def mount(target: str, flags: int = 0, kind: str = "tmpfs") -> bytes:
    strings = f"{kind}\0none\0{target}\0\0".encode()
    return frame(MOUNT, struct.pack("<I", flags) + strings)


def interface(index: int = 0, mtu: int = 1500, name: bytes = b"eth0", zero: int = 0) -> bytes:
    return frame(INTERFACE, struct.pack("<II6sH", index, mtu, b"\x02abcde", zero) + name)


def address(index: int = 0, family: int = 4, prefix: int = 24, zero: int = 0) -> bytes:
    return frame(ADDRESS, struct.pack("<IBBH16s", index, family, prefix, zero, b"\x0a"))


def route(index: int = 0, family: int = 4, prefix: int = 0) -> bytes:
    return frame(ROUTE, struct.pack("<IBBHI16s16s", index, family, prefix, 0, 0, b"", b"\x0a"))


def small_file(path: bytes = b"/etc/hosts", mode: int = 0o644, kind: int = FILE) -> bytes:
    return frame(kind, struct.pack("<I", mode) + path + b"\0content")


@dataclasses.dataclass
class Result:
    """What one process left behind."""

    code: int
    signal: int
    stdout: bytes
    stderr: bytes


@dataclasses.dataclass
class GuestError(Exception):
    """An ERROR frame."""

    stage: int
    number: int
    text: str


class Session:
    """The simplest host's end of one session."""

    def __init__(self, path: Path, *, greet: bool = True) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WAIT_S)
        self.sock.connect(str(path))
        self.buffer = b""
        self.credit = WINDOW
        if greet:
            self.send(hello())
            self.expect(HELLO)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def close(self) -> None:
        self.sock.close()

    def frame(self) -> tuple[int, bytes] | None:
        """Return the next frame, or None at the end of the stream."""
        while True:
            if len(self.buffer) >= 8:
                size, kind, zero = struct.unpack_from("<IHH", self.buffer)
                assert zero == 0
                assert size <= FRAME_MAX
                if len(self.buffer) >= 8 + size:
                    payload = self.buffer[8 : 8 + size]
                    self.buffer = self.buffer[8 + size :]
                    return kind, payload
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            if not data:
                assert not self.buffer, "the stream ends inside a frame"
                return None
            self.buffer += data

    def expect(self, kind: int) -> bytes:
        got = self.frame()
        assert got is not None, "end of stream"
        if got[0] == ERROR and kind != ERROR:
            raise failure(got[1])
        assert got[0] == kind, got
        return got[1]

    def error(self) -> GuestError:
        """Return the ERROR that ends this session, whatever output comes before it."""
        found = None
        while (got := self.frame()) is not None:
            assert found is None, "a frame after ERROR"
            if got[0] == ERROR:
                found = failure(got[1])
        assert found is not None, "no ERROR"
        return found

    def start(
        self,
        *args: str,
        flags: int = 0,
        env: tuple[bytes, ...] = (PATH,),
        cwd: str | None = None,
        user: str | None = None,
        terminal: tuple[int, int] | None = None,
        more: bytes = b"",
    ) -> int:
        data = b"".join(frame(ARG, arg.encode()) for arg in args)
        data += b"".join(frame(ENV, entry) for entry in env) + more
        if cwd is not None:
            data += frame(CWD, cwd.encode())
        if user is not None:
            data += frame(USER, user.encode())
        if terminal is not None:
            data += frame(TERMINAL, struct.pack("<HH", *terminal))
        self.send(data + frame(START, struct.pack("<I", flags)))
        pid: int = struct.unpack("<II", self.expect(STARTED))[0]
        return pid

    def finish(self) -> Result:
        out = {STDOUT: bytearray(), STDERR: bytearray()}
        while (got := self.frame()) is not None:
            kind, payload = got
            if kind == EXITED:
                code, number = struct.unpack("<II", payload)
                assert self.frame() is None, "a frame after EXITED"
                return Result(code, number, bytes(out[STDOUT]), bytes(out[STDERR]))
            if kind == ERROR:
                raise failure(payload)
            if kind == CREDIT:
                self.credit += struct.unpack("<I", payload)[0]
            else:
                out[kind] += payload
        raise AssertionError("no EXITED")

    def until(self, text: bytes, kind: int = STDOUT) -> bytes:
        """Read output until it holds @text."""
        out = b""
        while text not in out:
            got = self.frame()
            assert got is not None, out
            if got[0] == kind:
                out += got[1]
        return out


def failure(payload: bytes) -> GuestError:
    number, stage = struct.unpack_from("<II", payload)
    return GuestError(stage, number, payload[8:].decode())


class Guest:
    """One fake guest."""

    def __init__(
        self, binary: Path, folder: Path, *, log: bool = True, streams: Sequence[int] = ()
    ) -> None:
        self.folder = folder
        self.control = folder / "control"
        self.status = folder / "status"
        self.log = folder / "log"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.control))
        listener.listen(128)
        append = os.O_CREAT | os.O_APPEND | os.O_WRONLY
        files = [listener.detach(), os.open(self.status, append, 0o600)]
        if log:
            files.append(os.open(self.log, append, 0o600))
        files += streams
        # They must be 3, 4, 5 in the program: the shell moves them down from above.
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in files]
        moves = " ".join(f"{3 + i}<&{fd} {fd}<&-" for i, fd in enumerate(ends))
        with (folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                ["bash", "-c", f"exec 5<&- {moves}; exec {binary}"],
                pass_fds=ends,
                stderr=stderr,
                env={"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=1"},
            )
        for fd in files + ends:
            os.close(fd)

    def session(self, *, greet: bool = True) -> Session:
        return Session(self.control, greet=greet)

    def boot(self, care: bytes = b"") -> Session:
        first = self.session()
        first.send(care + frame(BOOT))
        first.expect(READY)
        return first

    def run(self, *args: str, stdin: bytes | None = None, **options: object) -> Result:
        session = self.session()
        flags = START_STDIN if stdin is not None else 0
        session.start(*args, flags=flags, **options)  # type: ignore[arg-type]
        if stdin is not None:
            session.send(frame(STDIN, stdin) + frame(STDIN_EOF))
        try:
            return session.finish()
        finally:
            session.close()

    def ended(self) -> int:
        return self.process.wait(WAIT_S)

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def stderr(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


def wait_until(condition: Callable[[], bool], seconds: float = WAIT_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("gcc") or not shutil.which("make"):
        pytest.skip("gcc or make is missing")
    out = tmp_path_factory.mktemp("guest")
    command = ["make", "-s", "-j2", "-C", str(GUEST), f"O={out}", "fake-asan"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return out / "drupe-fake-guest-asan"


@pytest.fixture
def guest(binary: Path, tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(binary, tmp_path)
    yield guest
    if guest.process.poll() is None:
        guest.process.terminate()
    code = guest.ended()
    assert (code, guest.stderr()) == (0, "")


@pytest.fixture
def booted(guest: Guest) -> Guest:
    """A guest whose main process waits for ever."""
    first = guest.boot()
    first.start("sleep", "1000000", flags=START_MAIN | START_DETACHED)
    first.close()
    return guest


# Sessions and frames


def test_hello_both_ways(guest: Guest) -> None:
    session = guest.session(greet=False)
    assert session.expect(HELLO) == struct.pack("<IHH", MAGIC, 2, 0)
    session.close()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (hello(magic=1), "wrong magic"),
        (hello(version=1), "unknown protocol version"),
        (frame(HELLO, b"abc"), "wrong frame size"),
        (frame(BOOT), "no HELLO"),
        (hello() + hello(), "frame out of order"),
        (hello() + struct.pack("<IHH", FRAME_MAX + 1, ARG, 0), "oversized frame"),
        (hello() + struct.pack("<IHH", 0xFFFFFFFF, STDIN, 0), "oversized frame"),
        (hello() + struct.pack("<IHH", 0, ARG, 1), "nonzero padding"),
        (hello() + frame(999), "unknown frame type"),
        (hello() + frame(READY), "unknown frame type"),
        (hello() + frame(ARG, b"a\0b"), "NUL in a text"),
        (hello() + frame(ENV, b"novalue"), "not NAME=value"),
        (hello() + frame(ENV, b"=novalue"), "not NAME=value"),
        (hello() + frame(CWD, b"relative"), "not an absolute path"),
        (hello() + frame(USER, b"a") * 2, "came twice"),
        (hello() + frame(TERMINAL, bytes(4)) * 2, "came twice"),
        (hello() + frame(START, bytes(4)), "frame out of order"),
        (hello() + frame(ENV, b"A=b") + frame(START, bytes(4)), "needs an argument"),
        (hello() + frame(ARG, b"a") + frame(START, b"\xff" * 4), "unknown start flag"),
        (hello() + frame(RLIMIT, struct.pack("<IIQQ", 99, 0, 1, 1)), "unknown resource"),
        (hello() + frame(CAPABILITIES, struct.pack("<QII", 0, 2, 0)), "unknown capabilities"),
        (hello() + frame(CAPABILITIES, bytes(16)) * 2, "came twice"),
        (hello() + frame(UMASK, struct.pack("<I", 0o1000)), "no such file mode mask"),
        (hello() + frame(UMASK, bytes(4)) * 2, "came twice"),
        (hello() + frame(OOM, struct.pack("<I", 2001)), "no such OOM score"),
        (hello() + frame(OOM, bytes(4)) * 2, "came twice"),
        (hello() + frame(STDIN, b"x"), "frame out of order"),
        (hello() + frame(BOOT), "frame out of order"),
        (hello() + frame(HEALTH, bytes(25)), "frame out of order"),
        (hello() + frame(RESTART, struct.pack("<II", 3, 0)), "unknown restart policy"),
        (hello() + frame(LIMIT, struct.pack("<IIQ", 2, 0, 1)), "a limit that cannot change"),
        (hello() + frame(ARG, b"a") + frame(LIMIT, bytes(16)), "out of order"),
        (hello() + frame(STATS, struct.pack("<I", 3)), "unknown kind of figures"),
        (hello() + frame(ARG, b"a") + frame(STATS, struct.pack("<I", 1)), "out of order"),
        (hello() + frame(KILL, struct.pack("<I", 65)), "no such signal"),
        (hello() + frame(STOP, struct.pack("<II", 0, 1)), "no such signal"),
        (hello() + frame(ARG, b"a") + frame(KILL, struct.pack("<I", 9)), "out of order"),
        (hello() + frame(GROUP, b"1") * 1025, "too many frames"),
        (hello() + frame(ARG, b"") * 65537, "too many frames"),
        (hello() + frame(ENV, b"a=" + b"x" * 131070) * 17, "too large"),
    ],
)
def test_broken_rules_end_the_session_only(booted: Guest, data: bytes, text: str) -> None:
    session = booted.session(greet=False)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        session.send(data)
    error = session.error()
    assert error.stage == STAGE_PROTOCOL
    assert text in error.text
    session.close()
    assert booted.run("true").code == 0


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (mount("/etc"), "first mount is not the root"),
        (mount("/") + mount("/"), "second root"),
        (mount("/") + mount("/a", flags=2), "overlay"),
        (mount("/", flags=1 << 30), "unknown mount flag"),
        (mount("/", flags=4), "a layer that does not follow its root"),
        (mount("/") + mount("/", flags=4), "a layer that does not follow its root"),
        (mount("/", flags=2) + mount("/a", flags=4), "a layer that does not follow its root"),
        (mount("/", flags=2) + mount("/a") + mount("/", flags=4), "a layer that does not follow"),
        (mount("/", flags=2) + mount("/", flags=4) * 2, "a layer that does not follow its root"),
        (mount("/") + mount("/a/../b"), "without '..'"),
        (mount("/") + mount("b"), "absolute path"),
        (mount("/", kind=""), "file system type"),
        (mount("/") + mount("/a") * 256, "too many mounts"),
        (frame(MOUNT, bytes(3) + b"\0abcdef"), "four strings"),
        (mount("/") + frame(ARG, b"x"), "out of order"),
        (frame(HOSTNAME, b"x" * 65), "wrong frame size"),
        (frame(SYSCTL, b"a/b=c"), "a path, a NUL and a value"),
        (frame(SYSCTL, b"\0abc"), "a path, a NUL and a value"),
        (frame(SYSCTL, b"a\0b\0c"), "a path, a NUL and a value"),
        (frame(SYSCTL, b"a\0b") * 257, "too many frames"),
        (frame(LIMIT, struct.pack("<IIQ", 99, 0, 1)), "unknown limit"),
        (frame(LIMIT, struct.pack("<IIQ", 1, 1, 1)), "unknown limit"),
        (frame(RESTART, struct.pack("<II", 3, 0)), "unknown restart policy"),
        (frame(HEALTH, bytes(24) + b"a\0"), "not a health check"),
        (frame(HEALTH, struct.pack("<6I", 1, 1, 0, 0, 1, 0) + b"a"), "not a health check"),
        (frame(HEALTH, struct.pack("<6I", 1, 1, 0, 0, 0, 0) + b"a\0"), "not a health check"),
        (frame(HEALTH, struct.pack("<6I", 1, 1, 0, 0, 1, 0) + b"a\0") * 2, "came twice"),
        (interface() * 2, "an interface came twice"),
        (interface(index=8), "no such interface"),
        (interface(zero=1), "no such interface"),
        (interface(mtu=67), "an MTU is 68 to 65535"),
        (interface(mtu=65536), "an MTU is 68 to 65535"),
        (interface(name=b"a/b"), "not a name of an interface"),
        (interface(name=b".."), "not a name of an interface"),
        (interface(name=b"a\0b"), "not a name of an interface"),
        (interface(name=b"a" * 16), "wrong frame size"),
        (b"".join(interface(index=n % 8) for n in range(9)), "too many interfaces"),
        (address(), "of an interface that was not named"),
        (interface() + address(index=1), "of an interface that was not named"),
        (interface() + address(family=5), "not an address"),
        (interface() + address(prefix=33), "not an address"),
        (interface() + address(family=6, prefix=129), "not an address"),
        (interface() + address(zero=1), "not an address"),
        (interface() + address() * 33, "too many addresses"),
        (route(), "of an interface that was not named"),
        (interface() + route(prefix=33), "not an address"),
        (interface() + route() * 65, "too many routes"),
        (small_file(mode=0o4755), "permissions of at most 0777"),
        (small_file(path=b"etc/hosts"), "an absolute path without '..'"),
        (small_file(path=b"/a/../etc/hosts"), "an absolute path without '..'"),
        (small_file(path=b"/etc/"), "an absolute path without '..'"),
        (frame(FILE, bytes(4) + b"/etc/hosts"), "a file needs a path"),
        (small_file() * 2, "two files at one path"),
        (b"".join(small_file(path=b"/%d" % n) for n in range(33)), "too many files"),
    ],
)
def test_broken_boot(guest: Guest, data: bytes, text: str) -> None:
    session = guest.session()
    session.send(data)
    error = session.error()
    assert (error.stage, text in error.text) == (STAGE_PROTOCOL, True), error
    # The first session is gone before a main process was: power-off.
    assert guest.ended() == 0


def test_a_network_and_files_before_boot(guest: Guest) -> None:
    session = guest.session()
    session.send(mount("/") + interface() + address() + address(family=6, prefix=64) + route())
    session.send(interface(index=1, name=b"net1", mtu=65535) + small_file())
    session.send(small_file(path=b"/etc/resolv.conf") + frame(BOOT))
    assert session.frame() == (READY, b"")


def test_a_file_is_updated(booted: Guest) -> None:
    session = booted.session()
    session.send(small_file(kind=FILE_UPDATE))
    assert session.frame() == (DONE, b"")
    session.send(small_file(kind=FILE_UPDATE, path=b"/etc/passwd"))
    error = session.error()
    assert (error.stage, error.number) == (STAGE_REQUEST, errno.ENOENT)
    assert "no such file to update" in error.text


def test_process_before_boot(guest: Guest) -> None:
    session = guest.session()
    session.send(frame(ARG, b"true"))
    assert session.error().stage == STAGE_PROTOCOL


def test_boot_in_a_later_session(guest: Guest) -> None:
    first = guest.boot()
    later = guest.session()
    later.send(frame(BOOT))
    assert later.error().text == "frame out of order"
    first.close()


def test_full_boot(guest: Guest) -> None:
    first = guest.session()
    first.send(frame(HOSTNAME, b"box") + mount("/", flags=2) + mount("/data") + frame(BOOT))
    first.expect(READY)
    assert guest.status.read_text() == "running\n"
    first.close()
    assert guest.ended() == 0


def test_slow_bytes(booted: Guest) -> None:
    session = booted.session()
    for byte in frame(ARG, b"true") + frame(ENV, PATH) + frame(START, bytes(4)):
        session.send(bytes([byte]))
    session.expect(STARTED)
    assert session.finish().code == 0


# Processes


def test_exit_codes(booted: Guest) -> None:
    assert booted.run("true") == Result(0, 0, b"", b"")
    assert booted.run("false").code == 1
    assert booted.run("sh", "-c", "exit 77").code == 77
    assert booted.run("sh", "-c", "kill -9 $$").signal == 9


def test_both_streams(booted: Guest) -> None:
    result = booted.run("sh", "-c", "printf out; printf err >&2")
    assert result == Result(0, 0, b"out", b"err")


@pytest.mark.parametrize(
    ("name", "number"),
    [("no-such-program", 2), ("/no/such/program", 2), ("", 2), ("/tmp", 13)],
)
def test_exec_errors(booted: Guest, name: str, number: int) -> None:
    session = booted.session()
    with pytest.raises(GuestError) as caught:
        session.start(name)
    assert (caught.value.stage, caught.value.number) == (STAGE_EXEC, number)
    assert session.frame() is None


def test_exec_denied_and_malformed(booted: Guest, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("echo never")
    plain.chmod(0o644)
    for mode, number in ((0o644, 13), (0o755, 8)):
        plain.chmod(mode)
        for name in (str(plain), "plain"):
            with pytest.raises(GuestError) as caught:
                booted.session().start(name, env=(f"PATH={tmp_path}:/bin".encode(),))
            assert (caught.value.stage, caught.value.number) == (STAGE_EXEC, number)


def test_path_is_the_given_one(booted: Guest, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    env = (f"PATH=/nowhere:/dev/null:{tmp_path}".encode(),)
    assert booted.run("tool", env=env).stdout == b"found\n"


def test_environment(booted: Guest) -> None:
    assert booted.run("/usr/bin/env", env=(b"A=1", b"B=", b"HOME=/x")).stdout == (
        b"A=1\nB=\nHOME=/x\n"
    )
    assert booted.run("/usr/bin/env", env=()).stdout.startswith(b"HOME=/")


def test_working_directory_is_made(booted: Guest, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"
    assert booted.run("pwd", cwd=str(folder)).stdout == f"{folder}\n".encode()


def test_working_directory_fails(booted: Guest) -> None:
    with pytest.raises(GuestError) as caught:
        booted.session().start("pwd", cwd="/dev/null/x")
    assert (caught.value.stage, caught.value.number) == (STAGE_PROCESS, 20)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


@needs_root
def test_users(booted: Guest) -> None:
    def ids(user: str, more: bytes = b"") -> bytes:
        return booted.run("sh", "-c", "id -u; id -g; id -G", user=user, more=more).stdout

    assert ids("0:7") == b"0\n7\n7\n"
    assert ids("12345") == b"12345\n0\n0\n"
    assert ids("12345:54321") == b"12345\n54321\n54321\n"
    assert ids("daemon") == b"1\n1\n1\n"
    assert ids("daemon:games") == b"1\n60\n60\n"
    assert ids("1:1", frame(GROUP, b"games") + frame(GROUP, b"77")) == b"1\n1\n1 60 77\n"
    assert booted.run("sh", "-c", "echo $HOME", user="daemon").stdout == b"/usr/sbin\n"


@pytest.mark.parametrize("user", ["nobody-here", "0:nobody-here", "-1", "99999999999", "0x1"])
def test_unknown_users(booted: Guest, user: str) -> None:
    with pytest.raises(GuestError) as caught:
        booted.session().start("id", user=user)
    assert caught.value.stage == STAGE_PROCESS
    assert re.search("no such (user|group)", caught.value.text)


def test_rlimits(booted: Guest) -> None:
    limit = frame(RLIMIT, struct.pack("<IIQQ", resource.RLIMIT_NOFILE, 0, 100, 120))
    result = booted.run("sh", "-c", "ulimit -Sn; ulimit -Hn", more=limit)
    assert result.stdout == b"100\n120\n"
    wrong = frame(RLIMIT, struct.pack("<IIQQ", resource.RLIMIT_NOFILE, 0, 120, 100))
    with pytest.raises(GuestError) as caught:
        booted.session().start("true", more=wrong)
    assert (caught.value.stage, caught.value.number) == (STAGE_PROCESS, 22)


def test_umask_and_oom_score(booted: Guest) -> None:
    more = frame(UMASK, struct.pack("<I", 0o27)) + frame(OOM, struct.pack("<I", 1300))
    result = booted.run("sh", "-c", "umask; cat /proc/self/oom_score_adj", more=more)
    assert result.stdout == b"0027\n300\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to drop capabilities")
def test_capabilities(booted: Guest) -> None:
    more = frame(CAPABILITIES, struct.pack("<QII", 0b101, 1, 0))
    result = booted.run("grep", "^Cap\\|^NoNew", "/proc/self/status", more=more)
    fields = dict(line.split(b":\t") for line in result.stdout.splitlines())
    assert fields.pop(b"NoNewPrivs") == b"1"
    values = {name: int(value, 16) for name, value in fields.items()}
    assert values == {b"CapInh": 0, b"CapPrm": 5, b"CapEff": 5, b"CapBnd": 5, b"CapAmb": 0}
    result = booted.run("grep", "^Cap[PB]", "/proc/self/status", user="1000:1000", more=more)
    assert [int(line.split()[1], 16) for line in result.stdout.splitlines()] == [0, 5]


def test_signals_are_reset(booted: Guest) -> None:
    result = booted.run("grep", "^Sig\\(Blk\\|Ign\\)", "/proc/self/status")
    assert {int(line.split()[1], 16) for line in result.stdout.splitlines()} == {0}


def test_no_descriptor_is_inherited(booted: Guest) -> None:
    assert booted.run("sh", "-c", "ls /proc/$$/fd").stdout.split()[:3] == [b"0", b"1", b"2"]
    result = booted.run("python3", "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))")
    assert result.stdout == b"['0', '1', '2', '3']\n"


# Input and output


def test_stdin_without_flag_is_null(booted: Guest) -> None:
    assert booted.run("cat").stdout == b""
    session = booted.session()
    session.start("sleep", "100")
    session.send(frame(STDIN, b"x"))
    assert session.error().text == "STDIN to a process without it"


def test_big_echo(booted: Guest) -> None:
    """20 MB through cat, byte for byte, within the credit."""
    data = os.urandom(1 << 20) * 20
    session = booted.session()
    session.start("cat", flags=START_STDIN)
    session.sock.setblocking(False)
    view = memoryview(data)
    sent, queued, ended = 0, b"", False
    out = bytearray()
    pending = bytearray()
    code = None
    while code is None:
        if not queued and sent < len(data) and session.credit:
            size = min(session.credit, 65536, len(data) - sent)
            queued = frame(STDIN, bytes(view[sent : sent + size]))
            session.credit -= size
            sent += size
        elif not queued and sent == len(data) and not ended:
            queued, ended = frame(STDIN_EOF), True
        writers = [session.sock] if queued else []
        readable, writable, _ = select.select([session.sock], writers, [], WAIT_S)
        assert readable or writable, "stuck"
        if writable:
            queued = queued[session.sock.send(queued) :]
        if not readable:
            continue
        pending += session.sock.recv(1 << 20)
        at = 0
        while len(pending) - at >= 8:
            size, kind, _ = struct.unpack_from("<IHH", pending, at)
            if len(pending) - at - 8 < size:
                break
            payload = bytes(pending[at + 8 : at + 8 + size])
            at += 8 + size
            if kind == STDOUT:
                assert size <= 65536
                out += payload
            elif kind == CREDIT:
                session.credit += struct.unpack("<I", payload)[0]
            else:
                assert kind == EXITED
                code = struct.unpack("<II", payload)
        del pending[:at]
    assert code == (0, 0)
    assert out == data
    session.close()


def test_credit_overrun(booted: Guest) -> None:
    session = booted.session()
    pid = session.start("sleep", "1000", flags=START_STDIN)
    piece = frame(STDIN, bytes(65536))
    # The pipe takes some, and pays for it; beyond pipe and window it must end.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(40):
            session.send(piece)
    assert session.error().text == "more STDIN than credit"
    wait_until(lambda: not alive(pid))


def test_closed_stdin_still_gives_credit(booted: Guest) -> None:
    session = booted.session()
    session.start("sh", "-c", "exec 0<&-; echo closed; sleep 1000", flags=START_STDIN)
    session.until(b"closed")
    total = 0
    while total < 4 * WINDOW:
        while session.credit < 65536:
            session.credit += struct.unpack("<I", session.expect(CREDIT))[0]
        session.send(frame(STDIN, bytes(65536)))
        session.credit -= 65536
        total += 65536
    session.send(frame(SIGNAL, struct.pack("<I", signal.SIGTERM)))
    assert session.finish().signal == signal.SIGTERM


def test_signal_passes_behind_full_stdin(booted: Guest) -> None:
    session = booted.session()
    session.start("sleep", "1000", flags=START_STDIN)
    session.send(frame(STDIN, bytes(FRAME_MAX)) * 2)
    session.send(frame(SIGNAL, struct.pack("<I", signal.SIGINT)))
    assert session.finish().signal == signal.SIGINT


def test_back_pressure(booted: Guest) -> None:
    session = booted.session()
    session.start("sh", "-c", "yes | head -c 50000000")
    time.sleep(0.5)
    statm = Path(f"/proc/{booted.process.pid}/io").read_text()
    written = int(re.search(r"wchar: (\d+)", statm)[1])  # type: ignore[index]
    assert written < 4_000_000, "output was not held back"
    assert len(session.finish().stdout) == 50_000_000


def test_exit_does_not_wait_for_grandchildren(booted: Guest) -> None:
    begin = time.monotonic()
    result = booted.run("sh", "-c", "setsid sleep 1000 & echo done; exit 3")
    assert (result.code, result.stdout) == (3, b"done\n")
    assert time.monotonic() - begin < 10


def test_all_output_comes_before_exited(booted: Guest) -> None:
    for _ in range(20):
        result = booted.run("sh", "-c", "seq 20000; seq 3 >&2")
        assert result.stdout == b"".join(b"%d\n" % i for i in range(1, 20001))
        assert result.stderr == b"1\n2\n3\n"


# Terminals


def test_terminal_size(booted: Guest) -> None:
    result = booted.run("sh", "-c", "stty size; tty; echo $TERM", terminal=(41, 123))
    lines = result.stdout.split(b"\r\n")
    assert lines[0] == b"41 123"
    assert lines[1].startswith(b"/dev/pts/")
    assert lines[2] == b"xterm"


def test_terminal_window_and_eof(booted: Guest) -> None:
    session = booted.session()
    script = "trap 'stty size' WINCH; echo ready; while read -r line; do echo got $line; done"
    session.start("bash", "-c", script, flags=START_STDIN, terminal=(24, 80))
    session.until(b"ready")
    session.send(frame(WINDOW_SIZE, struct.pack("<HH", 30, 99)))
    session.send(frame(STDIN, b"word\n"))
    text = session.until(b"got word")
    assert b"30 99" in text or b"30 99" in session.until(b"30 99")
    session.send(frame(STDIN_EOF))
    assert session.finish().code == 0


def test_terminal_interrupt(booted: Guest) -> None:
    session = booted.session()
    session.start("sleep", "1000", flags=START_STDIN, terminal=(24, 80))
    session.send(frame(STDIN, b"\x03"))
    assert session.finish().signal == signal.SIGINT


def test_terminal_output_is_whole(booted: Guest) -> None:
    for _ in range(5):
        result = booted.run("seq", "20000", terminal=(24, 80))
        assert result.stdout == b"".join(b"%d\r\n" % i for i in range(1, 20001))


# Sessions that come and go


def test_lost_session_hangs_up(booted: Guest) -> None:
    session = booted.session()
    pid = session.start("sleep", "1000")
    session.close()
    wait_until(lambda: not alive(pid))


def test_lost_session_kills_the_stubborn(booted: Guest) -> None:
    session = booted.session()
    script = "trap '' HUP; echo on; while :; do sleep 1; done"
    pid = session.start("sh", "-c", script)
    session.until(b"on")
    begin = time.monotonic()
    session.close()
    wait_until(lambda: not alive(pid))
    assert 1.5 < time.monotonic() - begin < 10


@pytest.mark.parametrize("late", [False, True])
def test_detached_outlives_its_session(booted: Guest, late: bool, tmp_path: Path) -> None:
    session = booted.session()
    mark = tmp_path / "mark"
    script = f"sleep 0.5; echo out; seq 100000; echo $PPID > {mark}.new; mv {mark}.new {mark}"
    session.start("sh", "-c", script, flags=0 if late else START_DETACHED)
    if late:
        session.send(frame(DETACH))
    session.close()
    wait_until(mark.exists)
    assert int(mark.read_text()) == booted.process.pid


def test_many_sessions_at_once(booted: Guest) -> None:
    sessions = [booted.session() for _ in range(30)]
    for session in sessions:
        session.start("cat", flags=START_STDIN)
    for number, session in enumerate(sessions):
        session.send(frame(STDIN, b"%d" % number) + frame(STDIN_EOF))
    for number, session in enumerate(sessions):
        assert session.finish().stdout == b"%d" % number
        session.close()


def test_more_sessions_than_served_at_once(booted: Guest) -> None:
    idle = [booted.session(greet=False) for _ in range(80)]
    for session in idle:
        session.close()
    assert booted.run("true").code == 0


def test_nothing_leaks(booted: Guest) -> None:
    booted.run("true")
    wait_until(lambda: len(booted.children()) == 1)
    before = booted.descriptors()
    for number in range(500):
        match number % 4:
            case 0:
                with pytest.raises(GuestError):
                    booted.run("no-such-program")
            case 1:
                assert booted.run("true", terminal=(2, 2)).code == 0
            case 2:
                assert booted.run("cat", stdin=b"x").stdout == b"x"
            case _:
                assert booted.run("true").code == 0
    wait_until(lambda: booted.descriptors() == before)
    assert len(booted.children()) == 1


# The container's life


def exited(guest: Guest) -> tuple[int, int]:
    lines = guest.status.read_text().splitlines()
    assert lines[0] == "running"
    match = re.fullmatch(r"exited (\d+) (\d+) (\d+)\.(\d{9}) 0", lines[-1])
    assert match, lines
    assert abs(int(match[3]) - time.time()) < 60
    return int(match[1]), int(match[2])


@pytest.mark.parametrize(("script", "code", "number"), [("exit 5", 5, 0), ("kill -6 $$", 0, 6)])
def test_main_ends_the_container(guest: Guest, script: str, code: int, number: int) -> None:
    first = guest.boot()
    first.start("sh", "-c", f"sleep 1000 & echo bye; {script}", flags=START_MAIN)
    result = first.finish()
    assert (result.code, result.signal, result.stdout) == (code, number, b"bye\n")
    assert guest.ended() == 0
    assert exited(guest) == (code, number)


def test_main_end_ends_other_processes(guest: Guest) -> None:
    first = guest.boot()
    first.start("cat", flags=START_MAIN | START_STDIN)
    other = guest.session()
    pid = other.start("sh", "-c", "sleep 1000 & sleep 1000")
    first.send(frame(STDIN_EOF))
    assert first.finish().code == 0
    assert other.finish().signal == signal.SIGKILL
    assert guest.ended() == 0
    assert not alive(pid)


def test_main_output_is_drained(guest: Guest) -> None:
    first = guest.boot()
    first.start("seq", "300000", flags=START_MAIN)
    time.sleep(0.5)
    assert first.finish().stdout == b"".join(b"%d\n" % i for i in range(1, 300001))
    assert guest.ended() == 0


def test_main_that_cannot_start(guest: Guest) -> None:
    first = guest.boot()
    with pytest.raises(GuestError) as caught:
        first.start("no-such-program", flags=START_MAIN)
    assert caught.value.stage == STAGE_EXEC
    assert first.frame() is None
    assert guest.ended() == 0
    assert guest.status.read_text() == "running\n"


def test_second_main(booted: Guest) -> None:
    with pytest.raises(GuestError) as caught:
        booted.session().start("true", flags=START_MAIN)
    assert caught.value.text == "there is a main process already"


def test_first_session_lost_before_main(guest: Guest) -> None:
    guest.boot().close()
    assert guest.ended() == 0


def test_lost_session_of_main_ends_the_container(guest: Guest) -> None:
    first = guest.boot()
    first.start("sleep", "1000", flags=START_MAIN)
    first.close()
    assert guest.ended() == 0
    assert exited(guest) == (0, signal.SIGHUP)


def test_kill(booted: Guest) -> None:
    session = booted.session()
    session.send(frame(KILL, struct.pack("<I", signal.SIGCONT)))
    assert session.expect(DONE) == b""
    session.send(frame(KILL, struct.pack("<I", signal.SIGUSR1)))
    session.expect(DONE)
    assert booted.ended() == 0
    assert exited(booted) == (0, signal.SIGUSR1)


def test_kill_without_main(guest: Guest) -> None:
    first = guest.boot()
    session = guest.session()
    session.send(frame(KILL, struct.pack("<I", 15)))
    error = session.error()
    assert (error.stage, error.number) == (STAGE_REQUEST, 3)
    first.close()


def test_stop_obeyed(booted: Guest) -> None:
    session = booted.session()
    session.send(frame(STOP, struct.pack("<II", signal.SIGTERM, 60000)))
    session.expect(DONE)
    assert session.frame() is None
    assert booted.ended() == 0
    assert exited(booted) == (0, signal.SIGTERM)


def test_stop_after_grace(guest: Guest) -> None:
    first = guest.boot()
    script = "trap '' TERM; echo on; while :; do sleep 1; done"
    first.start("sh", "-c", script, flags=START_MAIN | START_DETACHED)
    first.until(b"on")
    begin = time.monotonic()
    session = guest.session()
    session.send(frame(STOP, struct.pack("<II", signal.SIGTERM, 700)))
    session.expect(DONE)
    assert 0.6 < time.monotonic() - begin < 10
    assert guest.ended() == 0
    assert exited(guest) == (0, signal.SIGKILL)


def test_second_stop_shortens_the_grace(guest: Guest) -> None:
    first = guest.boot()
    script = "trap '' TERM; echo on; while :; do sleep 1; done"
    first.start("sh", "-c", script, flags=START_MAIN | START_DETACHED)
    first.until(b"on")
    slow, quick = guest.session(), guest.session()
    slow.send(frame(STOP, struct.pack("<II", signal.SIGTERM, 4_000_000_000)))
    quick.send(frame(STOP, struct.pack("<II", signal.SIGTERM, 100)))
    quick.expect(DONE)
    slow.expect(DONE)
    assert guest.ended() == 0


def test_stop_passes_a_host_that_does_not_read(guest: Guest) -> None:
    first = guest.boot()
    first.start("yes", flags=START_MAIN)
    time.sleep(0.3)
    session = guest.session()
    session.send(frame(STOP, struct.pack("<II", signal.SIGTERM, 100)))
    begin = time.monotonic()
    session.expect(DONE)
    assert time.monotonic() - begin < 15
    assert guest.ended() == 0
    assert exited(guest) == (0, signal.SIGTERM)


def test_stop_of_a_container_full_of_programs(guest: Guest) -> None:
    first = guest.boot()
    first.start("sleep", "1000", flags=START_MAIN | START_DETACHED)
    held = [guest.session() for _ in range(63)]
    for session in held:
        session.start("sleep", "1000")
    late = guest.session()
    with pytest.raises(GuestError) as refused:
        late.start("true")
    assert refused.value.text == "too many sessions"
    session = guest.session()
    session.send(frame(STOP, struct.pack("<II", signal.SIGTERM, 60000)))
    session.expect(DONE)
    assert guest.ended() == 0
    assert exited(guest) == (0, signal.SIGTERM)


def test_stop_without_main(guest: Guest) -> None:
    first = guest.boot()
    session = guest.session()
    session.send(frame(STOP, struct.pack("<II", signal.SIGTERM, 60000)))
    session.expect(DONE)
    assert guest.ended() == 0
    first.close()


# Restarts, health checks, figures

NO, ON_FAILURE, ALWAYS = range(3)


def restart(policy: int, attempts: int = 0) -> bytes:
    return frame(RESTART, struct.pack("<II", policy, attempts))


def health(*args: str, start_ms: int = 0, retries: int = 2, timeout_ms: int = 5000) -> bytes:
    times = struct.pack("<6I", 50, timeout_ms, start_ms, 0, retries, 0)
    return frame(HEALTH, times + b"".join(arg.encode() + b"\0" for arg in args))


def words(guest: Guest) -> list[str]:
    """The status file, without times."""
    return re.sub(r" \d+\.\d{9}", "", guest.status.read_text()).splitlines()


def test_restart_on_failure(guest: Guest) -> None:
    first = guest.boot(restart(ON_FAILURE, 2))
    first.start("sh", "-c", "echo out; sleep 1000 & exit 3", flags=START_MAIN | START_LOG)
    assert first.finish().code == 3
    begin = time.monotonic()
    assert guest.ended() == 0
    assert time.monotonic() - begin > 0.25
    ends = [f"restarting 3 0 {count}" for count in (1, 2)]
    assert words(guest) == ["running", ends[0], "running 1", ends[1], "running 2", "exited 3 0 2"]
    assert guest.log.read_text().count(" F out") == 3


@pytest.mark.parametrize(("policy", "script"), [(ON_FAILURE, "exit 0"), (NO, "exit 1")])
def test_no_restart(guest: Guest, policy: int, script: str) -> None:
    guest.boot(restart(policy)).start("sh", "-c", script, flags=START_MAIN | START_DETACHED)
    assert guest.ended() == 0
    assert len(words(guest)) == 2


def test_stop_between_two_runs(guest: Guest) -> None:
    first = guest.boot(restart(ALWAYS))
    first.start("sh", "-c", "exit 4", flags=START_MAIN)
    wait_until(lambda: "restarting 4 0 3" in words(guest))
    session = guest.session()
    session.send(frame(STOP, struct.pack("<II", signal.SIGTERM, 10000)))
    session.expect(DONE)
    assert guest.ended() == 0
    assert words(guest)[-1] == "exited 4 0 3"


@pytest.mark.parametrize("how", ["kill", "lost", "update"])
def test_no_restart_of_what_somebody_ended(guest: Guest, how: str) -> None:
    first = guest.boot(restart(ALWAYS))
    first.start("sleep", "1000", flags=START_MAIN)
    if how == "lost":
        first.close()
    else:
        session = guest.session()
        if how == "update":
            session.send(restart(NO))
            session.expect(DONE)
        session.send(frame(KILL, struct.pack("<I", signal.SIGKILL if how == "kill" else 15)))
        session.expect(DONE)
    assert guest.ended() == 0
    assert [line.split()[0] for line in words(guest)] == ["running", "exited"]


def test_others_do_not_outlive_a_run(guest: Guest) -> None:
    first = guest.boot(restart(ALWAYS))
    first.start("sh", "-c", "sleep 0.3; exit 1", flags=START_MAIN | START_DETACHED)
    assert guest.run("sleep", "1000").signal == signal.SIGKILL
    wait_until(lambda: "running 1" in words(guest))
    assert guest.run("true").code == 0


def test_a_main_process_that_is_gone_counts_as_a_failure(guest: Guest, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\nrm "$0"\n')
    program.chmod(0o755)
    guest.boot(restart(ALWAYS)).start(str(program), flags=START_MAIN | START_DETACHED)
    wait_until(lambda: "restarting 126 0 3" in words(guest))


def test_health(guest: Guest, tmp_path: Path) -> None:
    first = guest.boot(health("sh", "-c", f"echo $WHO looks; test -e {tmp_path}/ok"))
    flags = START_MAIN | START_DETACHED
    first.start("sleep", "1000", flags=flags, env=(PATH, b"WHO=it"))
    wait_until(lambda: "running 0 unhealthy it looks " in words(guest))
    (tmp_path / "ok").touch()
    wait_until(lambda: words(guest)[-1] == "running 0 healthy it looks ")
    assert words(guest)[:2] == ["running", "running 0 starting "]
    # Checks that change nothing are not told.
    time.sleep(0.3)
    assert len(words(guest)) == 4


def test_health_while_it_starts(guest: Guest, tmp_path: Path) -> None:
    check = health("test", "-e", f"{tmp_path}/ok", start_ms=60_000, retries=1)
    guest.boot(check).start("sleep", "1000", flags=START_MAIN | START_DETACHED)
    time.sleep(0.3)
    assert words(guest)[-1] == "running 0 starting "
    (tmp_path / "ok").touch()
    wait_until(lambda: words(guest)[-1] == "running 0 healthy ")
    (tmp_path / "ok").unlink()
    wait_until(lambda: words(guest)[-1] == "running 0 unhealthy ")


@pytest.mark.parametrize("command", ["sleep 1000 & sleep 1000", "yes", "exec /no/such"])
def test_health_checks_that_fail_otherwise(guest: Guest, command: str) -> None:
    first = guest.boot(health("sh", "-c", command, retries=1, timeout_ms=200))
    first.start("sleep", "1000", flags=START_MAIN | START_DETACHED)
    wait_until(lambda: words(guest)[-1].startswith("running 0 unhealthy"))
    assert len(words(guest)[-1]) <= 512 + 20
    assert guest.run("true").code == 0


def test_health_begins_anew_with_each_run(guest: Guest) -> None:
    first = guest.boot(restart(ON_FAILURE, 1) + health("true"))
    first.start("sh", "-c", "sleep 0.4; exit 1", flags=START_MAIN | START_DETACHED)
    assert guest.ended() == 0
    assert words(guest)[1:] == [
        "running 0 starting ", "running 0 healthy ", "restarting 1 0 1", "running 1 starting ",
        "running 1 healthy ", "exited 1 0 1",
    ]  # fmt: skip


def test_figures(booted: Guest) -> None:
    session = booted.session()
    session.send(frame(STATS, struct.pack("<I", 1)))
    total, used, threads, *_ = struct.unpack("<7Q", session.expect(FIGURES))
    assert total > used > 0
    assert threads > 1  # of this host, as all that it tells
    session.send(frame(STATS, struct.pack("<I", 2)))
    lines = [line.split(b" ", 7) for line in session.expect(FIGURES).splitlines()]
    assert {len(line) for line in lines} == {8}
    (sleeper,) = (line for line in lines if int(line[0]) in booted.children())
    assert int(sleeper[1]) == booted.process.pid
    assert int(sleeper[2]) == os.getuid()
    assert sleeper[3] == b"S"
    assert sleeper[7] == b"sleep 1000000"


# The log

RECORD = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([PF]) ([^\n]*)\n")


def log_of(guest: Guest, *args: str, **options: object) -> list[tuple[bytes, bytes, bytes]]:
    first = guest.boot()
    first.start(*args, flags=START_MAIN | START_LOG, **options)  # type: ignore[arg-type]
    first.finish()
    assert guest.ended() == 0
    text = guest.log.read_bytes()
    records = RECORD.findall(text)
    assert sum(len(b" ".join(record)) + 1 for record in records) == len(text)
    return [record[1:] for record in records]


def test_log_lines(guest: Guest) -> None:
    script = "printf 'one\\n\\ntw'; sleep 0.3; printf 'o\\nrest'; printf 'e\\n' >&2"
    records = log_of(guest, "sh", "-c", script)
    out = [record[1:] for record in records if record[0] == b"stdout"]
    assert out == [(b"F", b"one"), (b"F", b""), (b"F", b"two"), (b"P", b"rest")]
    assert [record for record in records if record[0] == b"stderr"] == [(b"stderr", b"F", b"e")]


@pytest.mark.parametrize("size", [16383, 16384, 16385, 40000])
def test_log_parts(guest: Guest, size: int) -> None:
    script = f"head -c {size} /dev/zero | tr '\\0' x; echo; echo next"
    records = log_of(guest, "sh", "-c", script)
    parts = [len(text) for _, _, text in records[:-1]]
    tags = b"".join(tag for _, tag, _ in records[:-1])
    assert sum(parts) == size
    assert max(parts) <= 16384
    assert tags == b"P" * ((size - 1) // 16384) + b"F"
    assert records[-1] == (b"stdout", b"F", b"next")


def test_log_of_a_terminal(guest: Guest) -> None:
    records = log_of(guest, "sh", "-c", "echo a; echo b >&2", terminal=(5, 5))
    assert records == [(b"stdout", b"F", b"a\r"), (b"stdout", b"F", b"b\r")]


def test_log_of_many_lines(guest: Guest) -> None:
    records = log_of(guest, "seq", "200000")
    assert [int(text) for _, _, text in records] == list(range(1, 200001))


def test_no_log(binary: Path, tmp_path: Path) -> None:
    guest = Guest(binary, tmp_path, log=False)
    first = guest.boot()
    first.start("echo", "a", flags=START_MAIN | START_LOG)
    assert first.finish().stdout == b"a\n"
    assert (guest.ended(), guest.stderr()) == (0, "")


def test_full_log_never_blocks(guest: Guest) -> None:
    limit = (20000, 20000)
    resource.prlimit(guest.process.pid, resource.RLIMIT_FSIZE, limit)
    first = guest.boot()
    first.start("seq", "100000", flags=START_MAIN | START_LOG)
    result = first.finish()
    assert result.code == 0
    assert result.stdout.endswith(b"100000\n")
    assert guest.ended() == 0
    assert guest.log.stat().st_size <= 20000


# Garbage

kinds = st.sampled_from(
    [HELLO, BOOT, MOUNT, *range(ARG, START + 1), *range(STDIN, DETACH + 1), KILL, READY, 0, 65535]
)
# STOP and signals to the main process would end what the test goes on to use.
frames = st.tuples(kinds, st.binary(max_size=64)).filter(
    lambda item: not (item[0] == KILL and len(item[1]) == 4)
)
near_frames = st.lists(frames, max_size=12).map(
    lambda items: hello() + b"".join(frame(kind, payload) for kind, payload in items)
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.one_of(st.binary(max_size=400), near_frames))
def test_garbage(booted: Guest, data: bytes) -> None:
    session = booted.session(greet=False)
    with contextlib.suppress(OSError):
        session.send(data)
        session.sock.shutdown(socket.SHUT_WR)
    while session.frame() is not None:
        pass
    session.close()
    assert booted.run("echo", "fine").stdout == b"fine\n"


# Services of the init's own


def test_a_service_needs_no_program(booted: Guest, tmp_path: Path) -> None:
    path = tmp_path / "file"
    session = booted.session()
    flags = START_HELPER | START_STDIN
    session.start("write", str(path), "600", flags=flags, env=())
    session.send(frame(STDIN, b"text") + frame(STDIN_EOF))
    assert session.finish() == Result(0, 0, b"", b"")
    session.close()
    session = booted.session()
    session.start("read", str(path), flags=START_HELPER, env=())
    assert session.finish() == Result(0, 0, b"text", b"")
    session.close()


def test_a_service_that_fails_says_why(booted: Guest) -> None:
    session = booted.session()
    session.start("read", "/no/such", flags=START_HELPER, env=())
    text = b"2\tfailed to read '/no/such': No such file or directory\n"
    assert session.finish() == Result(1, 0, b"", text)
    session.close()


@pytest.mark.parametrize("args", [("nothing",), ("read",), ("read", "/a", "/b")])
def test_there_is_no_other_service(booted: Guest, args: tuple[str, ...]) -> None:
    session = booted.session()
    with pytest.raises(GuestError) as caught:
        session.start(*args, flags=START_HELPER, env=())
    assert (caught.value.stage, caught.value.number) == (STAGE_EXEC, 2)
    session.close()


def test_a_service_whose_caller_goes_ends(booted: Guest) -> None:
    session = booted.session()
    session.start("read", "/dev/zero", flags=START_HELPER, env=())
    session.until(b"\0")
    session.close()
    wait_until(lambda: len(booted.children()) == 1)


# A main process that is taken up again


def test_a_main_process_is_taken_up_again(guest: Guest) -> None:
    first = guest.boot()
    script = "while read line; do echo got $line; done; exit 3"
    first.start("sh", "-c", script, flags=START_MAIN | START_STDIN | START_DETACHED)
    busy = guest.session()
    busy.send(frame(ATTACH))
    assert busy.error() == GuestError(STAGE_REQUEST, 16, "somebody else is attached to it")
    busy.close()
    first.send(frame(STDIN, b"one\n"))
    first.until(b"got one\n")
    first.close()
    second = guest.session()
    wait_until(lambda: attached(second, guest))
    second.send(frame(STDIN, b"two\n") + frame(STDIN_EOF))
    assert second.finish() == Result(3, 0, b"got two\n", b"")
    second.close()
    assert guest.ended() == 0


def attached(session: Session, guest: Guest) -> bool:
    """Whether a session could be attached; the end of another one takes its time to be seen."""
    session.send(frame(ATTACH))
    got = session.frame()
    assert got is not None
    if got[0] == STARTED:
        return True
    session.close()
    Session.__init__(session, guest.control)
    return False


def test_input_that_an_earlier_caller_left_is_kept(guest: Guest) -> None:
    first = guest.boot()
    count = "sleep 1; exec wc -c"
    first.start("sh", "-c", count, flags=START_MAIN | START_STDIN | START_DETACHED)
    for _ in range(2):
        first.send(frame(STDIN, bytes(WINDOW // 2)))
    first.close()
    second = guest.session()
    wait_until(lambda: attached(second, guest))
    for _ in range(2):
        second.send(frame(STDIN, bytes(WINDOW // 2)))
    second.send(frame(STDIN_EOF))
    assert second.finish() == Result(0, 0, b"%d\n" % (2 * WINDOW), b"")
    second.close()


def test_input_for_a_process_without_is_thrown_away(booted: Guest) -> None:
    session = booted.session()
    wait_until(lambda: attached(session, booted))
    session.send(frame(STDIN, bytes(WINDOW // 2)) + frame(STDIN_EOF))
    session.send(frame(SIGNAL, struct.pack("<I", 9)))
    assert session.finish() == Result(0, 9, b"", b"")
    session.close()


def test_nothing_to_attach_to(guest: Guest) -> None:
    first = guest.boot()
    session = guest.session()
    session.send(frame(ATTACH))
    assert session.error() == GuestError(STAGE_REQUEST, 3, "no main process to attach to")
    session.close()
    first.close()


# A main process that is held, with the host's own files


@dataclasses.dataclass
class Held:
    """A guest whose main process waits, and our ends of its streams."""

    guest: Guest
    streams: tuple[int, ...]

    def start(self, *args: str, **options: object) -> None:
        first = self.guest.boot()
        flags = START_MAIN | START_DETACHED | START_HELD | START_FILES
        first.start(*args, flags=flags, **options)  # type: ignore[arg-type]
        first.close()

    def release(self) -> Session:
        session = self.guest.session()
        session.send(frame(RELEASE))
        return session


@pytest.fixture
def held(binary: Path, tmp_path: Path) -> Iterator[Held]:
    pairs = [os.pipe() for _ in range(3)]
    theirs = (pairs[0][0], pairs[1][1], pairs[2][1])
    held = Held(Guest(binary, tmp_path, streams=theirs), (pairs[0][1], pairs[1][0], pairs[2][0]))
    yield held
    for descriptor in held.streams:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    if held.guest.process.poll() is None:
        held.guest.process.terminate()
    held.guest.ended()
    assert held.guest.stderr() == ""


def read_all(descriptor: int) -> bytes:
    pieces = b""
    while piece := os.read(descriptor, 65536):
        pieces += piece
    return pieces


def test_a_held_process_waits_and_has_the_hosts_files(held: Held, tmp_path: Path) -> None:
    held.start("sh", "-c", f"echo ran >{tmp_path}/ran; cat; echo err >&2; exit 7")
    assert held.guest.status.read_text().endswith("created\n")
    time.sleep(0.2)
    assert not (tmp_path / "ran").exists()
    session = held.release()
    session.expect(STARTED)
    os.write(held.streams[0], b"in")
    os.close(held.streams[0])
    assert (read_all(held.streams[1]), read_all(held.streams[2])) == (b"in", b"err\n")
    assert held.guest.ended() == 7
    lines = held.guest.status.read_text().splitlines()
    assert lines[-2] == "running 0"
    assert lines[-1].startswith("exited 7 0 ")


def test_a_held_process_that_is_killed_ends_the_container(held: Held) -> None:
    held.start("true")
    session = held.guest.session()
    session.send(frame(KILL, struct.pack("<I", signal.SIGTERM)))
    session.expect(DONE)
    assert held.guest.ended() == 128 + signal.SIGTERM


def test_a_held_program_that_is_missing_is_told_at_once(held: Held) -> None:
    with pytest.raises(GuestError) as caught:
        held.start("/nowhere/program")
    assert (caught.value.stage, caught.value.number) == (STAGE_EXEC, errno.ENOENT)


def test_nobody_is_released_twice(held: Held) -> None:
    held.start("sleep", "100")
    held.release().expect(STARTED)
    error = held.release().error()
    assert (error.stage, error.text) == (STAGE_REQUEST, "no main process is held")
    session = held.guest.session()
    session.send(frame(KILL_ALL, struct.pack("<I", signal.SIGKILL)))
    assert held.guest.ended() == 128 + signal.SIGKILL


def test_output_waits_for_a_host_that_reads_late(held: Held) -> None:
    held.start("sh", "-c", "head -c 2000000 /dev/zero")
    held.release().expect(STARTED)
    time.sleep(0.5)
    assert len(read_all(held.streams[1])) == 2_000_000
    assert held.guest.ended() == 0


def test_a_host_that_reads_no_more_breaks_the_pipe(held: Held) -> None:
    held.start("sh", "-c", "while echo line; do :; done 2>/dev/null; exit 9")
    os.close(held.streams[1])
    held.release().expect(STARTED)
    assert held.guest.ended() in {9, 128 + signal.SIGPIPE}


@pytest.mark.parametrize("flags", [START_HELD, START_FILES | START_MAIN])
def test_only_a_detached_main_process_is_held(booted: Guest, flags: int) -> None:
    session = booted.session()
    session.send(frame(ARG, b"true") + frame(START, struct.pack("<I", flags)))
    assert session.error().stage == STAGE_PROTOCOL
