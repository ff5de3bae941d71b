"""``drupe login``: tells a registry who we are, and writes it down."""

from __future__ import annotations

import argparse
import sys

from drupe.cli.pull import add_tls, tls
from drupe.errors import SpecError

EXAMPLES = (
    ("ask for name and password", "drupe login localhost:5000"),
    ("for a script", "drupe login -u me --password-stdin localhost:5000 <password"),
)
SEE_ALSO = ("logout", "pull", "push")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("-u", "--username", metavar="NAME", help="default: it is asked for")
    parser.add_argument(
        "-p",
        "--password",
        help="others on this host may see it in the list of processes: --password-stdin is better",
    )
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )
    add_tls(parser)
    parser.add_argument("registry", nargs="?", metavar="REGISTRY", help="default: Docker Hub")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.oci.reference import DEFAULT_REGISTRY, parse_reference
    from drupe.registry.client import Client
    from drupe.registry.credentials import Credentials, store_credentials

    registry = args.registry or DEFAULT_REGISTRY
    place = parse_reference(f"{registry}/name")
    credentials = Credentials(*_ask(args))
    Client(place, checked=tls(args), credentials=credentials).ping()
    print(f"Login succeeded; written to {store_credentials(place.registry, credentials)}")
    return 0


def _ask(args: argparse.Namespace) -> tuple[str, str]:
    if args.password is not None and args.username and not args.password_stdin:
        return args.username, args.password
    if args.password_stdin:
        if not args.username:
            raise SpecError("failed to log in: --password-stdin needs a --username")
        return args.username, sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise SpecError(
            "failed to log in: nobody is there to be asked for a password",
            hint="--username and --password-stdin",
        )
    import getpass

    name = args.username or input("Username: ")
    return name, getpass.getpass("Password: ")
