"""``drupe exec``: another program in a running container."""

from __future__ import annotations

import argparse

from drupe.cli import terminal
from drupe.cli.environment import add_environment, environment
from drupe.cli.foreground import add_detach_keys, check_detach_keys
from drupe.cli.output import open_store
from drupe.cli.stream import attach
from drupe.container import lifecycle
from drupe.guest.spec import Process

EXAMPLES = (
    ("a shell in a container", "drupe exec -it web sh"),
    ("input from a file, output to another", "drupe exec -i web wc -c </etc/hostname"),
    ("as another user, elsewhere", "drupe exec -u nobody -w /tmp -e A=1 web env"),
    ("one that goes on by itself", "drupe exec -d web sh -c 'sleep 60; touch /tmp/late'"),
)
SEE_ALSO = ("run", "logs", "ps")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    parser.usage = "drupe exec [OPTION ...] CONTAINER COMMAND [ARGUMENT ...]"
    add("-d", "--detach", action="store_true", help="leave it running")
    add("-i", "--interactive", action="store_true", help="pass standard input on (not with -d)")
    add("-t", "--tty", action="store_true", help="give it a terminal; -it for a shell")
    add_environment(parser)
    add("-w", "--workdir", metavar="DIR", help="its directory (default: the container's)")
    add("-u", "--user", metavar="USER[:GROUP]", help="names or numbers (default: the container's)")
    add("--privileged", action="store_true", help="any capability, whatever the container may have")
    add_detach_keys(parser)
    add("container", help="name, id, or the beginning of an id")
    add("command", help="the program")
    add("arguments", nargs=argparse.REMAINDER, help="its arguments")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    if args.tty and args.interactive and not args.detach:
        terminal.require("-it")
    check_detach_keys(args.detach_keys)
    record = open_store().find(args.container)
    spec = record.spec
    process = Process(
        args=(args.command, *args.arguments),
        env={**spec.env, **environment(args)},
        cwd=args.workdir or spec.cwd,
        user=spec.user if args.user is None else args.user,
        groups=spec.groups,
        terminal=terminal.size() if args.tty else None,
        stdin=args.interactive and not args.detach,
    )
    process = spec.settings.apply(process, privileged=args.privileged)
    with lifecycle.executed(record, process, detached=args.detach) as session:
        if args.detach:
            return 0
        status = attach(session, stdin=args.interactive, tty=args.tty, detach_keys=args.detach_keys)
    return 0 if status is None else status
