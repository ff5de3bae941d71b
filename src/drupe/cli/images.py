"""``drupe images``: lists images."""

from __future__ import annotations

import argparse
import fnmatch
from typing import NamedTuple

from drupe.cli import listing
from drupe.cli.listing import Column, Listing
from drupe.cli.numbers import megabytes
from drupe.cli.output import ago
from drupe.image.find import listed_images
from drupe.image.store import Image
from drupe.oci.reference import Reference

EXAMPLES = (
    ("all images", "drupe images"),
    ("those of one name", "drupe images redis"),
    ("ids of images that have no name any more", "drupe images -q --filter dangling=true"),
    ("names for a script", "drupe images --format '{{.Repository}}:{{.Tag}}'"),
)
SEE_ALSO = ("pull", "rmi", "image")

_NONE = "<none>"
_SHORT_ID_DIGITS = 12


class _Entry(NamedTuple):
    reference: Reference | None
    image: Image

    @property
    def repository(self) -> str:
        return _NONE if self.reference is None else self.reference.familiar_name

    @property
    def tag(self) -> str:
        return (self.reference and self.reference.tag) or _NONE

    @property
    def layers_bytes(self) -> int:
        return self.image.size_bytes


def _id(image: Image, *, full: bool) -> str:
    return f"sha256:{image.id}" if full else image.id[:_SHORT_ID_DIGITS]


def _matches(entry: _Entry, wanted: str) -> bool:
    """Whether an image has a name: without its tag, with it, or by a pattern."""
    reference = entry.reference
    if reference is None:
        return False
    names = {reference.familiar, reference.familiar_name, reference.name, str(reference)}
    return any(fnmatch.fnmatchcase(name, wanted) for name in names)


def _document(entry: _Entry) -> dict[str, object]:
    image = entry.image
    return {
        "repository": entry.repository,
        "tag": entry.tag,
        "digest": image.digest or None,
        "id": image.id,
        "created": image.config.created,
        "added_ns": image.added_ns,
        "root_bytes": image.root_bytes,
        "layers_bytes": image.size_bytes,
        "labels": dict(image.config.labels),
    }


_LISTING: Listing[_Entry] = Listing(
    columns={
        "Repository": Column("REPOSITORY", lambda e, _: e.repository),
        "Tag": Column("TAG", lambda e, _: e.tag),
        "Digest": Column("DIGEST", lambda e, _: e.image.digest or _NONE),
        "ID": Column("IMAGE ID", lambda e, full: _id(e.image, full=full)),
        "CreatedSince": Column("ADDED", lambda e, _: ago(e.image.added_ns)),
        "CreatedAt": Column("CREATED AT", lambda e, _: listing.printable(e.image.config.created)),
        "Size": Column("SIZE", lambda e, _: megabytes(e.image.root_bytes)),
        "LayersSize": Column("LAYERS", lambda e, _: megabytes(e.layers_bytes)),
    },
    table=("Repository", "Tag", "ID", "CreatedSince", "Size", "LayersSize"),
    quiet="ID",
    document=_document,
    filters={
        "reference": _matches,
        "dangling": lambda e, value: (e.reference is None) == (value == "true"),
    },
    labels=lambda e: e.image.config.labels,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("-a", "--all", action="store_true", help="as by docker: changes nothing")
    parser.add_argument("--digests", action="store_true", help="tell digests, too")
    listing.add_arguments(parser, _LISTING)
    parser.add_argument("name", nargs="?", metavar="IMAGE", help="only those of this name")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    entries = [_Entry(*entry) for entry in listed_images()]
    chosen = listing.select(_LISTING, entries, args.filter)
    if args.name is not None:
        chosen = [entry for entry in chosen if _matches(entry, args.name)]
    if args.quiet:
        chosen = list({entry.image.id: entry for entry in chosen}.values())
    shown = _LISTING
    if args.digests:
        shown = _LISTING._replace(table=(*_LISTING.table[:2], "Digest", *_LISTING.table[2:]))
    listing.show(shown, chosen, args)
    return 0
