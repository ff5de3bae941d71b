"""Options of a container's life: how it is stopped."""

from __future__ import annotations

import argparse

from drupe.cli.numbers import parse_seconds
from drupe.container.request import RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options."""
    add = parser.add_argument_group("life").add_argument
    add("--stop-signal", metavar="SIGNAL", help="what 'stop' sends (default: TERM)")
    add(
        "--stop-timeout",
        metavar="SECONDS",
        help="time between that and SIGKILL (default: 10)",
    )


def apply(request: RunRequest, args: argparse.Namespace) -> RunRequest:
    """The request with what these options say."""
    timeout = args.stop_timeout
    return request._replace(
        stop_signal=args.stop_signal,
        stop_timeout_s=None if timeout is None else parse_seconds(timeout),
    )
