"""Asks before something goes for good."""

from __future__ import annotations

import argparse
import sys


def add_force(parser: argparse.ArgumentParser) -> None:
    """Declares -f."""
    parser.add_argument("-f", "--force", action="store_true", help="do not ask")


def agreed(args: argparse.Namespace, what: str) -> bool:
    """Whether ``what`` may be removed; asks where somebody is there to answer."""
    if args.force or sys.stdin is None or not sys.stdin.isatty():
        return True
    return input(f"This removes {what}. Go on? [y/N] ").strip().lower() in {"y", "yes"}
