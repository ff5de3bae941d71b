"""``drupe import``: an image of the files of a root."""  # noqa: N999 (the verb is called so)

from __future__ import annotations

import argparse

EXAMPLES = (
    ("the root of a distribution, packed with tar", "drupe import root.tar debian:mine"),
    (
        "with a command, from standard input",
        "tar -C root -c . | drupe import -c 'CMD [\"/bin/sh\"]' - debian:mine",
    ),
)
SEE_ALSO = ("load", "run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add_change(parser)
    parser.add_argument("-m", "--message", default="", metavar="TEXT", help="for its history")
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a tar, plain or compressed (gzip, zstd); -: standard input",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="what to call it")


def add_change(parser: argparse.ArgumentParser) -> None:
    """Declares ``--change``."""
    parser.add_argument(
        "-c",
        "--change",
        action="append",
        default=[],
        metavar="INSTRUCTION",
        help="CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR, as in a "
        "Dockerfile",
    )


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.cli.load import open_input
    from drupe.image.commit import commit
    from drupe.image.compression import unpacked
    from drupe.oci.reference import parse_reference

    reference = None if args.name is None else parse_reference(args.name)
    with open_input(args.file) as source:
        layer = unpacked(source, f"'{args.file}'")
        message = args.message or f"imported from {args.file}"
        image = commit(None, layer, args.change, reference, message=message)
    print(f"sha256:{image.id}")
    return 0
