"""Fragments: files of ``CONFIG_NAME=value  # reason`` lines, and what merging them gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from drupe.errors import KernelConfigError, NotFoundError

# A value is y, n, a number, or a string as Kconfig writes it. No m: a container kernel has no
# modules.
_LINE = re.compile(
    r"""CONFIG_(?P<name>[A-Za-z0-9_]+)
        =(?P<value>y|n|0[xX][0-9a-fA-F]+|-?[0-9]+|"(?:[^"\\]|\\["\\])*")
        (?P<rest>.*)""",
    re.VERBOSE,
)
_REASON = re.compile(r"[ \t]+#[ \t]*(?P<reason>\S.*)")


@dataclass(frozen=True, slots=True)
class Option:
    """One requested symbol.

    Attributes:
        name: without ``CONFIG_``.
        value: ``y``, ``n``, a number, or a string with its quotes.
        reason: why it is asked for.
        origin: ``file:line`` that asks for it.
    """

    name: str
    value: str
    reason: str
    origin: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """A named set of options that belong together."""

    name: str
    options: tuple[Option, ...]


def parse_fragment(text: str, name: str) -> Fragment:
    """Parses the text of a fragment; ``name`` stands in its error messages.

    Blank lines and lines that begin with ``#`` are comments.

    Raises:
        KernelConfigError: a line has another shape, no reason, or repeats a symbol; names the
            file and the line.
    """
    options: dict[str, Option] = {}
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        origin = f"{name}.config:{number}"
        if not line or line.startswith("#"):
            continue
        option = _parse_line(line, origin)
        if option.name in options:
            first = options[option.name].origin
            raise KernelConfigError(
                f"failed to parse '{origin}': CONFIG_{option.name} is already set at {first}",
                hint="keep one of the two lines",
            )
        options[option.name] = option
    return Fragment(name, tuple(options.values()))


def _parse_line(line: str, origin: str) -> Option:
    match = _LINE.fullmatch(line)
    if match is None:
        raise KernelConfigError(
            f"failed to parse '{origin}': {line!r} is not a fragment line",
            hint="write CONFIG_NAME=value  # reason, where value is y, n, a number or a string",
        )
    rest = match["rest"]
    if not rest.strip(" \t#"):
        raise KernelConfigError(
            f"failed to parse '{origin}': CONFIG_{match['name']} has no reason",
            hint="say why it is needed: CONFIG_NAME=value  # reason",
        )
    reason = _REASON.fullmatch(rest)
    if reason is None:
        raise KernelConfigError(
            f"failed to parse '{origin}': {line!r} is not a fragment line",
            hint="write CONFIG_NAME=value  # reason, where value is y, n, a number or a string",
        )
    return Option(match["name"], match["value"], reason["reason"], origin)


def read_fragment(directory: Path, name: str) -> Fragment:
    """Reads ``<name>.config`` of a directory.

    Raises:
        NotFoundError: there is no such fragment.
        KernelConfigError: it cannot be parsed.
    """
    path = directory / f"{name}.config"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        known = ", ".join(sorted(entry.stem for entry in directory.glob("*.config"))) or "none"
        raise NotFoundError(
            f"failed to read fragment '{name}': no such file in {directory}",
            hint=f"known fragments: {known}",
        ) from error
    except UnicodeDecodeError as error:
        raise KernelConfigError(f"failed to parse '{path}': not UTF-8") from error
    return parse_fragment(text, name)


def merge(fragments: Iterable[Fragment]) -> dict[str, Option]:
    """Joins fragments; where two ask for the same value of a symbol, the first speaks.

    Raises:
        KernelConfigError: two ask for different values; names both.
    """
    merged: dict[str, Option] = {}
    for fragment in fragments:
        for option in fragment.options:
            first = merged.setdefault(option.name, option)
            if first.value != option.value:
                raise KernelConfigError(
                    f"failed to merge '{fragment.name}': CONFIG_{option.name} is {first.value} "
                    f"at {first.origin} and {option.value} at {option.origin}",
                    hint="settle on one value, or do not use the two fragments together",
                )
    return merged


def allconfig(options: Mapping[str, Option]) -> str:
    """The text of a KCONFIG_ALLCONFIG file, sorted by symbol, so that it can be hashed."""
    lines = []
    for name in sorted(options):
        value = options[name].value
        lines.append(f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}")
    return "\n".join(lines) + "\n"
