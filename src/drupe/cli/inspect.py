"""``drupe inspect``: everything about containers, their jail included, and about images."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from drupe.cli.documents import add_format, show_documents
from drupe.cli.output import open_store
from drupe.container.description import describe, find_and_describe_image
from drupe.errors import NotFoundError

DESCRIPTION = """
What docker's inspect tells is told by docker's names; all that drupe knows beyond that, the jail
included, is under 'Drupe'. A name that no container has is taken for an image's.
"""
EXAMPLES = (
    ("what is known of a container", "drupe inspect web"),
    (
        "whether it runs, and the host process of its kernel",
        "drupe inspect -f '{{.State.Running}} {{.State.Pid}}' web",
    ),
    (
        "its addresses on networks",
        "drupe inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' web",
    ),
    ("what its jail lets through", "drupe inspect -f '{{json .Drupe.jail}}' web"),
)
SEE_ALSO = ("ps", "logs", "image")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add_format(parser)
    parser.add_argument(
        "--type", choices=("container", "image"), help="default: whichever has that name"
    )
    parser.add_argument(
        "containers", nargs="+", metavar="container", help="name, id, or the beginning of an id"
    )


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    store = open_store()

    def find(name: str) -> dict[str, object]:
        try:
            return describe(store.find(name))
        except NotFoundError:
            if args.type == "container":
                raise
            return _image_or(name)

    look: Callable[[str], dict[str, object]] = (
        find_and_describe_image if args.type == "image" else find
    )
    show_documents([look(name) for name in args.containers], args.format)
    return 0


def _image_or(name: str) -> dict[str, object]:
    try:
        return find_and_describe_image(name)
    except NotFoundError:
        raise NotFoundError(
            f"failed to find '{name}': no such container or image",
            hint="'drupe ps -a' and 'drupe images' list them",
        ) from None
