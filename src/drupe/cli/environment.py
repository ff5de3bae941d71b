"""Names with values, one by one or in files: variables, labels."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from drupe.container.spec import parse_variable
from drupe.errors import SpecError


def add_environment(parser: argparse._ActionsContainer) -> None:
    """Declares the two options."""
    parser.add_argument(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a variable; without a value, the caller's own",
    )
    parser.add_argument(
        "--env-file",
        action="append",
        default=[],
        metavar="FILE",
        help="variables, one a line; '#' begins a comment",
    )


def environment(args: argparse.Namespace) -> dict[str, str]:
    """The variables that the options name; -e counts more than files.

    Raises:
        SpecError: a file cannot be read, or a variable has no name.
    """
    variables: dict[str, str] = {}
    for path in args.env_file:
        for number, line in enumerate(_lines(path), 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                variable = parse_variable(line, os.environ)
            except SpecError as error:
                raise SpecError(f"{error} ('{path}' line {number})", hint=error.hint) from error
            if variable is not None:
                variables[variable[0]] = variable[1]
    for text in args.env:
        variable = parse_variable(text, os.environ)
        if variable is not None:
            variables[variable[0]] = variable[1]
    return variables


def labels(args: argparse.Namespace) -> dict[str, str]:
    """The notes that -l and --label-file name; -l counts more than files.

    Raises:
        SpecError: a file cannot be read, or a note has no name.
    """
    texts = [
        line
        for path in args.label_file
        for line in _lines(path, "label file")
        if line.strip() and not line.startswith("#")
    ]
    notes = dict(text.partition("=")[::2] for text in (*texts, *args.label))
    if "" in notes:
        raise SpecError("failed to use labels: one has no name", hint="NAME or NAME=VALUE")
    return notes


def _lines(path: str, what: str = "env file") -> list[str]:
    try:
        return Path(path).read_text("utf-8", "surrogateescape").splitlines()
    except OSError as error:
        raise SpecError(f"failed to read {what} '{path}': {error.strerror}") from error
