"""Samples, interleaved; their summary; the host they were taken on; where they are kept."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Sample = dict[str, float]
"""Figure → milliseconds, of one run of one side."""


def interleave(sides: Mapping[str, Callable[[], Sample]], runs: int) -> dict[str, list[Sample]]:
    """Runs every side once to warm up, then all in turn, ``runs`` times."""
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for turn in range(runs + 1):
        for name, run in sides.items():
            sample = run()
            if turn:
                samples[name].append(sample)
    return samples


def summary(samples: Sequence[Sample], figure: str) -> tuple[float, float, float]:
    """(least, median, most) of one figure."""
    values = [sample[figure] for sample in samples]
    return min(values), statistics.median(values), max(values)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns, the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *rest = row
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]).rstrip())


def save(name: str, result: Mapping[str, object]) -> Path:
    """Writes a benchmark's result file, with the host's description; returns its path."""
    directory = Path(__file__).parent / "results"
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.json"
    path.write_text(json.dumps({"host": describe_host(), **result}, indent=1) + "\n")
    return path


def describe_host() -> dict[str, object]:
    """What a reader must know of the host to judge the figures."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [line.partition(": ")[2] for line in cpuinfo.splitlines() if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kernel": platform.release(),
        "processor": models[0] if models else platform.machine(),
        "processors": os.cpu_count(),
        "virtual_machine": " hypervisor" in cpuinfo,
        "memory_bytes": memory,
        "load": os.getloadavg(),
        "transparent_huge_pages": _setting("/sys/kernel/mm/transparent_hugepage/enabled"),
        "uid": os.geteuid(),
    }


def _setting(path: str) -> str:
    """The content of a file of the kernel's; empty if there is none."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
