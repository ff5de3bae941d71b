"""The runtimes that drupe is measured beside: each runs one program from one OCI bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_COMMANDS = {
    "crun": ["crun", "run"],
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
        argv: runs the bundle, under a container's name that is to be appended.
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


def working(bundle: Path, prefix: list[str], say: Callable[[str], None]) -> list[Peer]:
    """The peers that run the bundle here; tells of each that does not, and why.

    A peer that does not run as it is, is tried behind ``prefix``.
    """
    found = []
    for name, command in _COMMANDS.items():
        if shutil.which(name) is None:
            say(f"{name}: not installed: {_HINTS[name]}")
            continue
        argv = [*command, "--bundle", str(bundle)]
        if why_not(argv):
            argv = [*prefix, *argv]
            why = why_not(argv)
            if why:
                say(f"{name}: does not run here: {why}")
                continue
            say(f"{name}: runs here only behind '{' '.join(prefix)}', whose time is in its figures")
        version = subprocess.run([name, "--version"], capture_output=True, check=True).stdout
        found.append(Peer(name, version.decode().splitlines()[0], argv))
    return found


def why_not(argv: list[str]) -> str:
    """What a runtime says when it fails to run the bundle; empty if it runs it."""
    done = subprocess.run([*argv, "drupe-bench-probe"], capture_output=True, check=False)
    if done.returncode == 0 and done.stdout:
        return ""
    said = done.stderr.decode(errors="replace").strip()[-200:]
    return f"status {done.returncode}: {said}"


@contextmanager
def without_hybrid_cgroups() -> Iterator[list[str]]:
    """Yields a prefix that runs a command in a mount namespace that shows cgroup v1 only.

    crun refuses hosts that have both versions mounted.
    """
    script = "umount -l /sys/fs/cgroup/unified 2>/dev/null; echo ready; exec sleep infinity"
    keeper = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    try:
        assert keeper.stdout is not None
        keeper.stdout.readline()
        yield ["nsenter", f"--mount=/proc/{keeper.pid}/ns/mnt"]
    finally:
        keeper.kill()
        keeper.communicate()
