"""Files: a tree of small ones and a large one, ``bench/programs/tree.sh``, in a host's directory.

``um volume`` has it as a volume, ``um layer`` a directory in its writable layer instead; runsc has
it as a bind mount. (One of crun is the host's own file system, as native.) The goal is at most
twice native for a volume. A directory on tmpfs, as by default, leaves out what the disk takes.
Where fio is, its figures are there, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.launcher import find_launcher
from bench.measure import Sample, interleave, print_table, save, summary
from bench.peers import make_bundle_of, without_hybrid_cgroups, working

PROGRAMS = Path(__file__).parent / "programs"
GOAL = 2.0
_MOUNT = "/mnt"
_PROGRAMS_INSIDE = "/opt"


def main(arguments: list[str]) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="bench fs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--files", type=int, default=5000, help="in the tree; default: 5000")
    parser.add_argument("--directory", default="/dev/shm", help="default: /dev/shm")
    args = parser.parse_args(arguments)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=args.directory)))
        commands = _commands(stack, place, str(args.files))
        sides: dict[str, Callable[[], Sample]] = {
            name: partial(_run, command) for name, command in commands.items()
        }
        samples = interleave(sides, args.rounds)
    figures = list(samples["native"][0])
    rows = [("", *(f"{name}" for name in samples), "volume / native")]
    for figure in figures:
        medians = {name: summary(found, figure)[1] for name, found in samples.items()}
        ratio = medians["um volume"] / medians["native"]
        cells = [f"{value:.1f}" for value in medians.values()]
        rows.append((f"{figure} (ms)", *cells, f"{ratio:.2f}"))
    print_table(rows)
    print(f"results: {save('fs', {'goal': GOAL, 'arguments': arguments, 'samples': samples})}")
    return 0


def _commands(stack: ExitStack, place: Path, files: str) -> dict[str, list[str]]:
    script = f"{PROGRAMS}/tree.sh"
    drupe = [find_launcher(), "run", "--rm", "-m", "1g"]
    mounts = ["-v", f"{PROGRAMS}:/programs:ro"]
    inside = ["--rootfs", "/", "--", "bash", "/programs/tree.sh"]
    commands = {
        "native": ["bash", script, str(place), files],
        "um volume": [*drupe, *mounts, "-v", f"{place}:{_MOUNT}", *inside, _MOUNT, files],
        "um layer": [*drupe, *mounts, *inside, "/var/tmp", files],
    }
    bundle = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    make_bundle_of(Path("/"), bundle, ["sh", "-c", "echo runs"])
    prefix = stack.enter_context(without_hybrid_cgroups())
    peers = working(bundle, prefix, print, ["runsc"])
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["args"] = ["bash", f"{_PROGRAMS_INSIDE}/tree.sh", _MOUNT, files]
    for target, source in ((_MOUNT, place), (_PROGRAMS_INSIDE, PROGRAMS)):
        mount = {"destination": target, "type": "bind", "source": str(source)}
        config["mounts"].append({**mount, "options": ["rbind", "rw"]})
    (bundle / "config.json").write_text(json.dumps(config))
    for peer in peers:
        commands[peer.name] = [*peer.argv, f"drupe-bench-fs-{os.getpid()}"]
    return commands


def _run(command: list[str]) -> Sample:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[:3]}: {done.stderr.decode(errors='replace')[-400:]}")
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    return {figure: int(micros) / 1000 for figure, micros, _ in lines}
