"""``drupe version``: versions of drupe and of its kernels."""

from __future__ import annotations

import argparse

from drupe.cli.documents import show_documents

EXAMPLES = (("of drupe and of its kernels", "drupe version"),)
SEE_ALSO = ("kernel", "system")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument(
        "-f",
        "--format",
        default="text",
        metavar="TEMPLATE",
        help="text (default), json, or a template such as '{{.Server.Version}}'",
    )


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe import __version__
    from drupe.kbuild.kernels import list_kernels

    kernels = [{"id": k.id, "profile": k.profile, "version": k.version} for k in list_kernels()]
    if args.format != "text":
        both = {"Version": __version__, "Os": "linux", "Arch": "amd64"}
        told = {"drupe": __version__, "kernels": kernels, "Client": both, "Server": both}
        show_documents([told], args.format, alone=True)
        return 0
    print(f"drupe {__version__}")
    for kernel in kernels:
        print(f"kernel {kernel['version']} ({kernel['profile']}, {kernel['id']})")
    return 0
