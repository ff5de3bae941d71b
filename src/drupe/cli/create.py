"""``drupe create``: a new container that is not started yet."""

from __future__ import annotations

import argparse

from drupe.cli.idfile import IdFile
from drupe.cli.options import container
from drupe.cli.output import open_store
from drupe.container.start import create

EXAMPLES = (("a container that waits", "drupe create --name web busybox httpd -f"),)
SEE_ALSO = ("start", "run", "rm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("--rm", action="store_true", help="remove the container when it ends")
    container.add_arguments(parser, "create")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    request = container.build_request(args, remove=args.rm)
    name = container.choose_name(args)
    container.bring_image(request, quiet=args.quiet)
    store = open_store()
    with IdFile(request, args.cidfile) as id_file:
        container.make_room(store, args)
        record = create(store, name, id_file.make)
        id_file.keep()
    print(record.id)
    return 0
