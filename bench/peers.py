"""The runtimes that drupe is measured beside: each runs one program from one OCI bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_COMMANDS = {
    "crun": ["crun", "run"],
    "runc": ["runc", "run"],
    "runsc": ["runsc", "--platform=systrap", "--network=none", "--ignore-cgroups", "run"],
}
_DELETE = {
    "crun": ["crun", "delete", "--force"],
    "runc": ["runc", "delete", "--force"],
    "runsc": ["runsc", "delete", "--force"],
}
_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
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
        delete: removes what a killed runtime left of the container whose name is appended.
    """

    name: str
    version: str
    argv: list[str]
    delete: list[str]


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
    config = _defaults(directory, args)
    (directory / "config.json").write_text(json.dumps(config))


def make_bundle_of(root: Path, directory: Path, args: list[str]) -> None:
    """An OCI bundle of a tree that is only read, with ``/tmp`` in memory.

    The program is root with an engine's usual capabilities; there is no filter of system calls.

    Raises:
        FileNotFoundError: this host has no runc to write the defaults.
    """
    config = _defaults(directory, args)
    config["root"] = {"path": str(root), "readonly": True}
    config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})
    sets = config["process"]["capabilities"]
    for name in ("bounding", "effective", "permitted"):
        sets[name] = sorted({*sets.get(name, []), *_CAPABILITIES})
    (directory / "config.json").write_text(json.dumps(config))


def _defaults(directory: Path, args: list[str]) -> dict[str, Any]:
    """The defaults of an OCI bundle as runc writes them, for a program without a terminal."""
    subprocess.run(["runc", "spec"], cwd=directory, check=True)
    config: dict[str, Any] = json.loads((directory / "config.json").read_text())
    config["process"]["terminal"] = False
    config["process"]["args"] = args
    return config


def working(
    bundle: Path,
    prefix: list[str],
    say: Callable[[str], None],
    names: Sequence[str] = tuple(_COMMANDS),
) -> list[Peer]:
    """The peers of those names that run the bundle here; tells of each that does not, and why.

    A peer that does not run as it is, is tried behind ``prefix``. The bundle's program must write
    something, and end with its input.
    """
    found = []
    for name in names:
        command = _COMMANDS[name]
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
            say(f"{name}: runs here only behind '{' '.join(prefix)}', a part of its start")
        version = subprocess.run([name, "--version"], capture_output=True, check=True).stdout
        delete = [*argv[: argv.index(name)], *_DELETE[name]]
        found.append(Peer(name, version.decode().splitlines()[0], argv, delete))
    return found


def why_not(argv: list[str]) -> str:
    """What a runtime says when it fails to run the bundle; empty if it runs it."""
    done = subprocess.run(
        [*argv, f"drupe-bench-probe-{os.getpid()}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
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
