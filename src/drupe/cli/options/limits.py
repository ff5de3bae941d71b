"""Options of what a container may use of its host, beside memory."""

from __future__ import annotations

import argparse

from drupe.container.request import RunRequest
from drupe.errors import SpecError
from drupe.limits.group import PERIOD_US


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
    add(
        "--cpu-quota",
        type=int,
        metavar="US",
        help="the same as --cpus in docker's older words: microseconds in each --cpu-period",
    )
    add("--cpu-period", type=int, default=PERIOD_US, metavar="US", help="default: %(default)s")
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
        cpus=_cpus(args),
        cpu_shares=args.cpu_shares,
        cpuset_cpus=args.cpuset_cpus,
        pids_limit=args.pids_limit,
    )


def _cpus(args: argparse.Namespace) -> str | None:
    """The share of processors, in whichever words it was asked for.

    Raises:
        SpecError: in both, or in periods of nothing.
    """
    if args.cpu_quota is None:
        return str(args.cpus) if args.cpus is not None else None
    if args.cpus is not None or args.cpu_period <= 0:
        raise SpecError("failed to use --cpu-quota: --cpus is given, too, or the period is none")
    return str(max(0, args.cpu_quota) / args.cpu_period)
