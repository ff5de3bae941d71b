"""Options of what a container may use of its host, beside memory."""

from __future__ import annotations

import argparse

from drupe.container.request import RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument_group("limits").add_argument
    add(
        "--cpus",
        metavar="N",
        help="processors' worth of time, such as 0.5; needs a control group of its own, which root "
        "has, and users to whom one is delegated",
    )
    add(
        "-c",
        "--cpu-shares",
        type=int,
        default=0,
        metavar="N",
        help="weight against other containers (usual: 1024); needs a control group, too",
    )
    add("--cpuset-cpus", metavar="LIST", help="processors of the host to run on: 0-2,5")
    add(
        "--pids-limit",
        type=int,
        default=0,
        metavar="N",
        help="processes and threads in it (default: as many as its memory allows)",
    )


def apply(request: RunRequest, args: argparse.Namespace) -> RunRequest:
    """The request with what these options say."""
    return request._replace(
        cpus=args.cpus,
        cpu_shares=args.cpu_shares,
        cpuset_cpus=args.cpuset_cpus,
        pids_limit=args.pids_limit,
    )
