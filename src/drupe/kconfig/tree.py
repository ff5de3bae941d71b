"""A small reader of a kernel tree's Kconfig files: who depends on what, and who selects whom.

It reads as much of the language as it takes to say why a symbol vanished, not all of it.
Source: Documentation/kbuild/kconfig-language.rst.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

_VARIABLE = re.compile(r"\$\((\w+)\)|\$(\w+)")
_SOURCE = re.compile(r"""([or]*)source\s+["']?([^"'#\s]+)""")
_ENTRY = re.compile(r"(?:menu)?config\s+(\w+)")
_TYPE = re.compile(r"(bool|tristate|int|hex|string|prompt)\b\s*(.*)")
_SELECT = re.compile(r"select\s+(\w+)(?:\s+if\s+(.*))?")
_PROMPT_IF = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*')\s+if\s+(.*)""")
_BLOCKS = ("menu", "if", "choice")


@dataclass(slots=True)
class Definition:
    """One ``config NAME`` block.

    Attributes:
        origin: ``file:line``.
        depends: the expressions that must all hold: its own, and those of what encloses it.
        prompt: whether a user can set it.
        prompt_if: the expressions that must hold for the prompt to be seen.
    """

    origin: str
    depends: list[str] = field(default_factory=list)
    prompt: bool = False
    prompt_if: list[str] = field(default_factory=list)


@dataclass(slots=True)
class KconfigTree:
    """What was read.

    Attributes:
        definitions: by symbol; a symbol may have several.
        selectors: by symbol: who selects it, and the condition ("" for none).
    """

    definitions: dict[str, list[Definition]] = field(default_factory=dict)
    selectors: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Block:
    kind: str
    depends: list[str] = field(default_factory=list)
    visible: list[str] = field(default_factory=list)


def read_kconfig(tree: Path, variables: dict[str, str]) -> KconfigTree:
    """Reads ``Kconfig`` at the top of a kernel tree and all that it sources.

    ``variables`` are those that name sourced files: SRCARCH, HEADER_ARCH. Files that are missing
    are passed over.
    """
    result = KconfigTree()
    _Reader(tree, variables, result).read("Kconfig", [])
    return result


class _Reader:
    def __init__(self, tree: Path, variables: dict[str, str], result: KconfigTree) -> None:
        self._tree = tree
        self._variables = variables
        self._result = result

    def read(self, name: str, enclosing: list[_Block]) -> None:
        """Reads one file; ``enclosing`` are the blocks around the line that sources it."""
        try:
            text = (self._tree / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        blocks = list(enclosing)
        entry: tuple[str, Definition] | None = None
        help_indent: int | None = None
        number = 0
        for logical, number in _logical_lines(text):
            stripped = logical.strip()
            indent = len(logical.expandtabs()) - len(logical.expandtabs().lstrip())
            if help_indent is not None:
                if not stripped or (indent >= help_indent if help_indent > 0 else indent > 0):
                    if stripped and help_indent == 0:
                        help_indent = indent
                    continue
                help_indent = None
            line = _strip_comment(stripped)
            if line in ("help", "---help---"):
                help_indent = 0
                continue
            opened = _ENTRY.fullmatch(line)
            if opened:
                entry = (opened[1], self._define(opened[1], f"{name}:{number}", blocks))
                continue
            word = line.split(maxsplit=1)[0] if line else ""
            if word in _BLOCKS:
                rest = line[len(word) :].strip()
                blocks.append(_Block(word, [rest] if word == "if" else []))
                entry = None
            elif word in ("endmenu", "endif", "endchoice"):
                if len(blocks) > len(enclosing):
                    blocks.pop()
                entry = None
            elif word == "comment":
                entry = ("", Definition(f"{name}:{number}"))
            elif sourced := _SOURCE.match(line):
                entry = None
                self.read(self._sourced(name, sourced), blocks)
            else:
                self._attribute(line, entry, blocks)

    def _define(self, symbol: str, origin: str, blocks: list[_Block]) -> Definition:
        definition = Definition(
            origin,
            [expression for block in blocks for expression in block.depends],
            prompt_if=[expression for block in blocks for expression in block.visible],
        )
        self._result.definitions.setdefault(symbol, []).append(definition)
        return definition

    def _attribute(
        self, line: str, entry: tuple[str, Definition] | None, blocks: list[_Block]
    ) -> None:
        if line.startswith("depends on "):
            expression = line.removeprefix("depends on ")
            if entry is not None:
                entry[1].depends.append(expression)
            elif blocks:
                blocks[-1].depends.append(expression)
        elif line.startswith("visible if ") and entry is None and blocks:
            blocks[-1].visible.append(line.removeprefix("visible if "))
        elif entry is None:
            return
        elif typed := _TYPE.match(line):
            if typed[2].startswith(('"', "'")):
                entry[1].prompt = True
                if condition := _PROMPT_IF.match(typed[2]):
                    entry[1].prompt_if.append(condition[1])
        elif selected := _SELECT.fullmatch(line):
            self._result.selectors.setdefault(selected[1], []).append((entry[0], selected[2] or ""))

    def _sourced(self, name: str, match: re.Match[str]) -> str:
        path = _VARIABLE.sub(lambda m: self._variables.get(m[1] or m[2], ""), match[2])
        return str(Path(name).parent / path) if "r" in match[1] else path


def _logical_lines(text: str) -> list[tuple[str, int]]:
    """Joins lines that end in a backslash; each with the number of its first."""
    lines: list[tuple[str, int]] = []
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        start = start or number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        lines.append((pending + line, start))
        pending, start = "", 0
    return lines


def _strip_comment(line: str) -> str:
    quote = ""
    for position, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "#":
            return line[:position].rstrip()
    return line
