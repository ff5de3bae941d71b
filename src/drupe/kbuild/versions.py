"""The Linux versions that the overlay is known to work with: ``kernel/versions.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from drupe.errors import SpecError
from drupe.kconfig import Option

_STATUSES = ("tested", "untested", "broken")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)+")


@dataclass(frozen=True, slots=True)
class Version:
    """A Linux version.

    Attributes:
        version: as ``make kernelversion`` prints it, without Debian's revision.
        status: ``tested``: applies, builds, boots; ``untested``: applies; ``broken``: does not.
    """

    version: str
    status: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """A symbol that older versions call otherwise.

    Attributes:
        symbol: as the fragments call it, without ``CONFIG_``.
        was: its name in older versions.
        before: the first version that has the new name.
    """

    symbol: str
    was: str
    before: str


@dataclass(frozen=True, slots=True)
class Versions:
    """What versions.toml says.

    Attributes:
        suites: Debian suites to look at, in order; ``{codename}`` stands for the machine's own.
        major: the newest package of this major version is the last resort.
        known: in order of preference.
        renamed: symbols that not all of the versions call the same.
    """

    suites: tuple[str, ...]
    major: int
    known: tuple[Version, ...]
    renamed: tuple[Renamed, ...] = ()

    def translate(self, options: Mapping[str, Option], version: str) -> dict[str, Option]:
        """Options under the names that a version has for their symbols."""
        old = {
            entry.symbol: entry.was
            for entry in self.renamed
            if numeric(version) < numeric(entry.before)
        }
        renamed = (replace(o, name=old.get(o.name, o.name)) for o in options.values())
        return {option.name: option for option in renamed}

    def usable(self) -> list[str]:
        """Versions that the overlay applies to: the tested ones first."""
        return [
            entry.version
            for status in ("tested", "untested")
            for entry in self.known
            if entry.status == status
        ]

    def tested(self) -> list[str]:
        """Versions that are known to boot, in order of preference."""
        return [entry.version for entry in self.known if entry.status == "tested"]

    def hint(self) -> str:
        """Says which versions the series is known to apply to."""
        return f"the series is known to apply to Linux {', '.join(self.usable()) or 'none'}"


def read_versions(path: Path) -> Versions:
    """Reads versions.toml.

    Raises:
        SpecError: it is missing, not TOML, or has a wrong or unknown key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"failed to read '{path}': {error}") from error
    if unknown := sorted(table.keys() - {"suites", "major", "version", "renamed"}):
        raise SpecError(f"failed to read '{path}': unknown key '{unknown[0]}'")
    suites, major, known = table.get("suites"), table.get("major"), table.get("version", [])
    renamed = table.get("renamed", [])
    if not isinstance(suites, list) or not all(isinstance(suite, str) for suite in suites):
        raise SpecError(f"failed to read '{path}': suites is not a list of names")
    if not isinstance(major, int):
        raise SpecError(f"failed to read '{path}': major is not a number")
    if not isinstance(known, list):
        raise SpecError(f"failed to read '{path}': version is not an array of tables")
    if not isinstance(renamed, list):
        raise SpecError(f"failed to read '{path}': renamed is not an array of tables")
    return Versions(
        tuple(suites),
        major,
        tuple(_version(entry, path) for entry in known),
        tuple(_renamed(entry, path) for entry in renamed),
    )


def _version(entry: Any, path: Path) -> Version:
    if not isinstance(entry, dict) or entry.keys() != {"version", "status"}:
        raise SpecError(f"failed to read '{path}': a version needs exactly version and status")
    version, status = entry["version"], entry["status"]
    if not isinstance(version, str) or not _NUMBER.fullmatch(version):
        raise SpecError(f"failed to read '{path}': {version!r} is not a version")
    if status not in _STATUSES:
        raise SpecError(f"failed to read '{path}': status {status!r} of {version} is unknown")
    return Version(version, status)


def _renamed(entry: Any, path: Path) -> Renamed:
    names = [field.name for field in fields(Renamed)]
    if (
        not isinstance(entry, dict)
        or entry.keys() != set(names)
        or not all(isinstance(value, str) for value in entry.values())
    ):
        raise SpecError(f"failed to read '{path}': renamed needs exactly {', '.join(names)}")
    return Renamed(**entry)


def numeric(version: str) -> tuple[int, ...]:
    """A version as numbers that sort; what follows the first other character is ignored."""
    match = _NUMBER.match(version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
