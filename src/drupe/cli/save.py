"""``drupe save``: images to an archive."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from drupe.errors import HostError, SpecError

EXAMPLES = (
    ("for docker and podman", "drupe save -o image.tar busybox"),
    ("an OCI image layout, as a tar", "drupe save --format oci-archive -o image.tar busybox"),
    ("straight to another engine", "drupe save busybox | podman load"),
)
SEE_ALSO = ("load", "import")

_FORMS = {"docker-archive": "docker-archive", "oci-archive": "oci-archive", "oci": "oci-archive"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    parser.add_argument(
        "--format",
        choices=tuple(_FORMS),
        default="docker-archive",
        help="docker-archive (default), or oci-archive",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a name or an id")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.image.find import find_image
    from drupe.image.save import Form, save

    images = [find_image(name) for name in args.images]
    form = Form(_FORMS[args.format])
    if args.output is None:
        if sys.stdout.isatty():
            raise SpecError(
                "failed to write an archive: standard output is a terminal",
                hint="name a file with -o, or redirect it",
            )
        save(images, form, sys.stdout.buffer.write)
        return 0
    _to_file(Path(args.output), lambda file: save(images, form, file.write))
    return 0


def _to_file(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """A file that is whole or not there."""
    temporary = path.with_name(f".{path.name}.drupe")
    try:
        with temporary.open("wb") as file:
            write(file)
        temporary.replace(path)
    except OSError as error:
        raise HostError(f"failed to write '{path}': {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
