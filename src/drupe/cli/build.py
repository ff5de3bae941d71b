"""``drupe build``: has another engine make an image of a Dockerfile, and takes it over."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from drupe.errors import HostError
from drupe.platform.registry import check_image_platform

DESCRIPTION = """
drupe does not read Dockerfiles: buildah or podman does, whichever is there, or what DRUPE_BUILDER
names, with options that it is always to get: DRUPE_BUILDER='podman --root /srv/build'. The images
that a Dockerfile begins with are pulled into that builder's store, and its RUN steps are executed
by its runtime. What it has made is loaded, and is then an image as any other.
"""
EXAMPLES = (
    ("an image of the Dockerfile here", "drupe build -t app ."),
    ("of another file, one of its stages", "drupe build -t app -f test/Dockerfile --target test ."),
    ("run what was built", "drupe run --rm $(drupe build -q .)"),
)
SEE_ALSO = ("run", "commit", "load", "push")

_VALUES = {
    "--file": ("FILE", "the Dockerfile (default: Containerfile or Dockerfile of the context)"),
    "--target": ("STAGE", "only up to that stage"),
    "--network": ("MODE", "of RUN steps, in the builder's words"),
}
_LISTS = {
    "--build-arg": ("NAME[=VALUE]", "a value for an ARG"),
    "--build-context": ("NAME=SOURCE", "a further context"),
    "--label": ("NAME=VALUE", "a note in the image"),
    "--add-host": ("NAME:ADDRESS", "a line of /etc/hosts for RUN steps"),
    "--secret": ("id=ID,src=FILE", "a file for RUN steps that is not in the image"),
}
_FLAGS = {
    "--no-cache": "make all of it anew",
    "--pull": "ask the registry for what it begins with in any case",
    "--squash": "one layer for all that is new",
}
_SHORT = {"--file": "-f"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("-t", "--tag", action="append", default=[], metavar="NAME", help="what to call it")
    add("-q", "--quiet", action="store_true", help="print the image's id only")
    add("--iidfile", metavar="FILE", help="write the image's id there")
    add("--platform", help="linux/amd64, which is what is built anyway")
    for name, (metavar, text) in _VALUES.items():
        add(*filter(None, [_SHORT.get(name), name]), metavar=metavar, help=text)
    for name, (metavar, text) in _LISTS.items():
        add(name, action="append", default=[], metavar=metavar, help=text)
    for name, text in _FLAGS.items():
        add(name, action="store_true", help=text)
    add("context", metavar="DIR", help="the files that it is made of")


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    from drupe.cli.imaging import reporter
    from drupe.image.building import build

    if args.platform is not None:
        check_image_platform(args.platform)
    options = [*_options(args), args.context]
    image = build(options, args.tag, quiet=args.quiet, report=reporter(quiet=args.quiet))
    if args.iidfile is not None:
        _write_id(args.iidfile, f"sha256:{image.id}")
    print(image.id if args.quiet else f"Built image: {image.name or image.id}")
    return 0


def _options(args: argparse.Namespace) -> Iterator[str]:
    """What goes on to the builder."""
    given = vars(args)
    for name in (*_VALUES, *_LISTS, *_FLAGS):
        value = given[name[2:].replace("-", "_")]
        if name in _FLAGS:
            yield from [name] * bool(value)
            continue
        for one in value if name in _LISTS else filter(None, [value]):
            yield from (name, one)


def _write_id(path: str, image_id: str) -> None:
    from pathlib import Path

    try:
        Path(path).write_text(image_id)
    except OSError as error:
        raise HostError(f"failed to write '{path}': {error.strerror}") from error
