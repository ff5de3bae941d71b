"""``drupe system df`` and ``prune``: what all things take of the disk, and those that may go."""

from __future__ import annotations

import argparse

from drupe.cli import listing
from drupe.cli.agreement import add_force, agreed
from drupe.cli.listing import Column, Listing
from drupe.cli.numbers import megabytes
from drupe.cli.output import open_store, print_table
from drupe.container.usage import Usage, prune_containers, prune_volumes, usages
from drupe.store.schema import encode

_LISTING: Listing[Usage] = Listing(
    columns={
        "Type": Column("TYPE", lambda u, _: u.kind),
        "TotalCount": Column("TOTAL", lambda u, _: str(len(u.items))),
        "Active": Column("ACTIVE", lambda u, _: str(u.active)),
        "Size": Column("SIZE", lambda u, _: megabytes(u.size_bytes)),
        "Reclaimable": Column("RECLAIMABLE", lambda u, _: megabytes(u.reclaimable_bytes)),
    },
    table=("Type", "TotalCount", "Active", "Size", "Reclaimable"),
    quiet="Type",
    document=encode,
    filters={"type": lambda u, value: u.kind.lower() == value.lower()},
)


def add_df(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of ``df``."""
    parser.add_argument("-v", "--verbose", action="store_true", help="each thing by itself")
    listing.add_arguments(parser, _LISTING)


def df(args: argparse.Namespace) -> int:
    """Tells; returns the exit status."""
    found = listing.select(_LISTING, usages(open_store()), args.filter)
    if not args.verbose:
        listing.show(_LISTING, found, args)
        return 0
    rows = [("TYPE", "NAME", "SIZE", "SHARED", "USED BY")]
    for usage in found:
        for item in usage.items:
            shared = megabytes(item.shared_bytes)
            rows.append(
                (usage.kind, item.name, megabytes(item.size_bytes), shared, str(item.used_by))
            )
    print_table(rows)
    return 0


def add_prune(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of ``prune``."""
    parser.add_argument(
        "-a", "--all", action="store_true", help="all images that no container needs, too"
    )
    parser.add_argument("--volumes", action="store_true", help="volumes without a name, too")
    add_force(parser)


def prune(args: argparse.Namespace) -> int:
    """Removes; returns the exit status."""
    from drupe.container.images import prune_images

    images = "all images that no container needs then" if args.all else "images without a name"
    volumes = ", and volumes without a name" if args.volumes else ""
    if not agreed(args, f"all containers that do not run, and {images}{volumes}"):
        return 0
    store = open_store()
    removed, freed_bytes = prune_containers(store)
    unused, unused_bytes = prune_volumes(store) if args.volumes else ([], 0)
    gone = prune_images(every=args.all)
    for name in (*removed, *unused, *gone.untagged, *gone.deleted):
        print(name)
    print(f"Total reclaimed space: {megabytes(freed_bytes + unused_bytes + gone.freed_bytes)}")
    return 0
