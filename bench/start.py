"""Cold start: from the command to the program's first output, and to its end.

Beside crun, runc and runsc with the same program, as far as they run here. Then where drupe's time
goes, from the steps inside one process.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench.launcher import find_launcher
from bench.measure import Sample, interleave, print_table, save, summary
from bench.peers import make_bundle, without_hybrid_cgroups, working
from drupe.container import start
from drupe.container.request import RunRequest, resolve
from drupe.container.store import Store
from drupe.guest.pump import Streams, pump

GOAL_START_MS = 350.0
_IN_MEMORY = ("--storage-opt", "layer=memory")
GOAL_COMMAND_LINE_MS = 80.0
_STEPS = ("machine", "kernel", "mounts", "main", "end", "gone")
_TELL = {
    "machine": "the jail, up to the kernel's execve",
    "kernel": "the container kernel boots, the init is up",
    "mounts": "the init mounts the container's file systems",
    "main": "the init starts the program",
    "end": "the program runs to its end",
    "gone": "the machine is ended, its record removed",
}


def main(arguments: list[str]) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench start", description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    args = parser.parse_args(arguments)
    launcher = find_launcher()
    notes: list[str] = []
    with ExitStack() as stack:
        bundle = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drupe-bench.")))
        peers = []
        if os.geteuid() == 0 and shutil.which("runc") is not None:
            make_bundle(bundle, ["/bin/echo", "x"])
            prefix = stack.enter_context(without_hybrid_cgroups())
            peers = working(bundle, prefix, notes.append)
        else:
            notes.append("peers: need root and runc here")
        counter = itertools.count()

        def run_peer(argv: list[str]) -> Sample:
            return _time([*argv, f"drupe-bench-{next(counter)}"])

        sides: dict[str, Callable[[], Sample]] = {
            "drupe": lambda: _time([launcher, "run", "--rm", "busybox", "echo", "x"]),
            "drupe, layer in memory": lambda: _time(
                [launcher, "run", "--rm", *_IN_MEMORY, "busybox", "echo", "x"]
            ),
        }
        for peer in peers:
            sides[peer.name] = lambda argv=peer.argv: run_peer(argv)  # type: ignore[misc]
        sides["python -IS -c pass"] = lambda: _time([sys.executable, "-IS", "-c", "pass"])
        sides["drupe run --help"] = lambda: _time([launcher, "run", "--help"])
        samples = interleave(sides, args.runs)
        steps = [_steps() for _ in range(args.runs + 1)][1:]
    _report(samples, steps, notes)
    path = save(
        "start",
        {
            "runs": args.runs,
            "peers": {peer.name: peer.version for peer in peers},
            "absent": notes,
            "samples_ms": samples,
            "steps_ms": steps,
            "goals_ms": {"start": GOAL_START_MS, "command line": GOAL_COMMAND_LINE_MS},
        },
    )
    print(f"\nwritten: {path}")
    return 0


def _time(argv: list[str]) -> Sample:
    """Milliseconds from fork to the first byte of output, and to the end of the process."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.read(1)
    first = time.perf_counter()
    _, err = process.communicate()
    end = time.perf_counter()
    if process.returncode != 0:
        raise RuntimeError(f"{argv[0]} failed: {err.decode(errors='replace')}")
    return {"first output": (first - begin) * 1000, "end": (end - begin) * 1000}


def _steps() -> Sample:
    """Milliseconds of each step of one run, without the command line around it."""
    store = Store()
    request = RunRequest(image="busybox", args=("true",), remove=True, log=False)
    times = [time.perf_counter()]
    with start.launched(
        store,
        None,
        lambda container_id, taken: resolve(request, container_id, taken),
        detached=False,
        on_step=lambda _: times.append(time.perf_counter()),
    ) as (record, session):
        pump(session, Streams(None, lambda _: None, lambda _: None))
        times.append(time.perf_counter())
    store.remove(record, force=True)
    times.append(time.perf_counter())
    spans = (b - a for a, b in itertools.pairwise(times))
    return {step: span * 1000 for step, span in zip(_STEPS, spans, strict=True)}


def _report(samples: dict[str, list[Sample]], steps: list[Sample], notes: list[str]) -> None:
    rows = [("to first output, to the end: ms", "least", "median", "most", "to the end")]
    for name, taken in samples.items():
        first, end = summary(taken, "first output"), summary(taken, "end")
        least, median, most = (f"{value:.1f}" for value in first)
        rows.append((name, least, median, most, f"{end[1]:.1f}"))
    print_table(rows)
    rows = [("where drupe's time goes: ms", "least", "median", "most", "")]
    for step in _STEPS:
        least, median, most = (f"{value:.1f}" for value in summary(steps, step))
        rows.append((f"{step}: {_TELL[step]}", least, median, most, ""))
    print()
    print_table(rows)
    whole = summary(samples["drupe"], "first output")[1]
    engine = sum(summary(steps, step)[1] for step in _STEPS[:4])
    help_ms = summary(samples["drupe run --help"], "end")[1]
    print(
        f"\ncold start {whole:.0f} ms; goal {GOAL_START_MS:.0f} ms: {_met(whole <= GOAL_START_MS)}"
    )
    rest = whole - engine
    print(
        f"the command line's own share (start less the first four steps): {rest:.0f} ms; "
        f"goal {GOAL_COMMAND_LINE_MS:.0f} ms: {_met(rest <= GOAL_COMMAND_LINE_MS)} "
        f"('run --help' alone: {help_ms:.0f} ms)"
    )
    for note in notes:
        print(note)


def _met(met: bool) -> str:
    return "met" if met else "missed"
