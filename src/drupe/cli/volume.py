"""``drupe volume``: makes, lists, shows and removes volumes."""

from __future__ import annotations

import argparse

from drupe.cli import listing
from drupe.cli.agreement import add_force, agreed
from drupe.cli.documents import add_format, show_documents
from drupe.cli.listing import Column, Listing
from drupe.cli.output import ago, open_store
from drupe.cli.several import each
from drupe.container import volumes
from drupe.container.volumes import NamedVolume

EXAMPLES = (
    ("one that a database keeps its data in", "drupe volume create data"),
    ("those with a note of yours", "drupe volume ls --filter label=for=tests"),
    ("those that no container has, with all that is in them", "drupe volume prune -a"),
)
SEE_ALSO = ("run", "rm")

_SHORT_NAME = 12


def document(volume: NamedVolume) -> dict[str, object]:
    """A volume as JSON."""
    return {
        "name": volume.name,
        "mountpoint": str(volume.directory),
        "labels": volume.labels,
        "created_ns": volume.created_ns,
        "anonymous": volume.anonymous,
    }


_LISTING: Listing[NamedVolume] = Listing(
    columns={
        "Driver": Column("DRIVER", lambda _v, _: "local"),
        "Name": Column(
            "VOLUME NAME",
            lambda v, full: v.name[:_SHORT_NAME] if v.anonymous and not full else v.name,
        ),
        "CreatedAt": Column("CREATED", lambda v, _: ago(v.created_ns)),
        "Mountpoint": Column("MOUNTPOINT", lambda v, _: str(v.directory)),
    },
    table=("Driver", "Name", "CreatedAt"),
    quiet="Name",
    document=document,
    filters={
        "name": lambda v, value: value in v.name,
        "dangling": lambda v, value: (
            (v.name not in volumes.users(open_store())) == (value.lower() in {"true", "1"})
        ),
    },
    labels=lambda v: v.labels,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    verbs = parser.add_subparsers(
        dest="volume_verb", required=True, metavar="VERB", help="what to do"
    )
    create = verbs.add_parser("create", help="make a volume")
    create.add_argument("name", nargs="?", metavar="NAME", help="default: one is made up")
    create.add_argument("-d", "--driver", choices=("local",), help="there is only this one")
    create.add_argument(
        "-l", "--label", action="append", default=[], metavar="NAME=VALUE", help="a note of yours"
    )
    listing.add_arguments(verbs.add_parser("ls", help="list volumes"), _LISTING)
    inspect = verbs.add_parser("inspect", help="show everything about volumes")
    add_format(inspect)
    inspect.add_argument("names", nargs="+", metavar="VOLUME", help="a volume")
    remove = verbs.add_parser("rm", help="remove volumes with all that is in them")
    remove.add_argument("-f", "--force", action="store_true", help="no error if there is none")
    remove.add_argument("names", nargs="+", metavar="VOLUME", help="a volume")
    prune = verbs.add_parser("prune", help="remove volumes that no container has")
    prune.add_argument("-a", "--all", action="store_true", help="those with a name, too")
    add_force(prune)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    status: int = {
        "create": _create,
        "ls": _list,
        "inspect": _inspect,
        "rm": _remove,
        "prune": _prune,
    }[args.volume_verb](args)
    return status


def _create(args: argparse.Namespace) -> int:
    labels = dict(text.partition("=")[::2] for text in args.label)
    anonymous = args.name is None
    name = volumes.new_name() if anonymous else args.name
    print(volumes.obtain(name, labels=labels, anonymous=anonymous).name)
    return 0


def _list(args: argparse.Namespace) -> int:
    listing.show(_LISTING, listing.select(_LISTING, volumes.list_volumes(), args.filter), args)
    return 0


def _inspect(args: argparse.Namespace) -> int:
    show_documents([document(volumes.find(name)) for name in args.names], args.format)
    return 0


def _remove(args: argparse.Namespace) -> int:
    from drupe.errors import NotFoundError

    store = open_store()

    def remove(name: str) -> None:
        try:
            volumes.remove(store, name)
        except NotFoundError:
            if not args.force:
                raise
        print(name)

    return each(args.names, remove)


def _prune(args: argparse.Namespace) -> int:
    from drupe.cli.numbers import megabytes
    from drupe.container.usage import prune_volumes

    what = "all volumes" if args.all else "all volumes without a name"
    if not agreed(args, f"{what} that no container has, with all that is in them"):
        return 0
    removed, freed_bytes = prune_volumes(open_store(), every=args.all)
    for name in removed:
        print(name)
    print(f"Total reclaimed space: {megabytes(freed_bytes)}")
    return 0
