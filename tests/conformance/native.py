"""Runs commands on the host within the Debian tree, which stays as it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.tree import Tree

_ENTER = """
set -e
mount -t tmpfs none "$SCRATCH"
mkdir "$SCRATCH/upper" "$SCRATCH/work" "$SCRATCH/root"
root=$SCRATCH/root
mount -t overlay none -o "lowerdir=$TREE,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" "$root"
mount -t proc none "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs none "$root/dev/shm"
while [ -n "$SHARED" ]; do
    one=${SHARED%%|*}
    SHARED=${SHARED#*|}
    mkdir -p "$root${one#*:}"
    mount --bind "${one%%:*}" "$root${one#*:}"
done
chroot "$root" ip link set lo up
exec chroot "$root" env --default-signal "$@"
"""
"""A layer that is thrown away above the tree, a network of its own and no
signal ignored, as a container has."""


def run_in_tree(
    tree: Tree,
    argv: Sequence[str],
    *,
    scratch: Path,
    shared: dict[Path, str],
    timeout_s: float,
    variables: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Runs a command to its end, with directories of the host at places in the tree.

    Args:
        tree: where to run it.
        argv: what to run, by its path in the tree.
        scratch: an empty directory.
        shared: directories of the host, and their places.
        timeout_s: after that it is killed, with all that it started.
        variables: its environment, beyond what every command gets.
    """
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/root",
        "TREE": str(tree.directory),
        "SCRATCH": str(scratch),
        "SHARED": "".join(f"{path}:{place}|" for path, place in shared.items()),
        **(variables or {}),
    }
    spaces = ("--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child")
    return subprocess.run(
        ["unshare", *spaces, "sh", "-c", _ENTER, "sh", *argv],
        env=environment,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout_s,
        check=False,
        start_new_session=True,
    )


def needs_root() -> str:
    """Why this cannot be done here; empty if it can."""
    return "" if os.geteuid() == 0 else "needs root to run programs in the Debian tree"
