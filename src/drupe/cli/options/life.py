"""Options of a container's life: restarts, health checks, how it is stopped."""

from __future__ import annotations

import argparse

from drupe.cli.numbers import parse_seconds
from drupe.container.life import HealthRequest
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
    add(
        "--restart",
        default="no",
        metavar="POLICY",
        help="start the main process again when it has ended: no (default), on-failure[:N], "
        "always, unless-stopped",
    )
    add = parser.add_argument_group("health").add_argument
    add("--health-cmd", metavar="COMMAND", help="a command for a shell that tells how it does")
    add("--health-interval", metavar="TIME", help="between two checks (default: 30s)")
    add("--health-timeout", metavar="TIME", help="a check that takes longer fails (default: 30s)")
    add("--health-retries", type=int, metavar="N", help="failures in a row (default: 3)")
    add("--health-start-period", metavar="TIME", help="in which failures do not count")
    add(
        "--health-start-interval",
        metavar="TIME",
        help="between two checks in that period (default: 5s)",
    )
    add("--no-healthcheck", action="store_true", help="none, whatever the image has")


def apply(request: RunRequest, args: argparse.Namespace) -> RunRequest:
    """The request with what these options say."""
    timeout = args.stop_timeout
    return request._replace(
        stop_signal=args.stop_signal,
        stop_timeout_s=None if timeout is None else parse_seconds(timeout),
        restart=args.restart,
        health=HealthRequest(
            cmd=args.health_cmd,
            interval=args.health_interval,
            timeout=args.health_timeout,
            start_period=args.health_start_period,
            start_interval=args.health_start_interval,
            retries=args.health_retries,
            disabled=args.no_healthcheck,
        ),
    )
