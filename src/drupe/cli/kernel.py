"""``drupe kernel``: lists, builds, shows and removes container kernels."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Self

from drupe.cli import listing
from drupe.cli.listing import Column, Listing

if TYPE_CHECKING:
    from drupe.kbuild.kernels import Kernel
    from drupe.kbuild.progress import Progress

_LISTING: Listing[Kernel] = Listing(
    columns={
        "ID": Column("ID", lambda k, _: k.id),
        "Profile": Column("PROFILE", lambda k, _: k.profile),
        "Platform": Column("PLATFORM", lambda k, _: k.platform),
        "Version": Column("VERSION", lambda k, _: k.version),
        "Size": Column("SIZE", lambda k, _: f"{k.size_bytes / 1e6:.1f} MB"),
        "Built": Column("BUILT", lambda k, _: _built(k)),
    },
    table=("ID", "Profile", "Platform", "Version", "Size", "Built"),
    quiet="ID",
    document=lambda k: k.describe(),
    filters={"profile": lambda k, value: k.profile == value},
)

EXAMPLES = (
    (
        "what run uses by default; nothing happens if it is there",
        "drupe kernel build",
    ),
    ("kernels, and what they were built for", "drupe kernel ls"),
    ("the configuration of one", "drupe kernel show general --config"),
    ("remove one that nothing stands for", "drupe kernel rm 3332a93e0009"),
)
SEE_ALSO = ("system", "run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    verbs = parser.add_subparsers(
        dest="kernel_verb", required=True, metavar="VERB", help="what to do"
    )

    ls = verbs.add_parser("ls", help="list kernels")
    listing.add_arguments(ls, _LISTING)

    build = verbs.add_parser("build", help="build a kernel and the guest's init")
    build.add_argument(
        "--profile",
        default="general",
        metavar="NAME",
        help="what to build: general, base (default: general)",
    )
    build.add_argument(
        "--source",
        metavar="WHERE",
        help="a kernel source: a directory, a tarball, an https URL (default: Debian's package)",
    )
    build.add_argument(
        "--sha256", metavar="HASH", help="SHA-256 of the tarball; required with a URL"
    )
    build.add_argument(
        "--jobs", "-j", type=_count, default=0, metavar="N", help="default: one per processor"
    )
    build.add_argument("--verbose", action="store_true", help="name every object compiled")

    show = verbs.add_parser("show", help="show one kernel")
    show.add_argument("name", metavar="PROFILE", help="a profile, an id, or a path")
    show.add_argument("--config", action="store_true", help="print its configuration instead")

    rm = verbs.add_parser("rm", help="remove kernels; containers that run on them go on")
    rm.add_argument("names", nargs="+", metavar="PROFILE", help="a profile, or an id")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    verbs = {"ls": _ls, "build": _build, "show": _show, "rm": _rm}
    return verbs[args.kernel_verb](args)


def _ls(args: argparse.Namespace) -> int:
    from drupe.kbuild.kernels import list_kernels

    listing.show(_LISTING, listing.select(_LISTING, list_kernels(), args.filter), args)
    return 0


def _built(kernel: Kernel) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M", time.localtime(kernel.built_at))


def _build(args: argparse.Namespace) -> int:
    from drupe.kbuild.build import build, request_named
    from drupe.kbuild.initramfs import build_initramfs

    request = request_named(args.profile, source=args.source, sha256=args.sha256, jobs=args.jobs)
    with _Display(verbose=args.verbose) as display:
        kernel = build(request, display.report)
        build_initramfs(display.report)
    print(kernel.id)
    return 0


def _show(args: argparse.Namespace) -> int:
    from drupe.errors import NotFoundError
    from drupe.kbuild.kernels import find_kernel

    kernel = find_kernel(args.name)
    if not args.config:
        print(json.dumps(kernel.describe(), indent=1))
        return 0
    if kernel.config is None:
        raise NotFoundError(f"failed to show the configuration of '{args.name}': it is not kept")
    print(kernel.config.read_text(encoding="utf-8"), end="")
    return 0


def _rm(args: argparse.Namespace) -> int:
    from drupe.kbuild.kernels import remove_kernel

    for name in args.names:
        print(remove_kernel(name).id)
    return 0


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


class _Display:
    """Progress on standard error: one updating line on a terminal, a line a step elsewhere."""

    def __init__(self, *, verbose: bool) -> None:
        self._updating = sys.stderr.isatty() and not verbose
        self._verbose = verbose
        self._step = ""
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            print(file=sys.stderr)

    def report(self, progress: Progress) -> None:
        """Shows one report."""
        begins = progress.step != self._step
        self._step = progress.step
        if self._updating:
            import shutil

            if begins and self._open:
                print(file=sys.stderr)
            text = _text(progress)[: shutil.get_terminal_size().columns - 1]
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
            self._open = True
        elif begins or self._verbose:
            print(_text(progress), file=sys.stderr, flush=True)


def _text(progress: Progress) -> str:
    count = ""
    if progress.in_bytes:
        count = f"{progress.done / 1e6:.0f}"
        count += f"/{progress.total / 1e6:.0f} MB" if progress.total else " MB"
    elif progress.total:
        count = f"{progress.done}/{progress.total}"
    return "  ".join(part for part in (progress.step, count, progress.detail) if part)
