"""Options of a container's root and of what is mounted below it."""

from __future__ import annotations

import argparse

from drupe.container.request import RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument_group("files").add_argument
    add(
        "--rootfs",
        metavar="DIR",
        help="run the programs of a directory ('/': of this host); it is "
        "only read, writes go to the container's layer",
    )
    add("--read-only", action="store_true", help="nothing of the root can be written")
    add(
        "--tmpfs",
        action="append",
        default=[],
        metavar="PATH[:OPTION,...]",
        help="a file system in memory: size=SIZE, mode=MODE, exec",
    )
    add(
        "--storage-opt",
        action="append",
        default=[],
        metavar="OPTION",
        help="the writable layer: size=SIZE (default: 10g), layer=disk or layer=memory, which is "
        "gone when the container ends",
    )
    add(
        "-v",
        "--volume",
        action="append",
        default=[],
        metavar="SOURCE:PATH[:ro]",
        help="share a directory or file of the host, which must exist and has a '/' in it; or a "
        "volume, by its name, which is made if missing",
    )
    add(
        "--mount",
        action="append",
        default=[],
        metavar="type=TYPE,...",
        help="the same in other words: type=bind,src=DIR,dst=PATH[,ro]; type=volume,src=NAME,"
        "dst=PATH; type=tmpfs,dst=PATH,tmpfs-size=SIZE",
    )
    add(
        "--volumes-from",
        action="append",
        default=[],
        metavar="CONTAINER[:ro]",
        help="the volumes of another container, at the same places",
    )


def apply(request: RunRequest, args: argparse.Namespace) -> RunRequest:
    """The request with what these options say."""
    return request._replace(
        rootfs=args.rootfs,
        volumes=tuple(args.volume),
        mounts=tuple(args.mount),
        volumes_from=tuple(args.volumes_from),
        readonly=args.read_only,
        tmpfs=tuple(args.tmpfs),
        storage_options=tuple(args.storage_opt),
    )
