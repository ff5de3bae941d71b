"""``drupe info``: what drupe has and uses on this host."""

from __future__ import annotations

import argparse
import os
import platform
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from drupe.cli.documents import show_documents
from drupe.cli.output import open_store
from drupe.errors import DrupeError

EXAMPLES = (
    ("versions, counts, where things lie", "drupe info"),
    ("one of these, for a script", "drupe info -f '{{.DataDir}}'"),
)
SEE_ALSO = ("system", "version", "kernel")

_TEXT = "text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument(
        "-f",
        "--format",
        default=_TEXT,
        metavar="TEMPLATE",
        help="text (default), json, or a template such as '{{.ServerVersion}}'",
    )


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    document = _document()
    if args.format != _TEXT:
        show_documents([document], args.format, alone=True)
        return 0
    for name, value in document.items():
        print(f"{name}: {_text(value)}")
    return 0


def _document() -> dict[str, object]:
    """By docker's names, where it has one; the rest by names of drupe's own."""
    from drupe import __version__
    from drupe.container.volumes import list_volumes
    from drupe.image.find import listed_images
    from drupe.limits.hierarchy import find_parents
    from drupe.net.named import Networks
    from drupe.platform.registry import NAMES, default_platform
    from drupe.store.paths import cache_home, data_home, state_home

    states = _states()
    limits = find_parents()
    return {
        "ServerVersion": __version__,
        "Containers": states.total(),
        "ContainersRunning": states["running"] + states["restarting"],
        "ContainersPaused": states["paused"],
        "ContainersStopped": states["exited"] + states["dead"] + states["created"],
        "Images": len({image.id for _, image in listed_images()}),
        "Volumes": len(list_volumes()),
        "Networks": len(Networks().list()),
        "DefaultPlatform": default_platform(),
        "Platforms": NAMES,
        "GuestKernels": _kernels(),
        "DataDir": str(data_home()),
        "StateDir": str(state_home()),
        "CacheDir": str(cache_home()),
        "CgroupVersion": ",".join(sorted({str(parent.version) for parent in limits.values()})),
        "Limits": sorted(limits),
        "Rootless": os.geteuid() != 0,
        "Passt": _passt(),
        "KernelVersion": platform.release(),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _states() -> Counter[str]:
    states: Counter[str] = Counter()
    for record in open_store().list():
        with suppress(DrupeError):  # removed meanwhile, or spoilt
            states[str(record.condition().state)] += 1
    return states


def _kernels() -> list[str]:
    from drupe.kbuild.kernels import list_kernels

    return [f"{k.version} ({k.profile}, {k.id[:12]})" for k in list_kernels()]


def _passt() -> str:
    from drupe.net import passt

    try:
        return str(passt.find())
    except DrupeError:
        return ""


def _text(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value == "" else str(value)
