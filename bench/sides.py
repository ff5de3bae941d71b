"""The sides of a comparison: where one program is run, from one tree, and for the whole run.

All see the tree read-only and ``/tmp`` in memory. What is measured happens inside, so no start of a
container is in any figure.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.conversation import Conversation
from bench.launcher import find_launcher
from bench.peers import make_bundle_of, without_hybrid_cgroups, working
from drupe.platform.registry import NAMES

NATIVE = "native"
PINNED = " pinned"
RIVAL = "runsc"
_PEERS = ("crun", RIVAL)
_MEMORY = "1g"

# An ordinary process of this host in the tree; nothing is mounted for anybody else.
_NATIVE_SCRIPT = """
set -e
root=$1; shift
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class Side:
    """One side.

    Attributes:
        name: as the table has it.
        base: the side that its figures are put in relation to; its own name for a base.
        command: runs the program, given a name that nothing else has.
        clean_up: removes what is left under that name when it was killed; empty: nothing.
        version: what its runtime says of itself; empty where nothing else runs it.
    """

    name: str
    base: str
    command: Callable[[str], list[str]]
    clean_up: Callable[[str], list[str]] = lambda _: []
    version: str = ""

    @property
    def is_drupe(self) -> bool:
        """Whether it is drupe that is measured there."""
        return self.name.removesuffix(PINNED) in NAMES

    @property
    def pinned(self) -> bool:
        """Whether it has one processor only."""
        return self.name.endswith(PINNED)

    def open(self) -> Conversation:
        """Starts the program."""
        name = f"drupe-bench-{os.getpid()}-{next(_NUMBERS)}"
        return Conversation(self.name, self.command(name), self.clean_up(name))


_NUMBERS = itertools.count()


def find_sides(
    stack: ExitStack, root: Path, args: Sequence[str], say: Callable[[str], None]
) -> list[Side]:
    """All sides that this host has, for one program of a tree; tells of those that it lacks.

    The program must write something, and end with its input. ``stack`` holds what the sides need.
    """
    pin = ["taskset", "-c", str(max(os.sched_getaffinity(0)))]
    if shutil.which("taskset") is None:
        say("pinned sides: no taskset: apt-get install util-linux")
        pin = []
    sides = _pair(NATIVE, _native(root, args), pin)
    sides += _find_peers(stack, root, args, say)
    launcher = find_launcher()
    for platform in NAMES:
        options = ["-i", "--rm", "-m", _MEMORY, "--platform", platform, "--rootfs", str(root)]
        sides += _pair(platform, [launcher, "run", *options, "--", *args], pin)
    return sides


def _pair(name: str, argv: list[str], pin: list[str]) -> list[Side]:
    """A side, and the same on one processor."""
    pair = [Side(name, NATIVE, lambda _: argv)]
    if pin:
        pair.append(Side(name + PINNED, NATIVE + PINNED, lambda _: [*pin, *argv]))
    return pair


def _native(root: Path, args: Sequence[str]) -> list[str]:
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    return [*clean, *unshare, "sh", "-c", _NATIVE_SCRIPT, "native", str(root), *args]


def _find_peers(
    stack: ExitStack, root: Path, args: Sequence[str], say: Callable[[str], None]
) -> list[Side]:
    if os.geteuid() != 0 or shutil.which("runc") is None:
        say(f"{', '.join(_PEERS)}: need root and runc here")
        return []
    bundle = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drupe-bench.")))
    make_bundle_of(root, bundle, list(args))
    prefix = stack.enter_context(without_hybrid_cgroups())
    return [
        Side(
            peer.name,
            NATIVE,
            lambda name, argv=peer.argv: [*argv, name],  # type: ignore[misc]
            lambda name, argv=peer.delete: [*argv, name],  # type: ignore[misc]
            peer.version,
        )
        for peer in working(bundle, prefix, say, _PEERS)
    ]
