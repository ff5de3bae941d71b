"""``drupe logout``: forgets who we are at a registry."""

from __future__ import annotations

import argparse

EXAMPLES = (("forget the password for a registry", "drupe logout localhost:5000"),)
SEE_ALSO = ("login",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("registry", nargs="?", metavar="REGISTRY", help="default: Docker Hub")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.oci.reference import DEFAULT_REGISTRY
    from drupe.registry.credentials import forget_credentials

    registry = args.registry or DEFAULT_REGISTRY
    path = forget_credentials(registry)
    if path is None:
        print(f"Not logged in at {registry}, as far as our own file tells")
    else:
        print(f"Removed the credentials for {registry} from {path}")
    return 0
