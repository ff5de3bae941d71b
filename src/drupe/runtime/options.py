"""Reads command lines as runc does: -name, --name, a value after a blank or '='."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from drupe.errors import SpecError


class Option(NamedTuple):
    """One option.

    Attributes:
        name: its long name.
        short: a letter, or empty.
        takes_value: it does; else it is a switch.
        ignored: it is known, and means nothing here.
    """

    name: str
    short: str = ""
    takes_value: bool = True
    ignored: bool = False


def switch(name: str, short: str = "", *, ignored: bool = False) -> Option:
    """An option without a value."""
    return Option(name, short, takes_value=False, ignored=ignored)


class Parsed(NamedTuple):
    """What a command line says.

    Attributes:
        values: name → what was given, in order; of a switch, true or false.
        rest: from the first word on that is no option.
    """

    values: Mapping[str, Sequence[str]]
    rest: Sequence[str]

    def text(self, name: str, default: str = "") -> str:
        """The last value of an option."""
        return self.values[name][-1] if name in self.values else default

    def texts(self, name: str) -> Sequence[str]:
        """All values of an option."""
        return self.values.get(name, ())

    def flag(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.text(name, "false") == "true"

    def number(self, name: str, default: int = 0) -> int:
        """The number that an option gives.

        Raises:
            SpecError: it is none.
        """
        text = self.text(name)
        if not text:
            return default
        try:
            return int(text)
        except ValueError as error:
            raise SpecError(f'invalid value "{text}" for flag -{name}') from error


def parse(arguments: Sequence[str], options: Sequence[Option]) -> Parsed:
    """Takes options up to the first word that is none, or to ``--``.

    Raises:
        SpecError: an option is unknown, or lacks its value.
    """
    known = {option.name: option for option in options}
    known |= {option.short: option for option in options if option.short}
    values: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.lstrip("-").partition("=")
        option = known.get(name)
        if option is None:
            raise SpecError(f"flag provided but not defined: -{name}")
        if not option.takes_value:
            value = value if equals else "true"
            if value not in {"true", "false"}:
                raise SpecError(f'invalid boolean value "{value}" for -{name}')
        elif not equals:
            if not rest:
                raise SpecError(f"flag needs an argument: -{name}")
            value = rest.pop(0)
        values.setdefault(option.name, []).append(value)
    return Parsed(values, rest)
