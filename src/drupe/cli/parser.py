"""The argument parser of one verb; its errors are drupe's own."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import NoReturn

from drupe.errors import SpecError


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of exiting."""

    def error(self, message: str) -> NoReturn:
        """Raises SpecError for bad arguments."""
        raise SpecError(
            f"failed to read the arguments of '{self.prog}': {message}",
            hint=f"'{self.prog} --help' lists them",
        )


def parse(verb: str, text: str, module: ModuleType, arguments: list[str]) -> argparse.Namespace:
    """Parses a verb's arguments as its module declares them.

    Raises:
        SpecError: they are not right.
    """
    parser = Parser(
        prog=f"drupe {verb}",
        description=text[0].upper() + text[1:] + ".",
        allow_abbrev=False,
        conflict_handler="resolve",  # run's -h is the host name
    )
    module.add_arguments(parser)
    return parser.parse_args(arguments)
