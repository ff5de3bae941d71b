"""Profiles: named lists of fragments, read from ``profiles.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from drupe.errors import KernelConfigError, NotFoundError
from drupe.kconfig.fragment import Fragment, Option, merge, read_fragment

PLATFORMS = ("um", "vm")
"""What a profile can be built for: user mode, or an x86 virtual machine."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A named kernel configuration.

    Attributes:
        name: what ``--profile`` takes.
        description: one line.
        platform: one of ``PLATFORMS``.
        fragments: their names, in the order in which they are merged.
        directory: where the fragments are.
    """

    name: str
    description: str
    platform: str
    fragments: tuple[str, ...]
    directory: Path

    def read(self) -> list[Fragment]:
        """Reads the fragments.

        Raises:
            NotFoundError: one is missing.
            KernelConfigError: one cannot be parsed.
        """
        return [read_fragment(self.directory, name) for name in self.fragments]

    def options(self) -> dict[str, Option]:
        """Reads and merges the fragments.

        Raises:
            NotFoundError: one is missing.
            KernelConfigError: one cannot be parsed, or two disagree.
        """
        return merge(self.read())


def read_profiles(directory: Path) -> dict[str, Profile]:
    """Reads ``profiles.toml`` of a directory of fragments.

    Raises:
        NotFoundError: there is no such file.
        KernelConfigError: it is not TOML, or a profile has a wrong, unknown or missing key.
    """
    path = directory / "profiles.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"failed to read '{path}': no such file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KernelConfigError(f"failed to parse '{path}': {error}") from error
    return {name: _profile(name, value, directory, path) for name, value in table.items()}


def find_profile(directory: Path, name: str) -> Profile:
    """The profile of that name.

    Raises:
        NotFoundError: there is none; the hint names those that there are.
        KernelConfigError: the profiles cannot be read.
    """
    profiles = read_profiles(directory)
    try:
        return profiles[name]
    except KeyError:
        raise NotFoundError(
            f"failed to find profile '{name}': no such profile",
            hint=f"known profiles: {', '.join(profiles)}",
        ) from None


def _profile(name: str, value: Any, directory: Path, path: Path) -> Profile:
    def bad(cause: str) -> KernelConfigError:
        return KernelConfigError(f"failed to parse profile '{name}' of {path}: {cause}")

    if not isinstance(value, dict):
        raise bad("not a table")
    known = {field.name for field in fields(Profile)} - {"name", "directory"}
    if unknown := sorted(value.keys() - known):
        raise bad(f"unknown key '{unknown[0]}'")
    if missing := sorted(known - value.keys()):
        raise bad(f"missing key '{missing[0]}'")
    description, platform, fragments = (
        value["description"],
        value["platform"],
        value["fragments"],
    )
    if not isinstance(description, str):
        raise bad("description is not a string")
    if platform not in PLATFORMS:
        raise bad(f"platform is {platform!r}, not one of {', '.join(PLATFORMS)}")
    if (
        not isinstance(fragments, list)
        or not fragments
        or not all(isinstance(entry, str) and entry for entry in fragments)
    ):
        raise bad("fragments is not a list of names")
    if any("/" in entry for entry in fragments):
        raise bad("a fragment's name holds a slash")
    return Profile(name, description, platform, tuple(fragments), directory)
