"""``drupe system``: looks at this host: what it offers, what it lacks; what lies on its disk."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import time
from contextlib import suppress

from drupe.cli import disk
from drupe.cli.output import print_json, print_table
from drupe.container.request import RunRequest, resolve
from drupe.container.start import launched
from drupe.container.store import Store
from drupe.errors import BootError, DrupeError, NotFoundError
from drupe.guest.protocol import Type
from drupe.platform.base import Finding
from drupe.platform.registry import NAMES, find_platform

EXAMPLES = (
    ("whether containers can run here, and what is missing", "drupe system check"),
    ("the same for a script", "drupe system check --format json"),
    ("what images, containers and kernels take of the disk", "drupe system df"),
    ("remove what nothing needs, without a question", "drupe system prune -f"),
)
SEE_ALSO = ("kernel", "version")

_TOOLS = {
    "busybox": ("the embedded image", "apt-get install busybox-static"),
    "make": ("builds kernels", "apt-get install make"),
    "gcc": ("builds kernels", "apt-get install gcc"),
    "flex": ("builds kernels", "apt-get install flex"),
    "bison": ("builds kernels", "apt-get install bison"),
    "bc": ("builds kernels", "apt-get install bc"),
    "musl-gcc": ("builds a smaller init", "apt-get install musl-tools"),
    "ccache": ("builds kernels again sooner", "apt-get install ccache"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    verbs = parser.add_subparsers(
        dest="system_verb", required=True, metavar="VERB", help="what to do"
    )
    check = verbs.add_parser("check", help="what this host offers and lacks, with the way out")
    check.add_argument(
        "--format", choices=("table", "json"), default="table", help="default: table"
    )
    disk.add_df(verbs.add_parser("df", help="what takes how much of the disk"))
    disk.add_prune(verbs.add_parser("prune", help="remove what nothing needs"))


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status: 1 if containers cannot run here."""
    if args.system_verb != "check":
        return disk.df(args) if args.system_verb == "df" else disk.prune(args)
    needed = [_prefixed(name, finding) for name in NAMES for finding in _probe(name)]
    needed += [_kernel(), _guest(), _network()]
    if all(finding.ok for finding in needed):
        needed.append(_boot())
    useful = [_tool(name) for name in _TOOLS] + [_plugs(), _zstandard(), _kvm()]
    if args.format == "json":
        print_json(
            {"needed": [_as_json(f) for f in needed], "useful": [_as_json(f) for f in useful]}
        )
    else:
        rows = [("WHAT", "", "FOUND", "WAY OUT")]
        rows += [_row(finding, "MISSING") for finding in needed]
        rows += [_row(finding, "absent") for finding in useful]
        print_table(rows)
    return 0 if all(finding.ok for finding in needed) else 1


def _probe(name: str) -> list[Finding]:
    return find_platform(name).probe()


def _prefixed(platform: str, finding: Finding) -> Finding:
    return Finding(f"{platform}: {finding.name}", finding.ok, finding.detail, finding.hint)


def _kernel() -> Finding:
    from drupe.kbuild.kernels import find_kernel

    try:
        kernel = find_kernel("general")
    except NotFoundError as error:
        return Finding("kernel", ok=False, detail=str(error), hint=error.hint or "")
    return Finding("kernel", ok=True, detail=f"{kernel.version} ({kernel.linux})")


def _guest() -> Finding:
    from drupe.kbuild.initramfs import is_current
    from drupe.kbuild.kernels import find_initramfs

    try:
        found = find_initramfs()
    except NotFoundError as error:
        return Finding("guest init", ok=False, detail=str(error), hint=error.hint or "")
    with suppress(DrupeError):  # without a compiler nobody can tell
        if not is_current(found):
            detail = f"{found} is of another version of drupe"
            return Finding("guest init", ok=False, detail=detail, hint="drupe kernel build")
    return Finding("guest init", ok=True, detail=str(found))


def _network() -> Finding:
    """The user-mode network, as it describes itself."""
    from drupe import process
    from drupe.net import passt

    try:
        path = passt.find()
        version = process.run([str(path), "--version"]).decode(errors="replace").splitlines()
        return Finding("passt", ok=True, detail=f"{path} ({next(iter(version), '')})")
    except DrupeError as error:
        return Finding("passt", ok=False, detail=str(error), hint=error.hint or "")


def _plugs() -> Finding:
    taps = os.access("/dev/net/tun", os.R_OK | os.W_OK)
    detail = "by taps" if taps else "by veth: /dev/net/tun may not be opened, nor need it"
    return Finding("named networks", ok=True, detail=detail)


def _boot() -> Finding:
    """Runs a program in a container."""
    request = RunRequest(image="busybox", args=("true",), remove=True, log=False)
    store = Store()
    begin = time.monotonic()
    try:
        with launched(store, None, lambda i, n: resolve(request, i, n), detached=False) as (
            record,
            session,
        ):
            session.expect(Type.EXITED, timeout_s=30.0)
            milliseconds = (time.monotonic() - begin) * 1000
        store.remove(record, force=True)
    except DrupeError as error:
        console = error.console.splitlines()[-1:] if isinstance(error, BootError) else []
        return Finding(
            "a container",
            ok=False,
            detail=" / ".join([str(error), *console]),
            hint=error.hint or "",
        )
    return Finding("a container", ok=True, detail=f"ran 'true' in {milliseconds:.0f} ms")


def _tool(name: str) -> Finding:
    purpose, hint = _TOOLS[name]
    path = shutil.which(name)
    return Finding(f"{name} ({purpose})", path is not None, path or "", hint)


def _zstandard() -> Finding:
    found = importlib.util.find_spec("zstandard")
    return Finding(
        "zstandard (layers of images with zstd, and those made here)",
        found is not None,
        "" if found is None else str(found.origin),
        "pip install zstandard, or apt-get install python3-zstandard",
    )


def _kvm() -> Finding:
    ok = os.access("/dev/kvm", os.R_OK | os.W_OK)
    detail = "/dev/kvm is there; no platform uses it yet" if ok else "no /dev/kvm"
    return Finding("KVM (not needed)", ok, detail)


def _row(finding: Finding, lack: str) -> tuple[str, str, str, str]:
    mark = "ok" if finding.ok else lack
    return finding.name, mark, finding.detail, "" if finding.ok else finding.hint


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "name": finding.name,
        "ok": finding.ok,
        "detail": finding.detail,
        "hint": "" if finding.ok else finding.hint,
    }
