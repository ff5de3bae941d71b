"""Files: a tree of small ones and a large one, ``bench/programs/tree.sh``, in a host's directory.

``um volume`` has it as a volume, ``um layer`` a directory in its writable layer instead; runsc has
it as a bind mount. (One of crun is the host's own file system, as native.) The goal is at most
twice native for a volume. A directory on tmpfs, as by default, leaves out what the disk takes.
Where fio is, its figures are there, too. Then ``bench/programs/readonly.sh`` reads ``/usr`` of a
Debian: natively, as the root of an image, and in runsc.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.launcher import find_launcher
from bench.measure import Sample, interleave, print_table, save, summary
from bench.peers import make_bundle_of, without_hybrid_cgroups, working
from bench.roots import debian_root

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
    _print("", samples, "um volume")
    roots = _image_roots(args.rounds)
    result = {"goal": GOAL, "arguments": arguments, "samples": samples, "image root": roots}
    print(f"results: {save('fs', result)}")
    return 0


def _print(title: str, samples: dict[str, list[Sample]], ours: str) -> None:
    """The medians, and ours by those of the host itself."""
    rows = [(title, *samples, f"{ours.removeprefix('um ')} / native")]
    for figure in samples["native"][0]:
        medians = {name: summary(found, figure)[1] for name, found in samples.items()}
        cells = [f"{value:.1f}" for value in medians.values()]
        rows.append((f"{figure} (ms)", *cells, f"{medians[ours] / medians['native']:.2f}"))
    print_table(rows)


def _image_roots(rounds: int) -> dict[str, list[Sample]]:
    try:
        root = debian_root(print)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"image root: not measured: {error}")
        return {}
    name = f"drupe-bench-fs-{os.getpid()}"
    with ExitStack() as stack:
        launcher = find_launcher()
        with subprocess.Popen(["tar", "-cC", str(root), "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(
                [launcher, "import", "-", name], stdin=tar.stdout, check=True, capture_output=True
            )
        stack.callback(subprocess.run, [launcher, "rmi", name], check=True, capture_output=True)
        inside = ["bash", f"{_PROGRAMS_INSIDE}/readonly.sh", "/usr"]
        mount = f"{PROGRAMS}:{_PROGRAMS_INSIDE}:ro"
        commands = {
            "native": ["bash", str(PROGRAMS / "readonly.sh"), str(root / "usr")],
            "um image": [launcher, "run", "--rm", "-m", "1g", "-v", mount, name, *inside],
        }
        commands.update(_peers(stack, root, {_PROGRAMS_INSIDE: PROGRAMS}, ["readonly.sh", "/usr"]))
        samples = interleave({side: partial(_run, argv) for side, argv in commands.items()}, rounds)
    _print("image root", samples, "um image")
    return samples


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
    mounted = {_MOUNT: place, _PROGRAMS_INSIDE: PROGRAMS}
    commands.update(_peers(stack, Path("/"), mounted, ["tree.sh", _MOUNT, files]))
    return commands


def _peers(
    stack: ExitStack, root: Path, mounted: Mapping[str, Path], argv: Sequence[str]
) -> dict[str, list[str]]:
    """How the peers run one of our programs in a tree, with directories mounted."""
    bundle = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    make_bundle_of(root, bundle, ["sh", "-c", "echo runs"])
    prefix = stack.enter_context(without_hybrid_cgroups())
    peers = working(bundle, prefix, print, ["runsc"])
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["args"] = ["bash", f"{_PROGRAMS_INSIDE}/{argv[0]}", *argv[1:]]
    for target, source in mounted.items():
        mount = {"destination": target, "type": "bind", "source": str(source)}
        config["mounts"].append({**mount, "options": ["rbind", "rw"]})
    (bundle / "config.json").write_text(json.dumps(config))
    return {peer.name: [*peer.argv, f"drupe-bench-fs-{os.getpid()}"] for peer in peers}


def _run(command: list[str]) -> Sample:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[:3]}: {done.stderr.decode(errors='replace')[-400:]}")
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    return {figure: int(micros) / 1000 for figure, micros, _ in lines}
