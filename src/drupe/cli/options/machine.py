"""Options of a container's kernel and of what that runs on."""

from __future__ import annotations

import argparse

from drupe.container.request import RunRequest
from drupe.container.sizes import parse_size
from drupe.container.spec import MEMORY_DEFAULT_BYTES, parse_memory
from drupe.errors import SpecError
from drupe.platform.registry import NAMES, VARIABLE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument_group("kernel").add_argument
    add(
        "-m",
        "--memory",
        metavar="SIZE",
        help="memory of the container, its kernel included "
        f"(default: {MEMORY_DEFAULT_BYTES >> 20}m)",
    )
    add(
        "--memory-swap",
        metavar="SIZE",
        help="accepted where it is no less than -m: there is no swap, so no more is ever taken",
    )
    add(
        "--memory-reservation",
        metavar="SIZE",
        help="accepted: memory that is not used goes back to the host anyway",
    )
    add(
        "--platform",
        help=f"what runs its kernel: {', '.join(NAMES)} (default: ${VARIABLE} or um); "
        "docker's linux/amd64 is taken, too, as images are of that one",
    )
    add(
        "--kernel",
        default="general",
        metavar="PROFILE|ID|PATH",
        help="its kernel (default: general)",
    )
    add(
        "--sysctl",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of its kernel, below /proc/sys: net.ipv4.ip_forward=1",
    )
    add("--shm-size", metavar="SIZE", help="size of /dev/shm (default: half of the memory)")


def apply(request: RunRequest, args: argparse.Namespace) -> RunRequest:
    """The request with what these options say."""
    memory = MEMORY_DEFAULT_BYTES if args.memory is None else parse_memory(args.memory)
    _check_promises(args, memory)
    return request._replace(
        memory_bytes=memory,
        platform=args.platform,
        kernel=args.kernel,
        sysctls=dict(setting.partition("=")[::2] for setting in args.sysctl),
        shm_size=args.shm_size,
    )


def _check_promises(args: argparse.Namespace, memory_bytes: int) -> None:
    """What is asked for beside memory must be what is so anyway.

    Raises:
        SpecError: it is no size; or less than the container has.
    """
    if args.memory_reservation is not None:
        parse_size("memory reservation", args.memory_reservation)
    if args.memory_swap not in {None, "-1", "0"}:
        limit_bytes = parse_size("memory and swap", args.memory_swap)
        if limit_bytes < memory_bytes:
            raise SpecError(
                f"failed to use memory and swap '{args.memory_swap}': less than -m, which is "
                f"{memory_bytes >> 20}m",
                hint="leave it out: there is no swap",
            )
