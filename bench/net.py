"""Networks: servers on each side, clients on this host, which reach them by published ports.

``native`` is this host's loopback without anything between. ``pasta`` are the same servers in a
network namespace behind pasta, the user-mode network that crun gets from podman: it is of the same
code as passt, which drupe has. crun itself adds nothing on that path. ``runsc`` is gVisor in such a
namespace.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from bench.launcher import find_launcher
from bench.measure import Sample, describe_host, interleave, print_table, save, summary
from bench.peers import make_bundle_of, without_hybrid_cgroups
from drupe.platform.registry import NAMES

_SIZES = (64, 1024, 16384, 65536)
_SECONDS = 2
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

_RATES = {
    **{f"tcp-to-{size}": "Gbit/s" for size in _SIZES},
    **{f"tcp-from-{size}": "Gbit/s" for size in _SIZES},
    **{f"udp-to-{size}": "Gbit/s" for size in _SIZES[:3]},
    "tcp-round-trip": "us",
    "udp-round-trip": "us",
    "nginx": "1/s",
    "nginx-connections": "1/s",
}

# pasta does not stay root, and some hosts let nobody else have a tap.
_TUN = """
mount -t tmpfs tun /dev/net && mknod -m 666 /dev/net/tun c 10 200 &&
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
"""

Ports = dict[str, int]


def main(arguments: list[str]) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench net", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--only", metavar="TEXT", default="", help="figures whose names have it")
    parser.add_argument("--sides", action="append", default=[], metavar="NAME")
    options = parser.parse_args(arguments)
    if missing := [name for name in ("iperf3", "sockperf", "wrk", "nginx", "pasta")
                   if shutil.which(name) is None]:  # fmt: skip
        print(f"failed to find {missing[0]}: apt-get install iperf3 sockperf wrk nginx-light passt")
        return 1
    figures = [name for name in _RATES if options.only in name]
    absent: dict[str, str] = {}
    sides: dict[str, Callable[[], Sample]] = {}
    with ExitStack() as stack:
        for name, start in _all_sides().items():
            if options.sides and name not in options.sides:
                continue
            try:
                ports = stack.enter_context(start())
            except (OSError, subprocess.SubprocessError, TimeoutError) as error:
                absent[name] = str(error)
                continue
            sides[name] = functools.partial(_measure, ports, figures)
        samples = interleave(sides, options.rounds)
    _report(figures, samples)
    for name, why in absent.items():
        print(f"{name}: absent: {why}")
    result = {"host": describe_host(), "units": _RATES, "samples": samples, "absent": absent}
    print(f"\nwritten: {save('net-part' if options.only or options.sides else 'net', result)}")
    return 0


def _report(figures: Sequence[str], samples: dict[str, list[Sample]]) -> None:
    rows = [["median (least, most)", "", *samples]]
    for figure in figures:
        cells = []
        for taken in samples.values():
            least, middle, most = summary(taken, figure)
            cells.append(f"{middle:.3g} ({least:.3g}, {most:.3g})")
        rows.append([figure, _RATES[figure], *cells])
    print_table(rows)
    if {"pasta", "um"} <= samples.keys() and "nginx" in figures:
        own, other = (
            statistics.median(sample["nginx"] for sample in samples[name])
            for name in ("um", "pasta")
        )
        print(f"\nnginx by a published port, um : pasta: {own / other:.2f}; goal: >= 0.8")


def _all_sides() -> dict[str, Callable[[], AbstractContextManager[Ports]]]:
    return {
        "native": _native,
        "pasta": _pasta,
        "runsc": _runsc,
        **{name: functools.partial(_drupe, name) for name in NAMES},
    }


# Sides


def _free_ports() -> Ports:
    found: Ports = {}
    with ExitStack() as held:
        for name in _PORTS:
            kind = socket.SOCK_DGRAM if name == "udp" else socket.SOCK_STREAM
            probe = held.enter_context(socket.socket(socket.AF_INET, kind))
            probe.bind(("127.0.0.1", 0))
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
                with socket.create_connection(("127.0.0.1", ports[name]), timeout=1) as peer:
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


def _pasta_argv(ports: Ports) -> list[str]:
    """What runs pasta with a network as drupe's passt has it; what it runs is to be appended."""
    argv = ["unshare", "--mount", "sh", "-c", _TUN, "sh"] if os.geteuid() == 0 else []
    argv += ["pasta", "--config-net", "--quiet", "--foreground", "-4", "--no-dhcp"]
    argv += ["--no-ra", "-a", "10.213.77.2", "-n", "24", "-g", "10.213.77.1"]
    argv += ["-M", "02:64:72:75:70:65", "-T", "none", "-U", "none"]
    for name, port in ports.items():
        for option in _kinds(name, tcp="-t", udp="-u"):
            argv += [option, f"127.0.0.1/{port}:{_PORTS[name]}"]
    return [*argv, "--"]


