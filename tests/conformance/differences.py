"""``differences.toml``: what is known to be otherwise in a container, each with its reason."""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("differences.toml")


@dataclass(frozen=True)
class Difference:
    """One entry of the list.

    Attributes:
        test: what differs, ``part/name``; may hold ``*``.
        platforms: where it does.
        reason: why, and what would have to happen for it to go.
        sometimes: it depends on chance or on the host, so that it may pass.
    """

    test: str
    platforms: tuple[str, ...]
    reason: str
    sometimes: bool = False


@dataclass(frozen=True)
class Differences:
    """The entries that count on one platform."""

    entries: tuple[Difference, ...]

    def find(self, test: str) -> Difference | None:
        """The entry for a test, if there is one."""
        for entry in self.entries:
            if fnmatch.fnmatchcase(test, entry.test):
                return entry
        return None

    def judge(self, test: str, problem: str) -> None:
        """Ends a pytest case by what was found: no problem, a known one, or a new one.

        Args:
            test: ``part/name``.
            problem: how the container differs from the host; empty if it does not.
        """
        known = self.find(test)
        if problem and known is None:
            pytest.fail(f"{test}: {problem}", pytrace=False)
        if problem and known is not None:
            pytest.xfail(f"{known.reason} ({problem})")
        if known is not None and not known.sometimes:
            pytest.fail(f"{test} is on the list of differences, but there is none", pytrace=False)


def read_differences(platform: str) -> Differences:
    """The list for one platform."""
    entries = []
    for value in tomllib.loads(LIST.read_text()).get("difference", ()):
        entry = Difference(**{**value, "platforms": tuple(value["platforms"])})
        if platform in entry.platforms:
            entries.append(entry)
    return Differences(tuple(entries))
