"""``drupe container``: removes containers that have ended; other verbs by their long names."""

from __future__ import annotations

import argparse
from importlib import import_module

from drupe.cli.agreement import add_force, agreed
from drupe.cli.output import open_store

EXAMPLES = (
    ("all that do not run, without a question", "drupe container prune -f"),
    ("the same as drupe ps -a", "drupe container ls -a"),
)
SEE_ALSO = ("ps", "rm", "system")

_ALIASES = {
    "ls": ("ps", "list containers"),
    "create": ("create", "make a container without starting it"),
    "start": ("start", "start containers"),
    "stop": ("stop", "end containers in order"),
    "restart": ("restart", "end containers in order and start them again"),
    "rename": ("rename", "give a container another name"),
    "rm": ("rm", "remove containers"),
    "inspect": ("inspect", "show everything about containers"),
}
"""Sub-verb → the verb that does the same, and what its help says."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    verbs = parser.add_subparsers(
        dest="container_verb", required=True, metavar="VERB", help="what to do"
    )
    for name, (verb, text) in _ALIASES.items():
        # create's -h is the host name.
        sub = verbs.add_parser(name, help=text, conflict_handler="resolve")
        import_module(f"drupe.cli.{verb}").add_arguments(sub)
    prune = verbs.add_parser("prune", help="remove all containers that do not run")
    add_force(prune)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    if args.container_verb != "prune":
        status: int = import_module(f"drupe.cli.{_ALIASES[args.container_verb][0]}").main(args)
        return status
    from drupe.cli.images import megabytes
    from drupe.container.usage import prune_containers

    if agreed(args, "all containers that do not run, with what they wrote"):
        removed, freed_bytes = prune_containers(open_store())
        for identity in removed:
            print(identity)
        print(f"Total reclaimed space: {megabytes(freed_bytes)}")
    return 0
