"""Images: pulled from a registry on this machine, made into a root, and started for the first time.

Beside podman with crun, runc and runsc, as far as they run here; every round begins with an empty
store on both sides. Then layers into a root alone, by how they are compressed, beside sqfstar.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import zstandard

from bench.launcher import find_launcher
from bench.measure import Sample, interleave, print_table, save, summary
from drupe.image.root import write_root
from drupe.image.store import Layer
from drupe.oci.manifest import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from tests.registry import Registry, running_registry

GOAL_CONVERSION_MB_S = 200.0
_TREES = ("usr/lib/python3", "usr/lib/gcc", "usr/share/doc", "usr/share/perl", "usr/share/zoneinfo")
_RUNTIMES: dict[str, tuple[str, ...]] = {
    "crun": (),
    "runc": (),
    "runsc": (
        "--runtime-flag=platform=systrap",
        "--runtime-flag=network=none",
        "--runtime-flag=ignore-cgroups",
    ),
}
_RUN = (
    "--rm",
    "--network=none",
    "--log-driver=none",
    "--ulimit=nofile=1024:1024",  # more is not for everybody
    "--ulimit=nproc=1024:1024",
)
_BUSY = "MB per second of a processor"
_HINT = "apt-get install podman crun runc; runsc from bookworm-backports"


def main(arguments: list[str]) -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench image", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(arguments)
    launcher = find_launcher()
    notes: list[str] = []
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drupe-bench.")))
        layers = _layers(home)
        packed = {kind: _pack(layers, kind) for kind in ("plain", "gzip", "zstd")}
        (home / "registry").mkdir()
        registry = stack.enter_context(running_registry(home / "registry"))
        name = _publish(registry, layers, packed["gzip"])
        sides: dict[str, Callable[[], Sample]] = {"drupe": lambda: _drupe(launcher, home, name)}
        for runtime in _podmans(home, name, notes):
            sides[f"podman, {runtime}"] = partial(_podman, home, name, runtime)
        samples = interleave(sides, args.rounds)
        conversions: dict[str, Callable[[], Sample]] = {
            f"layers: {kind}": partial(_convert, home, layers, packed[kind]) for kind in packed
        }
        if shutil.which("sqfstar"):
            conversions["sqfstar -comp lz4, of the larger layer"] = lambda: _squash(home, layers[0])
        else:
            notes.append("sqfstar: not installed: apt-get install squashfs-tools")
        converted = interleave(conversions, args.rounds)
        sizes = {kind: sum(path.stat().st_size for path in packed[kind]) for kind in packed}
    _report(samples, converted, sizes, notes)
    path = save(
        "image",
        {
            "rounds": args.rounds,
            "layers_bytes": sizes,
            "samples": samples,
            "conversions": converted,
            "absent": notes,
            "goal_mb_s": GOAL_CONVERSION_MB_S,
        },
    )
    print(f"\nwritten: {path}")
    return 0


def _layers(home: Path) -> list[Path]:
    """Two plain layers of this host's files: many small ones, and a busybox to start."""
    lower, upper = home / "lower.tar", home / "upper.tar"
    trees = [tree for tree in _TREES if Path("/", tree).is_dir()]
    subprocess.run(["tar", "-C", "/", "-cf", lower, *trees], check=True)
    subprocess.run(["tar", "-C", "/", "-cf", upper, "bin/busybox"], check=True)
    return [lower, upper]


def _pack(layers: list[Path], kind: str) -> list[Path]:
    if kind == "plain":
        return layers
    pack = (lambda data: gzip.compress(data, 6)) if kind == "gzip" else zstandard.compress
    packed = []
    for layer in layers:
        packed.append(layer.with_suffix(f".{kind}"))
        packed[-1].write_bytes(pack(layer.read_bytes()))
    return packed


def _publish(registry: Registry, layers: list[Path], packed: list[Path]) -> str:
    config = {
        "os": "linux",
        "architecture": "amd64",
        "config": {"Cmd": ["/bin/busybox", "echo", "x"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
    }
    data = json.dumps(config).encode()
    described = [
        {
            "mediaType": f"{OCI_LAYER}+gzip",
            "digest": registry.push_blob("bench", path),
            "size": path.stat().st_size,
        }
        for path in packed
    ]
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": OCI_CONFIG,
            "digest": registry.push_blob("bench", data),
            "size": len(data),
        },
        "layers": described,
    }
    registry.push_manifest("bench", "latest", json.dumps(manifest).encode(), OCI_MANIFEST)
    return f"{registry.address}/bench:latest"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _drupe(launcher: str, home: Path, name: str) -> Sample:
    """An image from nothing to its first container's end, in a store of its own."""
    data = home / "data"
    system = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    dirs = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    env = {**os.environ, "XDG_DATA_HOME": str(data), "XDG_DATA_DIRS": f"{system}:{dirs}"}
    try:
        sample = {
            "pull": _time([launcher, "pull", "-q", name], env),
            "first start": _time([launcher, "run", "--rm", name], env),
            "second start": _time([launcher, "run", "--rm", name], env),
        }
        return {**sample, "disk MB": _disk(data)}
    finally:
        shutil.rmtree(data)


