"""``drupe export``: all files of a container as a tar."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from drupe.cli.output import open_store
from drupe.cli.stream import write_all
from drupe.errors import HostError, SpecError

DESCRIPTION = """
The image and what was changed above it, as one tree. What is mounted, volumes among it, is left
out; where it is mounted there is an empty directory.
"""
EXAMPLES = (
    ("to a file", "drupe export -o web.tar web"),
    ("to a directory", "drupe export web | tar -C tree -x"),
)
SEE_ALSO = ("cp", "commit", "diff")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write to a file (default: standard output)"
    )
    parser.add_argument("container", help="name, id, or the beginning of an id")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.container.service import serving
    from drupe.container.visit import reached

    if args.output is None and os.isatty(1):
        raise SpecError(
            f"failed to export '{args.container}': a tar is nothing for a terminal",
            hint="-o FILE, or a pipe",
        )
    store = open_store()
    with (
        reached(store, store.find(args.container)) as record,
        serving(record, "export") as service,
    ):
        if args.output is None:
            for piece in service.pieces():
                write_all(1, piece)
        else:
            _save(Path(args.output), service.pieces())
    return 0


def _save(path: Path, pieces: Iterable[bytes]) -> None:
    try:
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece)
    except OSError as error:
        raise HostError(f"failed to write '{path}': {error.strerror}") from error
