"""Options of a container's main process."""

from __future__ import annotations

import argparse

from drupe.cli.environment import add_environment, environment
from drupe.container.request import RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    group = parser.add_argument_group("main process")
    add = group.add_argument
    add(
        "-i",
        "--interactive",
        action="store_true",
        help="pass standard input on; with -d, keep it open for 'reattach'",
    )
    add("-t", "--tty", action="store_true", help="give it a terminal; -it for a shell")
    add_environment(group)
    add(
        "-w",
        "--workdir",
        metavar="DIR",
        help="its directory, made if missing (default: the image's, or /)",
    )
    add("-u", "--user", default="", metavar="USER[:GROUP]", help="names or numbers (default: root)")
    add("--group-add", action="append", default=[], metavar="GROUP", help="a further group")
    add("--entrypoint", metavar="PROGRAM", help="a program that gets COMMAND as arguments")
    add("--tz", metavar="AREA/CITY|local", help="its time zone (default: the image's)")


def apply(request: RunRequest, args: argparse.Namespace) -> RunRequest:
    """The request with what these options say."""
    return request._replace(
        entrypoint=args.entrypoint,
        env=environment(args),
        cwd=args.workdir,
        user=args.user,
        groups=tuple(args.group_add),
        terminal=args.tty,
        stdin=args.interactive,
        timezone=args.tz,
    )
