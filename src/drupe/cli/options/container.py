"""All that describes a new container: its image and command, and the options of every concern."""

from __future__ import annotations

import argparse

from drupe.cli.environment import labels
from drupe.cli.options import life, limits, machine, network, process, rights, storage
from drupe.container.images import PullPolicy, ensure_image
from drupe.container.request import RunRequest
from drupe.image.find import is_known

_PARTS = (process, storage, network, machine, limits, rights, life)


def add_arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declares the options, and the words behind them."""
    parser.usage = f"drupe {verb} [OPTION ...] (IMAGE | --rootfs DIR [--]) [COMMAND [ARGUMENT ...]]"
    add = parser.add_argument
    add("--name", help="a name for it (default: one is made up)")
    add("-h", "--hostname", metavar="NAME", help="default: the first 12 digits of the id")
    add("-l", "--label", action="append", default=[], metavar="NAME[=VALUE]", help="a note")
    add("--label-file", action="append", default=[], metavar="FILE", help="notes, one a line")
    add("--cidfile", metavar="FILE", help="write its id to a file that does not exist yet")
    add(
        "--pull",
        choices=tuple(PullPolicy),
        type=PullPolicy,
        default=PullPolicy.MISSING,
        help="when to ask a registry for the image (default: missing)",
    )
    for part in _PARTS:
        part.add_arguments(parser)
    add("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def bring_image(request: RunRequest) -> None:
    """Pulls the image where ``--pull`` says so."""
    if request.image is None:
        return
    if request.pull is PullPolicy.MISSING and is_known(request.image):
        return
    from drupe.cli.progress import Display

    with Display() as display:
        ensure_image(request.image, request.pull, display.bar)


def build_request(args: argparse.Namespace, *, remove: bool, log: bool = True) -> RunRequest:
    """What the arguments ask for."""
    words = [word for index, word in enumerate(args.words) if index or word != "--"]
    image = words.pop(0) if args.rootfs is None and words else None
    request = RunRequest(
        image=image,
        pull=args.pull,
        args=tuple(words),
        hostname=args.hostname,
        remove=remove,
        labels=labels(args),
        log=log,
    )
    for part in _PARTS:
        request = part.apply(request, args)
    return request
