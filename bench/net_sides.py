"""The sides of the network's benchmark: the same servers behind ports of this host.

``native`` has nothing between. ``pasta`` are the servers in a network namespace behind pasta, the
user-mode network that crun gets from podman: it is of the same code as passt, which drupe has.
``crun`` and ``runsc`` are containers of these in such a namespace.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from bench.launcher import find_launcher
from bench.peers import make_bundle_of, without_hybrid_cgroups
from drupe.platform.registry import NAMES

Ports = dict[str, int]
"""Of this host, by what listens there."""

_NUMBERS = itertools.count()
_PORTS = {"iperf": 5201, "tcp": 5301, "udp": 5302, "web": 5380}
"""Of the servers, in their own network."""

_SERVERS = """
set -e
mkdir -p {directory}/www
chmod 755 {directory} {directory}/www
head -c 1024 /dev/zero | tr '\\0' x >{directory}/www/page
cat >{directory}/nginx.conf <<'END'
daemon off;
user root;
worker_processes 1;
pid {directory}/pid;
error_log /dev/null;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000;
    server {{ listen {web}; root {directory}/www; }}
}}
END
nginx -e /dev/null -c {directory}/nginx.conf &
sockperf server --tcp -i 0.0.0.0 -p {tcp} >/dev/null 2>&1 &
sockperf server -i 0.0.0.0 -p {udp} >/dev/null 2>&1 &
exec iperf3 -s -p {iperf} >/dev/null 2>&1
"""

# A runtime wants a root of its own. runsc takes a network namespace for the host's where it sees
# what Linux shows in all of them now.
_ROOT = """
mount --bind / "$1" && nsenter --net=/run/netns/"$2" mount -t tmpfs none /proc/sys/net/core &&
shift 2 && exec "$@"
"""
_RUNSC = ["runsc", "--platform=systrap", "--network=sandbox", "--ignore-cgroups"]


@functools.cache
def address() -> str:
    """Where ports are published: an address of this host that is not its loopback, if it has one.

    What comes from the loopback, pasta hands on to the other loopback: no user-mode network then.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def text(argv: Sequence[str]) -> str:
    """What a program says."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout


def _free_ports() -> Ports:
    found: Ports = {}
    with ExitStack() as held:
        for name in _PORTS:
            kind = socket.SOCK_DGRAM if name == "udp" else socket.SOCK_STREAM
            probe = held.enter_context(socket.socket(socket.AF_INET, kind))
            probe.bind((address(), 0))
            found[name] = int(probe.getsockname()[1])
    return found


def _kinds(name: str, *, tcp: str, udp: str) -> list[str]:
    """What stands for the protocols of a server; iperf3 has both."""
    return {"iperf": [tcp, udp], "udp": [udp]}.get(name, [tcp])


def _script(directory: Path | str, ports: Ports) -> str:
    return _SERVERS.format(directory=directory, **ports)


@contextmanager
def _running(argv: Sequence[str], ports: Ports) -> Iterator[Ports]:
    """Servers that run until the end of the block."""
    log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this program)
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        start_new_session=True,
    )
    try:
        _await(ports)
        yield ports
    except TimeoutError as error:
        log.seek(0)
        raise TimeoutError(f"{error}: {log.read()[-400:].decode(errors='replace')}") from error
    finally:
        subprocess.run(["pkill", "-KILL", "-s", str(child.pid)], check=False)
        child.wait()


def _await(ports: Ports) -> None:
    deadline = time.monotonic() + 20
    for name in ("web", "tcp"):
        while True:
            try:
                with socket.create_connection((address(), ports[name]), timeout=1) as peer:
                    if name != "web":
                        break
                    peer.sendall(b"GET /page HTTP/1.0\r\n\r\n")
                    if peer.recv(8).startswith(b"HTTP"):
                        break
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing answers on {name}")
            time.sleep(0.1)
    time.sleep(0.5)


@contextmanager
def _native() -> Iterator[Ports]:
    ports = _free_ports()
    with (
        tempfile.TemporaryDirectory() as directory,
        _running(["sh", "-c", _script(directory, ports)], ports),
    ):
        yield ports


@contextmanager
def _user_mode(ports: Ports) -> Iterator[str]:
    """A network namespace behind pasta, as drupe's passt has it; yields its name.

    Raises:
        PermissionError: this needs root: pasta is to stay it, for some hosts let nobody else have a
            tap.
    """
    if os.geteuid() != 0:
        raise PermissionError("needs root")
    name = f"drupe-bench-{os.getpid()}-{next(_NUMBERS)}"
    argv = ["pasta", "--config-net", "--quiet", "--foreground", "-4", "--no-dhcp", "--no-ra"]
    argv += ["-a", "10.213.77.2", "-n", "24", "-g", "10.213.77.1", "-M", "02:64:72:75:70:65"]
    argv += ["-T", "none", "-U", "none"]
    for key, port in ports.items():
        for option in _kinds(key, tcp="-t", udp="-u"):
            argv += [option, f"{address()}/{port}:{_PORTS[key]}"]
    argv += ["--runas", "0:0", "--netns-only", "--netns", f"/run/netns/{name}"]
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        pasta = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await_address(name)
            yield name
        finally:
            pasta.kill()
            pasta.wait()
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def _await_address(name: str) -> None:
    deadline = time.monotonic() + 10
    while "10.213.77.2" not in text(["ip", "-n", name, "-o", "-4", "address"]):
        if time.monotonic() > deadline:
            raise TimeoutError("pasta has not made its interface")
        time.sleep(0.05)


@contextmanager
def _pasta() -> Iterator[Ports]:
    ports = _free_ports()
    with tempfile.TemporaryDirectory() as directory, _user_mode(ports) as name:
        argv = ["ip", "netns", "exec", name, "sh", "-c", _script(directory, _PORTS)]
        with _running(argv, ports):
            yield ports


@contextmanager
def _runtime(command: Sequence[str]) -> Iterator[Ports]:
    """An OCI runtime in such a namespace."""
    ports = _free_ports()
    program = command[0]
    if shutil.which(program) is None:
        raise FileNotFoundError(f"there is no {program}: apt-get install {program}")
    with ExitStack() as stack:
        name = stack.enter_context(_user_mode(ports))
        bundle = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drupe-bench.")))
        root = bundle / "rootfs"
        root.mkdir()
        make_bundle_of(root, bundle, ["sh", "-c", _script("/tmp", _PORTS)])
        config = json.loads((bundle / "config.json").read_text())
        for space in config["linux"]["namespaces"]:
            if space["type"] == "network":
                space["path"] = f"/run/netns/{name}"
        (bundle / "config.json").write_text(json.dumps(config))
        # Behind the namespace, which it would not see else
        prefix = stack.enter_context(without_hybrid_cgroups())
        prefix += ["unshare", "--mount", "sh", "-c", _ROOT, "sh", str(root), name]
        stack.callback(_remove, [*prefix, program, "delete", "--force", name])
        yield stack.enter_context(
            _running([*prefix, *command, "run", f"--bundle={bundle}", name], ports)
        )


def _remove(argv: Sequence[str]) -> None:
    for _ in range(5):
        if subprocess.run(argv, check=False, capture_output=True).returncode == 0:
            return
        time.sleep(1)


@contextmanager
def _drupe(platform: str) -> Iterator[Ports]:
    ports = _free_ports()
    name = f"drupe-bench-net-{platform}"
    drupe = find_launcher()
    argv = [drupe, "run", "-d", "--name", name, "-m", "1g", "--platform", platform]
    for key, port in ports.items():
        for kind in _kinds(key, tcp="", udp="/udp"):
            argv += ["-p", f"{address()}:{port}:{_PORTS[key]}{kind}"]
    argv += ["--rootfs", "/", "--", "sh", "-c", _script("/tmp/bench-net", _PORTS)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, timeout=60)
    try:
        _await(ports)
        yield ports
    finally:
        subprocess.run([drupe, "rm", "-f", name], check=False, stdout=subprocess.DEVNULL)


def all_sides() -> dict[str, Callable[[], AbstractContextManager[Ports]]]:
    """What starts the servers of each side until the end of a block, and yields their ports."""
    return {
        "native": _native,
        "pasta": _pasta,
        "crun": functools.partial(_runtime, ["crun"]),
        "runsc": functools.partial(_runtime, _RUNSC),
        **{name: functools.partial(_drupe, name) for name in NAMES},
    }
