"""Options of a container's kernel and of what that runs on."""

from __future__ import annotations

import argparse

from drupe.container.request import RunRequest
from drupe.container.spec import MEMORY_DEFAULT_BYTES, parse_memory
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
    return request._replace(
        memory_bytes=memory,
        platform=args.platform,
        kernel=args.kernel,
        sysctls=dict(setting.partition("=")[::2] for setting in args.sysctl),
        shm_size=args.shm_size,
    )
