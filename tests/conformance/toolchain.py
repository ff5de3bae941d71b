"""Builds the C and C++ programs, and lists their cases."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).with_name("programs")
_WARNINGS = ("-Wall", "-Wextra", "-Werror")
_CASE = re.compile(r"^CASE\((\w+)\)", re.MULTILINE)


@dataclass(frozen=True)
class Programs:
    """The directory with the built programs, each called as its source is."""

    directory: Path

    def path(self, name: str) -> str:
        """The program built from ``programs/NAME.c`` or ``.cc``."""
        return str(self.directory / name)


def sources() -> list[Path]:
    """All sources that are a program of their own."""
    return sorted([*SOURCES.glob("*.c"), *SOURCES.glob("*.cc")])


def cases() -> list[tuple[str, str]]:
    """(program, case) of every case there is, read from the sources."""
    return [
        (source.stem, name) for source in sources() for name in _CASE.findall(source.read_text())
    ]


def build_programs(directory: Path, *, static: bool) -> Programs:
    """Builds all programs into a directory."""
    for source in sources():
        compiler, standard = ("gcc", "gnu17") if source.suffix == ".c" else ("g++", "gnu++17")
        argv = [compiler, f"-std={standard}", "-O2", "-g", *_WARNINGS, "-pthread", str(source)]
        if source.suffix == ".cc":
            argv += ["-fnon-call-exceptions", "-fasynchronous-unwind-tables"]
        if static:
            argv.append("-static")
        subprocess.run([*argv, "-o", str(directory / source.stem)], check=True)
    return Programs(directory)
