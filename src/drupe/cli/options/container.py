"""All that describes a new container: its image and command, and the options of every concern."""

from __future__ import annotations

import argparse
from contextlib import suppress

from drupe.cli.environment import labels
from drupe.cli.options import life, limits, machine, network, process, rights, storage
from drupe.container.images import PullPolicy, ensure_image
from drupe.container.request import RunRequest
from drupe.container.spec import check_name
from drupe.container.store import Store
from drupe.errors import NotFoundError, SpecError
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
        "--log-driver",
        choices=("none", "local", "json-file", "k8s-file"),
        default="local",
        help="none: no log; all others are drupe's own (default: local)",
    )
    add("--replace", action="store_true", help="remove one of that name first, whatever it does")
    add("-q", "--quiet", action="store_true", help="do not tell how a pull goes on")
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


def bring_image(request: RunRequest, *, quiet: bool = False) -> None:
    """Pulls the image where ``--pull`` says so."""
    if request.image is None:
        return
    if request.pull is PullPolicy.MISSING and is_known(request.image):
        return
    from drupe.cli.progress import Display

    with Display(quiet=quiet) as display:
        ensure_image(request.image, request.pull, display.bar)


def choose_name(args: argparse.Namespace) -> str | None:
    """What it is to be called, if anything.

    Raises:
        SpecError: it cannot be a name; or none is given for --replace.
    """
    if args.name is not None:
        return check_name(args.name)
    if args.replace:
        raise SpecError("failed to use --replace: it needs a --name")
    return None


def make_room(store: Store, args: argparse.Namespace) -> None:
    """With --replace: removes the container that has the name."""
    if args.replace:
        with suppress(NotFoundError):
            store.remove(store.find(args.name), force=True)


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
        log=log and args.log_driver != "none",
    )
    for part in _PARTS:
        request = part.apply(request, args)
    return request
