"""The machine's own Debian mirrors: its sources lists, in both of apt's formats.

Source: sources.list(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>.+)")


@dataclass(frozen=True, slots=True)
class Repository:
    """One binary repository that apt is told of.

    Attributes:
        uri: as apt takes it; may be a ``mirror+file:`` one.
        suites: such as ``bookworm``.
        components: such as ``main``.
    """

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def parse_one_line(text: str) -> list[Repository]:
    """Parses the ``deb [options] uri suite component...`` format."""
    found = []
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.split("#", 1)[0].strip())
        if match:
            suite, *components = match["rest"].split()
            found.append(Repository(match["uri"], (suite,), tuple(components)))
    return found


def parse_deb822(text: str) -> list[Repository]:
    """Parses the ``Types:/URIs:/Suites:`` format; stanzas that are not enabled are left out."""
    found = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0] in " \t":
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
                continue
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "0", "off", "disable"):
            continue
        if "deb" in fields.get("types", "").split():
            found += [
                Repository(
                    uri,
                    tuple(fields.get("suites", "").split()),
                    tuple(fields.get("components", "").split()),
                )
                for uri in fields.get("uris", "").split()
            ]
    return found


def read_repositories(etc_apt: Path) -> list[Repository]:
    """All repositories that ``sources.list`` and ``sources.list.d`` of a directory name."""
    found = []
    paths = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if path.suffix == ".list":
            found += parse_one_line(text)
        elif path.suffix == ".sources":
            found += parse_deb822(text)
    return found


def debian_archive(repositories: list[Repository], codename: str) -> str | None:
    """The URI of the archive that holds the machine's own release, or None.

    ``codename`` is VERSION_CODENAME of os-release(5); Debian's standing names count too.
    """
    names = {codename, "stable", "testing", "unstable", "sid"} - {""}
    for repository in repositories:
        if "main" in repository.components and names & set(repository.suites):
            return repository.uri
    return None
