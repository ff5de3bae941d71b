"""Networks: servers on each side, clients on this host, which reach them by published ports."""

from __future__ import annotations

import argparse
import functools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from bench.goals import NANOSECONDS, RATE, ahead
from bench.measure import Sample, describe_host, interleave, print_table, save, summary
from bench.net_sides import Ports, address, all_sides, text

_SIZES = (64, 1024, 16384, 65536)
_SECONDS = 2

_RATES = {
    **{f"tcp-to-{size}": "Gbit/s" for size in _SIZES},
    **{f"tcp-from-{size}": "Gbit/s" for size in _SIZES},
    **{f"udp-to-{size}": "Gbit/s" for size in _SIZES[:3]},
    "tcp-round-trip": "us",
    "udp-round-trip": "us",
    "nginx": "1/s",
    "nginx-connections": "1/s",
}

_GOAL_BITS = 5.0
_GOAL_NGINX = 0.8


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
        for name, start in all_sides().items():
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
    if "um" in samples:
        _report_goals(figures, samples)


def _report_goals(figures: Sequence[str], samples: dict[str, list[Sample]]) -> None:
    print()
    for figure in {"tcp-to-65536", "tcp-from-65536"} & set(figures):
        bits = summary(samples["um"], figure)[1]
        print(f"{figure}: {bits:.2f} Gbit/s; goal: >= {_GOAL_BITS:g}")
    if "crun" in samples and "nginx" in figures:
        ratio = summary(samples["um"], "nginx")[1] / summary(samples["crun"], "nginx")[1]
        print(f"nginx by a published port, um : crun: {ratio:.2f}; goal: >= {_GOAL_NGINX:g}")
    if "runsc" not in samples:
        return
    for figure in figures:
        own, other = (summary(samples[name], figure)[1] for name in ("um", "runsc"))
        unit = NANOSECONDS if _RATES[figure] == "us" else RATE
        if own and other and ahead(own, other, unit) < 1:
            print(f"{figure}: behind runsc: {own:.3g}, {other:.3g} {_RATES[figure]}")


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


def _iperf(port: int, size: int, *, udp: bool, back: bool) -> float:
    """Gbit/s that arrived."""
    argv = ["iperf3", "-c", address(), "-p", str(port), "-J", "-t", str(_SECONDS)]
    argv += ["-l", str(size)] + (["-u", "-b", "0"] if udp else []) + (["-R"] if back else [])
    for _ in range(5):
        told = json.loads(text(argv) or "{}")
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
    argv = ["sockperf", "ping-pong", "-i", address(), "-p", str(port), "-t", str(_SECONDS)]
    match = re.search(r"avg-latency=([0-9.]+)", text([*argv, *(["--tcp"] if tcp else [])]))
    return 2 * float(match[1]) if match else 0.0


def _wrk(ports: Ports, *, close: bool) -> float:
    argv = ["wrk", "-t", "1", "-c", "16", "-d", f"{_SECONDS}s"]
    argv += ["-H", "Connection: close"] if close else []
    match = re.search(
        r"Requests/sec:\s+([0-9.]+)", text([*argv, f"http://{address()}:{ports['web']}/page"])
    )
    return float(match[1]) if match else 0.0