@contextmanager
def _pasta() -> Iterator[Ports]:
    ports = _free_ports()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        argv = [*_pasta_argv(ports), "sh", "-c", _script(f"{directory}/own", _PORTS)]
        with _running(argv, ports):
            yield ports


@contextmanager
def _runsc() -> Iterator[Ports]:
    ports = _free_ports()
    if shutil.which("runsc") is None:
        raise FileNotFoundError("there is no runsc: apt-get install runsc")
    with ExitStack() as stack:
        bundle = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drupe-bench.")))
        make_bundle_of(Path("/"), bundle, ["sh", "-c", _script("/tmp", _PORTS)])
        config = json.loads((bundle / "config.json").read_text())
        spaces = config["linux"]["namespaces"]
        config["linux"]["namespaces"] = [one for one in spaces if one["type"] != "network"]
        (bundle / "config.json").write_text(json.dumps(config))
        prefix = stack.enter_context(without_hybrid_cgroups())
        run = ["runsc", "--platform=systrap", "--network=sandbox", "--ignore-cgroups", "run"]
        argv = [*_pasta_argv(ports), *prefix, *run, f"--bundle={bundle}", "drupe-bench-net"]
        stack.callback(
            subprocess.run, ["runsc", "delete", "--force", "drupe-bench-net"], check=False
        )
        yield stack.enter_context(_running(argv, ports))


@contextmanager
def _drupe(platform: str) -> Iterator[Ports]:
    ports = _free_ports()
    name = f"drupe-bench-net-{platform}"
    drupe = find_launcher()
    argv = [drupe, "run", "-d", "--name", name, "-m", "1g", "--platform", platform]
    for key, port in ports.items():
        for kind in _kinds(key, tcp="", udp="/udp"):
            argv += ["-p", f"{port}:{_PORTS[key]}{kind}"]
    argv += ["--rootfs", "/", "--", "sh", "-c", _script("/tmp/bench-net", _PORTS)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, timeout=60)
    try:
        _await(ports)
        yield ports
    finally:
        subprocess.run([drupe, "rm", "-f", name], check=False, stdout=subprocess.DEVNULL)


# Figures


def _measure(ports: Ports, figures: Sequence[str]) -> Sample:
    return {figure: _figure(ports, figure) for figure in figures}


def _figure(ports: Ports, figure: str) -> float:
    kind, _, rest = figure.partition("-")
    if kind == "nginx":
        return _wrk(ports, close=bool(rest))
    if rest == "round-trip":
        return _round_trip(ports[kind], tcp=kind == "tcp")
    direction, _, size = rest.partition("-")
    return _iperf(ports["iperf"], int(size), udp=kind == "udp", back=direction == "from")


def _text(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout


def _iperf(port: int, size: int, *, udp: bool, back: bool) -> float:
    """Gbit/s that arrived."""
    argv = ["iperf3", "-c", "127.0.0.1", "-p", str(port), "-J", "-t", str(_SECONDS)]
    argv += ["-l", str(size)] + (["-u", "-b", "0"] if udp else []) + (["-R"] if back else [])
    for _ in range(5):
        told = json.loads(_text(argv) or "{}")
        end = told.get("end", {})
        if udp and "sum" in end:
            lost = end["sum"]["lost_percent"] / 100
            return float(end["sum"]["bits_per_second"] * (1 - lost) / 1e9)
        if "sum_received" in end:
            return float(end["sum_received"]["bits_per_second"] / 1e9)
        time.sleep(0.5)  # the server is still busy with the last one
    return 0.0


def _round_trip(port: int, *, tcp: bool) -> float:
    """Microseconds, there and back."""
    argv = ["sockperf", "ping-pong", "-i", "127.0.0.1", "-p", str(port), "-t", str(_SECONDS)]
    match = re.search(r"avg-latency=([0-9.]+)", _text([*argv, *(["--tcp"] if tcp else [])]))
    return 2 * float(match[1]) if match else 0.0


def _wrk(ports: Ports, *, close: bool) -> float:
    argv = ["wrk", "-t", "1", "-c", "16", "-d", f"{_SECONDS}s"]
    argv += ["-H", "Connection: close"] if close else []
    match = re.search(
        r"Requests/sec:\s+([0-9.]+)", _text([*argv, f"http://127.0.0.1:{ports['web']}/page"])
    )
    return float(match[1]) if match else 0.0
