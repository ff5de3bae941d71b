"""Options of a container's root and of what is mounted below it."""

from __future__ import annotations

import argparse

from drupe.container.request import RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument_group("files").add_argument
    add(
        "--rootfs",
        metavar="DIR",
        help="run the programs of a directory ('/': of this host); it is "
        "only read, writes go to a layer that is thrown away",
    )
    add(
        "-v",
        "--volume",
        action="append",
        default=[],
        metavar="HOST:GUEST[:ro]",
        help="share a directory of the host, which must exist",
    )


def apply(request: RunRequest, args: argparse.Namespace) -> RunRequest:
    """The request with what these options say."""
    return request._replace(rootfs=args.rootfs, volumes=tuple(args.volume))
