"""Density: what an idle container takes of the host, alone, among ten and among a hundred.

Memory is what all host processes of a container take: their proportional shares, the files in
memory that they share, their page tables. The program in it is busybox's sleep. ``host`` is what
the whole host has less to give for each, which is only true where nothing else goes on. Disk is
what the container's directory takes. Beside crun, runc and runsc, as far as they run here.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.footprint import Footprint, footprint, naming, with_descendants
from bench.launcher import find_launcher
from bench.measure import print_table, save
from bench.peers import Peer, make_bundle, without_hybrid_cgroups, working
from drupe.container.processes import NETWORK
from drupe.platform.registry import NAMES

GOAL_BYTES = 12 * 1000**2
GOAL_COUNT = 100
SETTLE_S = 3.0
"""How long all are left alone before anything is measured."""

_PROGRAM = ["/bin/busybox", "sleep", "1000000"]
_PEERS = ("crun", "runc", "runsc")


class Side(ABC):
    """What runs idle containers."""

    name: str

    @abstractmethod
    def start(self, container: str) -> None:
        """Starts one; returns once its program runs."""

    @abstractmethod
    def end(self, container: str) -> None:
        """Ends it, and removes what is left."""

    @abstractmethod
    def processes(self, container: str) -> set[int]:
        """Its host processes."""

    def disk_bytes(self, _: str) -> int:
        """What it takes on disk; -1: nothing that could be told."""
        return -1


class Drupe(Side):
    """A platform of drupe's."""

    def __init__(self, launcher: str, platform: str, options: list[str]) -> None:
        self.name = platform
        self._launcher = launcher
        self._options = ["--platform", platform, *options]

    def start(self, container: str) -> None:
        """Starts one in the background."""
        self._run("run", "-d", "--name", container, *self._options, "busybox", *_PROGRAM)

    def end(self, container: str) -> None:
        """Removes it."""
        self._run("rm", "-f", container)

    def processes(self, container: str) -> set[int]:
        """Its kernel's, its network's, and whatever else serves it from outside."""
        told = self._inspect(container)
        network = Path(told["directory"], NETWORK)
        own = [json.loads(network.read_text())["pid"]] if network.exists() else []
        return with_descendants([told["state"]["pid"], *own]) | naming(told["id"])

    def disk_bytes(self, container: str) -> int:
        """Of its directory."""
        directory = Path(self._inspect(container)["directory"])
        return sum(path.stat().st_blocks * 512 for path in [directory, *directory.rglob("*")])

    def _inspect(self, container: str) -> dict[str, Any]:
        told = json.loads(self._run("inspect", "-f", "{{json .Drupe}}", container))
        return dict(told)

    def _run(self, *words: str) -> str:
        argv = [self._launcher, *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


class Runtime(Side):
    """An OCI runtime."""

    def __init__(self, peer: Peer) -> None:
        self.name = peer.name
        self._peer = peer
        where = peer.argv.index("run") + 1
        self._argv = [*peer.argv[:where], "--detach", *peer.argv[where:]]

    def start(self, container: str) -> None:
        """Starts one in the background."""
        _quietly([*self._argv, container])

    def end(self, container: str) -> None:
        """Kills it, removes its state."""
        _quietly([*self._peer.delete, container])

    def processes(self, container: str) -> set[int]:
        """The runtime's own, which name it, and the program's."""
        runtime = self._peer.delete[: self._peer.delete.index("delete")]
        state = subprocess.run([*runtime, "state", container], capture_output=True, check=True)
        return with_descendants({json.loads(state.stdout)["pid"], *naming(container)})


def _quietly(argv: list[str]) -> None:
    subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def main(arguments: list[str]) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench density", description=__doc__)
    parser.add_argument("--counts", default="1,10,100", help="how many containers at once")
    parser.add_argument("--sides", default="", help="only these, with commas between")
    parser.add_argument(
        "--option", action="append", default=[], help="of 'drupe run', such as --option=-m64m"
    )
    args = parser.parse_args(arguments)
    counts = [int(count) for count in args.counts.split(",")]
    if os.geteuid() != 0:
        print("density: needs root to look at the processes of all sides")
        return 1
    launcher = find_launcher()
    notes: list[str] = []
    results = []
    with ExitStack() as stack:
        sides: list[Side] = [Drupe(launcher, platform, args.option) for platform in NAMES]
        sides += _find_peers(stack, notes.append)
        wanted = args.sides.split(",") if args.sides else [side.name for side in sides]
        for count in counts:
            for side in sides:
                if side.name in wanted:
                    results.append(_measure(side, count))
                    print(f"{side.name}: {count} done", file=sys.stderr, flush=True)
    _report(results)
    for note in notes:
        print(note)
    goal = {"memory_bytes": GOAL_BYTES, "of": GOAL_COUNT}
    path = save("density", {"goal": goal, "absent": notes, "options": args.option, "rows": results})
    print(f"\nwritten: {path}")
    return 0


def _find_peers(stack: ExitStack, say: Callable[[str], None]) -> list[Side]:
    if shutil.which("runc") is None:
        say("peers: need runc here: apt-get install runc")
        return []
    bundle = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drupe-bench.")))
    make_bundle(bundle, ["/bin/echo", "x"])
    prefix = stack.enter_context(without_hybrid_cgroups())
    peers = working(bundle, prefix, say, _PEERS)
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["args"] = _PROGRAM
    (bundle / "config.json").write_text(json.dumps(config))
    return [Runtime(peer) for peer in peers]


def _measure(side: Side, count: int) -> dict[str, object]:
    """Starts so many, measures, ends them."""
    # None begins as another one does: runsc takes that for short
    names = [f"drupe-bench-{os.getpid()}-{number:03}" for number in range(count)]
    started: list[str] = []
    available = _available_bytes()
    try:
        begin = time.monotonic()
        for name in names:
            started.append(name)
            side.start(name)
        start_s = time.monotonic() - begin
        time.sleep(SETTLE_S)
        host = available - _available_bytes()
        all_of_them = footprint(pid for name in names for pid in side.processes(name))
        disk = sum(side.disk_bytes(name) for name in names) if side.disk_bytes(names[0]) >= 0 else 0
    finally:
        for name in started:
            side.end(name)
    return {
        "side": side.name,
        "count": count,
        "start_s": start_s,
        "host_bytes": host,
        "disk_bytes": disk,
        **all_of_them._asdict(),
    }


def _available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("/proc/meminfo does not tell what is available")


def _report(results: list[dict[str, object]]) -> None:
    rows = [
        ("each", "of", "memory", "shares", "files", "tables", "processes", "host", "disk", "start")
    ]
    for result in results:
        taken = Footprint(*(int(str(result[name])) for name in Footprint._fields))
        count = int(str(result["count"]))

        def each(value: object, unit: float = 1e6, n: int = count) -> str:
            return f"{float(str(value)) / n / unit:.2f}"

        rows.append(
            (
                str(result["side"]),
                str(count),
                f"{each(taken.memory_bytes)} MB",
                f"{each(taken.pss_bytes)} MB",
                f"{each(taken.files_bytes)} MB",
                f"{each(taken.tables_bytes)} MB",
                each(taken.processes, 1),
                f"{each(result['host_bytes'])} MB",
                f"{each(result['disk_bytes'], 1e3)} kB",
                f"{each(result['start_s'], 1e-3)} ms",
            )
        )
        if result["side"] == NAMES[0] and count == GOAL_COUNT:
            met = taken.memory_bytes / count <= GOAL_BYTES
            goal = f"goal {GOAL_BYTES / 1e6:.0f} MB each of {GOAL_COUNT} on {NAMES[0]}"
            goal += f": {'met' if met else 'missed'}"
    print_table(rows)
    if any(result["side"] == NAMES[0] and result["count"] == GOAL_COUNT for result in results):
        print(f"\n{goal}")
