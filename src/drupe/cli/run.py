"""``drupe run``: a program in a new container."""

from __future__ import annotations

import argparse

from drupe.cli import terminal
from drupe.cli.foreground import Foreground, add_detach_keys, check_detach_keys, prepare
from drupe.cli.idfile import IdFile
from drupe.cli.options import container
from drupe.cli.output import open_store
from drupe.container.start import launched

EXAMPLES = (
    ("one program, and nothing left of it", "drupe run --rm busybox uname -sr"),
    ("a shell in a terminal; ctrl-p ctrl-q leaves it running", "drupe run -it --rm busybox"),
    ("a container that goes on by itself", "drupe run -d --name clock busybox sleep 1000"),
    ("a directory of the host", "drupe run --rm -v ./shared:/data busybox ls /data"),
    ("the programs of this host, on another kernel", "drupe run --rm --rootfs / uname -r"),
)
SEE_ALSO = ("exec", "ps", "logs", "stop", "rm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("-d", "--detach", action="store_true", help="leave it running, print its id")
    add(
        "--rm",
        action="store_true",
        help="remove the container when it ends; a foreground one then keeps no log",
    )
    add_detach_keys(parser)
    container.add_arguments(parser, "run")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    request = container.build_request(args, remove=args.rm, log=args.detach or not args.rm)
    if args.tty and args.interactive and not args.detach:
        terminal.require("-it")
    check_detach_keys(args.detach_keys)
    name = container.choose_name(args)
    container.bring_image(request, quiet=args.quiet)
    store = open_store()
    container.make_room(store, args)
    window = terminal.size() if args.tty else None
    with (
        IdFile(request, args.cidfile) as id_file,
        launched(
            store, name, id_file.make, detached=args.detach, window=window, on_step=prepare
        ) as (record, session),
    ):
        id_file.keep()
        if args.detach:
            print(record.id)
            return 0
        foreground = Foreground(store, record)
        status = foreground.follow(
            session, stdin=args.interactive, tty=args.tty, detach_keys=args.detach_keys
        )
    return foreground.finish(status)
