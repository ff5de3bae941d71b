"""The argument parser of one verb; its errors are drupe's own."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from drupe.errors import SpecError

_USUAL_COLUMNS = 80


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """argparse makes one for each option, to check it: asking shutil for the width takes 2 ms."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or _USUAL_COLUMNS
    except OSError:
        return _USUAL_COLUMNS


# Messages are in English; looking for a translation of argparse's own imports locale, 1 ms.
setattr(argparse, "_", str)  # noqa: B010 (it has no type)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of exiting, and whose help teaches.

    Of a verb's module, ``DESCRIPTION`` (a text), ``EXAMPLES`` (pairs: what for, a command line) and
    ``SEE_ALSO`` (verbs) are part of the help, where they are there.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", _Formatter)
        super().__init__(allow_abbrev=False, **options)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Knows all or raises: so it is the verb below a verb that tells what it does not know.

        Raises:
            SpecError: there are more arguments than it knows.
        """
        known, more = super().parse_known_args(args, namespace)
        if more:
            self.error(f"unrecognized arguments: {' '.join(more)}")
        return known, more

    def error(self, message: str) -> NoReturn:
        """Raises SpecError for bad arguments."""
        from drupe.cli.absent import option_hint

        raise SpecError(
            f"failed to read the arguments of '{self.prog}': {message}",
            hint=option_hint(message) or f"'{self.prog} --help' lists them",
        )

    def format_help(self) -> str:
        """The help, with the examples of the verb."""
        from drupe.cli.help import epilog, usage

        self.usage = self.usage or usage(self.prog, self._actions)
        self.epilog = epilog(self.prog)
        return super().format_help()

    @property
    def declared(self) -> list[argparse.Action]:
        """All that was declared, in order: what completion and manual are made of."""
        return self._actions

    @property
    def groups(self) -> list[argparse._ArgumentGroup]:
        """The groups of the help."""
        return self._action_groups


def make_parser(verb: str, text: str, module: ModuleType) -> Parser:
    """The parser of a verb, as its module declares it."""
    parser = Parser(
        prog=f"drupe {verb}",
        description=text[0].upper() + text[1:] + ".",
        conflict_handler="resolve",  # run's -h is the host name
    )
    module.add_arguments(parser)
    for action in parser.declared:
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (no other name)
            for sub in action._get_subactions():  # noqa: SLF001
                said = sub.help or ""
                action.choices[sub.dest].description = said[:1].upper() + said[1:] + "."
    return parser


def parse(verb: str, text: str, module: ModuleType, arguments: list[str]) -> argparse.Namespace:
    """Parses a verb's arguments as its module declares them.

    Raises:
        SpecError: they are not right.
    """
    return make_parser(verb, text, module).parse_args(arguments)
