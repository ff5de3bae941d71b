"""Options of what a container's processes may do and get."""

from __future__ import annotations

import argparse

from drupe.container.request import RunRequest
from drupe.container.settings import DEVICES, check_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument_group("rights and limits of processes").add_argument
    add(
        "--ulimit",
        action="append",
        default=[],
        metavar="NAME=SOFT[:HARD]",
        help="a resource limit, -1 for none: nofile=1024:4096",
    )
    add(
        "--cap-add",
        action="append",
        default=[],
        metavar="CAP",
        help="a capability they may have, after a --cap-drop",
    )
    add(
        "--cap-drop",
        action="append",
        default=[],
        metavar="CAP",
        help="a capability they may not have, or ALL; all are theirs at first, as their kernel is",
    )
    add("--privileged", action="store_true", help="all capabilities, as without --cap-drop")
    add(
        "--security-opt",
        action="append",
        default=[],
        metavar="OPTION",
        help="no-new-privileges: no program gives them rights",
    )
    add("--umask", metavar="MODE", help="mask of file modes, octal (default: 022)")
    add(
        "--oom-score-adj",
        type=int,
        metavar="N",
        help="-1000 to 1000: whom the container's kernel kills last, or first",
    )
    add(
        "--device",
        action="append",
        default=[],
        metavar="PATH",
        help=f"accepted for what each container has anyway: {', '.join(DEVICES)}",
    )
    add("--init", action="store_true", help="reap orphans, which drupe's own init does anyway")


def apply(request: RunRequest, args: argparse.Namespace) -> RunRequest:
    """The request with what these options say."""
    for device in args.device:
        check_device(device)
    return request._replace(
        ulimits=tuple(args.ulimit),
        cap_add=_split(args.cap_add),
        cap_drop=_split(args.cap_drop),
        privileged=args.privileged,
        security_options=tuple(args.security_opt),
        umask=args.umask,
        oom_score_adj=args.oom_score_adj,
    )


def _split(options: list[str]) -> tuple[str, ...]:
    return tuple(name for option in options for name in option.split(","))
