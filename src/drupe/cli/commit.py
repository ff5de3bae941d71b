"""``drupe commit``: a new image of a container."""

from __future__ import annotations

import argparse

from drupe.cli.output import open_store

DESCRIPTION = """
The image has one layer more: what the container has changed above its own. Its command,
environment, user and directory are the container's, unless --change says otherwise. Volumes are
not part of it.
"""
EXAMPLES = (
    ("keep what was installed by hand", "drupe commit web web:configured"),
    (
        "with another command",
        "drupe commit -m 'a note' -c 'CMD [\"sleep\", \"9\"]' -c 'ENV A=1' web web:2",
    ),
)
SEE_ALSO = ("diff", "export", "run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add(
        "-c",
        "--change",
        action="append",
        default=[],
        metavar="INSTRUCTION",
        help="of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR, "
        "STOPSIGNAL",
    )
    add("-m", "--message", default="", metavar="TEXT", help="a note in its history")
    add("-a", "--author", default="", metavar="NAME", help="who made it")
    add("container", help="name, id, or the beginning of an id")
    add("image", nargs="?", metavar="NAME[:TAG]", help="what to call it (default: only an id)")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.container.committing import commit_container
    from drupe.container.visit import reached
    from drupe.oci.reference import parse_reference

    reference = None if args.image is None else parse_reference(args.image)
    store = open_store()
    with reached(store, store.find(args.container)) as record:
        image = commit_container(
            record, reference, changes=args.change, author=args.author, message=args.message
        )
    print(image.id)
    return 0
