"""``drupe port``: which ports of the host lead to a container."""

from __future__ import annotations

import argparse

from drupe.cli.output import open_store
from drupe.errors import NotFoundError
from drupe.net.ports import show

EXAMPLES = (
    ("all of them", "drupe port web"),
    ("where port 80 is", "drupe port web 80"),
)
SEE_ALSO = ("run", "ps")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("container", help="name, id, or the beginning of an id")
    parser.add_argument("port", nargs="?", metavar="PORT[/udp]", help="only this one")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    record = open_store().find(args.container)
    ports = record.spec.network.ports
    if args.port is None:
        for port in ports:
            print(f"{port.guest}/{port.protocol} -> {show(port)}")
        return 0
    wanted = args.port if "/" in args.port else f"{args.port}/tcp"
    found = [port for port in ports if f"{port.guest}/{port.protocol}" == wanted]
    if not found:
        raise NotFoundError(
            f"failed to find where port '{args.port}' of '{record.spec.name}' is: "
            f"port '{args.port}' is not published",
            hint="'-p' of 'drupe run' publishes ports",
        )
    for port in found:
        print(show(port))
    return 0
