"""The runtimes that drupe is measured beside: each runs one program from one OCI bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_COMMANDS = {
    "crun": ["crun", "--cgroup-manager=disabled", "run"],
    "runc": ["runc", "run"],
    "runsc": ["runsc", "--platform=systrap", "--network=none", "--ignore-cgroups", "run"],
}
_HINTS = {
    "crun": "apt-get install crun",
    "runc": "apt-get install runc",
    "runsc": "apt-get install -t bookworm-backports runsc",
}


@dataclass(frozen=True)
class Peer:
    """A runtime that works on this host.

    Attributes:
        name: of the runtime.
        version: what it says of itself.
        argv: runs the bundle in the current directory under a container's name, to be appended.
    """

    name: str
    version: str
    argv: list[str]


def make_bundle(directory: Path, args: list[str]) -> None:
    """An OCI bundle of busybox that runs ``args`` without a terminal.

    Raises:
        FileNotFoundError: this host has no busybox-static, or no runc to write the defaults.
    """
    root = directory / "rootfs/bin"
    root.mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "busybox")
    for applet in ("true", "echo", "sh"):
        (root / applet).symlink_to("busybox")
    subprocess.run(["runc", "spec"], cwd=directory, check=True)
    config = json.loads((directory / "config.json").read_text())
    config["process"]["terminal"] = False
    config["process"]["args"] = args
    (directory / "config.json").write_text(json.dumps(config))


def working(bundle: Path, say: Callable[[str], None]) -> list[Peer]:
    """The peers that run the bundle here; tells of each that does not, and why."""
    found = []
    for name, argv in _COMMANDS.items():
        if shutil.which(name) is None:
            say(f"{name}: not installed: {_HINTS[name]}")
            continue
        done = subprocess.run(
            [*argv, "drupe-bench-probe"], cwd=bundle, capture_output=True, check=False
        )
        if done.returncode != 0 or not done.stdout:
            said = done.stderr.decode(errors="replace").strip()[-200:]
            say(f"{name}: does not run here (status {done.returncode}): {said}")
            continue
        version = subprocess.run([name, "--version"], capture_output=True, check=True).stdout
        found.append(Peer(name, version.decode().splitlines()[0], list(argv)))
    return found
