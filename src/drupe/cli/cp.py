"""``drupe cp``: copies files between a container and this host."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from drupe.cli.output import open_store
from drupe.cli.stream import write_all
from drupe.container.record import Record
from drupe.container.unpacking import LeftOut
from drupe.container.visit import reached
from drupe.errors import SpecError

DESCRIPTION = """
One of the two is in a container: NAME:PATH. A directory that is there takes the source under its
own name; a destination that is not there becomes the source, and the directory above it must exist.
"DIR/." stands for what is in a directory. "-" is a tar stream, on standard input or output.

What comes from a container belongs to the caller. Set-id bits are cleared, device nodes are left
out, and so are symbolic links that lead out of the destination; with -a only device nodes.
"""
EXAMPLES = (
    ("a file of a container, to here", "drupe cp web:/etc/nginx/nginx.conf ."),
    ("a directory, under another name", "drupe cp ./site web:/srv/www"),
    ("only what is in it", "drupe cp ./site/. web:/srv/www"),
    ("from one container to another", "drupe cp one:/data - | drupe cp - two:/"),
)
SEE_ALSO = ("exec", "diff", "export")

_PIECE_BYTES = 1 << 17
_STREAM = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("-a", "--archive", action="store_true", help="keep owners, set-id bits and all links")
    add("-L", "--follow-link", action="store_true", help="of SOURCE, copy what it leads to")
    add("-q", "--quiet", action="store_true", help="do not tell what was left out")
    add("source", metavar="CONTAINER:PATH|PATH", help="what to copy; '-': a tar stream")
    add("destination", metavar="CONTAINER:PATH|PATH", help="where to; '-': a tar stream")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    source, destination = _split(args.source), _split(args.destination)
    if source[0] and destination[0]:
        raise SpecError(
            f"failed to copy '{args.source}' to '{args.destination}': both are in containers",
            hint=f"drupe cp {args.source} - | drupe cp - {args.destination}",
        )
    if not source[0] and not destination[0]:
        raise SpecError(
            f"failed to copy '{args.source}' to '{args.destination}': neither is in a container",
            hint="CONTAINER:PATH names a file in one",
        )
    store = open_store()
    with reached(store, store.find(source[0] or destination[0])) as record:
        if source[0]:
            _copy_out(record, source[1], args)
        else:
            _copy_in(record, destination[1], args)
    return 0


def _copy_in(record: Record, destination: str, args: argparse.Namespace) -> None:
    from drupe.container.copying import copy_in, stream_in

    if args.source == _STREAM:
        stream_in(record, _standard_input(), destination, archive=args.archive)
    else:
        copy_in(record, args.source, destination, archive=args.archive, follow=args.follow_link)


def _copy_out(record: Record, source: str, args: argparse.Namespace) -> None:
    from drupe.container.copying import copy_out, stream_out

    if args.destination == _STREAM:
        if os.isatty(1):
            raise SpecError(
                f"failed to copy '{args.source}': a tar stream is nothing for a terminal",
                hint=f"drupe cp {args.source} - | tar -t",
            )
        for piece in stream_out(record, source, follow=args.follow_link):
            write_all(1, piece)
        return
    left_out = copy_out(
        record, source, args.destination, archive=args.archive, follow=args.follow_link
    )
    if not args.quiet:
        _tell(left_out, args.destination)


def _tell(left_out: LeftOut, destination: str) -> None:
    if left_out.links:
        print(
            f"drupe: left out {left_out.links} links that lead out of '{destination}'; "
            "-a keeps them",
            file=sys.stderr,
        )
    if left_out.nodes:
        print(f"drupe: left out {left_out.nodes} device nodes and fifos", file=sys.stderr)


def _split(text: str) -> tuple[str, str]:
    """(container, path); no container: a path of this host, as docker tells them apart."""
    container, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")):
        return "", text
    if not container or not path:
        raise SpecError(
            f"failed to copy '{text}': it is not CONTAINER:PATH",
            hint="'./' before a path of this host that holds a colon",
        )
    return container, path


def _standard_input() -> Iterator[bytes]:
    while piece := os.read(0, _PIECE_BYTES):
        yield piece
