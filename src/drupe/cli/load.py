"""``drupe load``: images from an archive."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from drupe.errors import HostError, SpecError

if TYPE_CHECKING:
    from drupe.image.store import Image

EXAMPLES = (
    ("what docker save or podman save wrote", "drupe load -i image.tar"),
    ("the same from another engine, without a file", "podman save redis | drupe load"),
    ("a directory with an OCI image layout", "drupe load -i layout/"),
)
SEE_ALSO = ("save", "import")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument(
        "-i",
        "--input",
        metavar="FILE",
        help="an archive, plain or compressed with gzip or zstd, or a directory (default: "
        "standard input)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print ids only")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.cli.imaging import reporter
    from drupe.image.load import load

    report = reporter(quiet=args.quiet)
    if args.input is not None and Path(args.input).is_dir():
        _tell(load(Path(args.input), report), quiet=args.quiet)
        return 0
    with open_input(args.input) as source:
        _tell(load(source, report), quiet=args.quiet)
    return 0


def open_input(name: str | None) -> BinaryIO:
    """A file, or standard input.

    Raises:
        HostError: it cannot be opened.
        SpecError: standard input is a terminal.
    """
    if name is None or name == "-":
        if sys.stdin.isatty():
            raise SpecError(
                "failed to read an archive: standard input is a terminal",
                hint="name a file, or redirect one",
            )
        return cast("BinaryIO", sys.stdin.buffer)
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise HostError(f"failed to read '{name}': {error.strerror}") from error


def _tell(images: list[Image], *, quiet: bool) -> None:
    for image in images:
        if quiet:
            print(image.id)
        elif image.name:
            print(f"Loaded image: {image.name}")
        else:
            print(f"Loaded image ID: sha256:{image.id}")