def _podmans(home: Path, name: str, notes: list[str]) -> Iterator[str]:
    """The runtimes that podman runs the image with here."""
    if shutil.which("podman") is None:
        notes.append(f"podman: not installed: {_HINT}")
        return
    for runtime in _RUNTIMES:
        if shutil.which(runtime) is None:
            notes.append(f"{runtime}: not installed: {_HINT}")
            continue
        try:
            _podman(home, name, runtime)
        except RuntimeError as error:
            notes.append(f"podman, {runtime}: does not run here: {error}")
        else:
            yield runtime


def _podman(home: Path, name: str, runtime: str) -> Sample:
    with _podman_store(home) as podman:
        run = [*podman, "--runtime", runtime, *_RUNTIMES[runtime], "run", *_RUN]
        sample = {
            "pull": _time([*podman, "pull", "-q", "--tls-verify=false", name]),
            "first start": _time([*run, name]),
            "second start": _time([*run, name]),
        }
        return {**sample, "disk MB": _disk(home / "podman")}


@contextmanager
def _podman_store(home: Path) -> Iterator[list[str]]:
    store = home / "podman"
    store.mkdir()
    try:
        yield [
            "unshare",  # it leaves mounts behind, and crun refuses hosts with both kinds of cgroups
            "--mount",
            "sh",
            "-c",
            'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"',
            "sh",
            "podman",
            f"--root={store}/root",
            f"--runroot={store}/run",
            f"--tmpdir={store}/tmp",
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
        ]
    finally:
        # What podman starts to clean up behind a container may still be at it.
        while store.exists():
            shutil.rmtree(store, ignore_errors=True)


def _convert(home: Path, layers: list[Path], packed: list[Path]) -> Sample:
    """Layers into a root, in this process."""
    root = home / "root.erofs"
    described = [
        (blob, Layer(_digest(layer), _digest(layer), 0, ""))
        for blob, layer in zip(packed, layers, strict=True)
    ]
    descriptor = os.open(root, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        begin = time.perf_counter()
        busy = time.process_time()
        unpacked = sum(write_root(descriptor, described))
        took, busy = time.perf_counter() - begin, time.process_time() - busy
    finally:
        os.close(descriptor)
    sample = {
        "MB/s": unpacked / 1e6 / took,
        _BUSY: unpacked / 1e6 / busy,
        "root MB": root.stat().st_size / 1e6,
    }
    root.unlink()
    return sample


def _squash(home: Path, layer: Path) -> Sample:
    root = home / "root.sqfs"
    with layer.open("rb") as source:
        begin = time.perf_counter()
        argv = ["sqfstar", "-quiet", "-no-progress", "-comp", "lz4", str(root)]
        subprocess.run(argv, stdin=source, check=True, capture_output=True)
        took = time.perf_counter() - begin
    sample = {"MB/s": layer.stat().st_size / 1e6 / took, "root MB": root.stat().st_size / 1e6}
    root.unlink()
    return sample


def _time(argv: list[str], env: dict[str, str] | None = None) -> float:
    """Milliseconds that a command takes."""
    begin = time.perf_counter()
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    took = (time.perf_counter() - begin) * 1000
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return took


def _disk(home: Path) -> float:
    """What lies below a directory, in MB on the disk; a file with several names counts once."""
    seen = {}
    for path in home.rglob("*"):
        with suppress(OSError):
            status = path.lstat()
            seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values()) / 1e6


def _report(
    samples: dict[str, list[Sample]],
    converted: dict[str, list[Sample]],
    sizes: dict[str, int],
    notes: list[str],
) -> None:
    told = ", ".join(f"{kind} {size / 1e6:.0f} MB" for kind, size in sizes.items())
    print(f"two layers: {told}\n")
    rows = [("median, ms", "pull", "first start", "second start", "disk, MB")]
    figures = ("pull", "first start", "second start", "disk MB")
    for name, taken in samples.items():
        rows.append((name, *(f"{summary(taken, figure)[1]:.0f}" for figure in figures)))  # type: ignore[arg-type]
    print_table(rows)
    print()
    table = [("layers into a root", "least MB/s", "median MB/s", "per CPU s", "root, MB")]
    for name, taken in converted.items():
        least, median, _ = summary(taken, "MB/s")
        busy = f"{summary(taken, _BUSY)[1]:.0f}" if _BUSY in taken[0] else ""
        size = f"{summary(taken, 'root MB')[1]:.0f}"
        table.append((name, f"{least:.0f}", f"{median:.0f}", busy, size))
    print_table(table)
    gzipped = summary(converted["layers: gzip"], "MB/s")[1]
    met = "met" if gzipped >= GOAL_CONVERSION_MB_S else "missed"
    print(f"\nconversion of gzip layers {gzipped:.0f} MB/s; goal {GOAL_CONVERSION_MB_S:.0f}: {met}")
    for note in notes:
        print(note)
