"""``drupe version``: versions of drupe and of its kernels."""

from __future__ import annotations

import argparse

from drupe.cli.output import print_json

EXAMPLES = (("of drupe and of its kernels", "drupe version"),)
SEE_ALSO = ("kernel", "system")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe import __version__
    from drupe.kbuild.kernels import list_kernels

    kernels = [{"id": k.id, "profile": k.profile, "version": k.version} for k in list_kernels()]
    if args.format == "json":
        print_json({"drupe": __version__, "kernels": kernels})
        return 0
    print(f"drupe {__version__}")
    for kernel in kernels:
        print(f"kernel {kernel['version']} ({kernel['profile']}, {kernel['id']})")
    return 0
