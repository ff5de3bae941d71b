r"""Templates of ``--format``: the part of Go's that scripts use.

A template is text with fields in it::

    {{.Names}}            a field by name; upper and lower case are the same
    {{.State.Status}}     one inside of another
    {{json .Labels}}      a field as JSON; {{json .}} is all of them
    {{.Label "fruit"}}    one label
    table {{.ID}}\t{{.Names}}    aligned columns below a heading

``\t`` and ``\n`` may be written out. Go's other actions (range, if, with) are refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from drupe.errors import SpecError

_ACTION = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_EXPRESSION = re.compile(
    r"""\s*(?P<json>json\s+)?\.(?P<path>[A-Za-z_][\w.]*)?(?:\s+"(?P<argument>[^"]*)")?\s*"""
)
_ESCAPES = {r"\t": "\t", r"\n": "\n"}


class Field(NamedTuple):
    """One field in a template.

    Attributes:
        path: names, the outer first; empty: all that there is.
        argument: the string behind it, or None.
        as_json: print its value as JSON.
    """

    path: tuple[str, ...]
    argument: str | None
    as_json: bool


class Template(NamedTuple):
    """A template, read.

    Attributes:
        parts: texts and fields, in order.
        table: whether it began with "table".
    """

    parts: tuple[str | Field, ...]
    table: bool

    def render(self, value: Callable[[Field], object]) -> str:
        """The text for what ``value`` tells of each field."""
        return "".join(
            part
            if isinstance(part, str)
            else as_json(value(part))
            if part.as_json
            else as_text(value(part))
            for part in self.parts
        )


def parse_template(text: str) -> Template:
    """Reads a template.

    Raises:
        SpecError: it is not one; names the action that is not understood.
    """
    table = re.match(r"table\s+", text)
    body = text[table.end() :] if table else text
    for escape, character in _ESCAPES.items():
        body = body.replace(escape, character)
    parts: list[str | Field] = []
    pieces = _ACTION.split(body)
    for literal, action in zip(pieces[::2], [*pieces[1::2], None], strict=True):
        parts.append(literal)
        if action is not None:
            parts.append(_field(text, action))
    if any("{{" in part or "}}" in part for part in parts if isinstance(part, str)):
        raise _refused(text, "'{{' and '}}' do not match")
    return Template(tuple(part for part in parts if part != ""), table is not None)


def member(value: object, name: str) -> object:
    """The member of a mapping by a name of a template: case and underscores do not count.

    Raises:
        KeyError: it has none of that name.
    """
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        for key in value:
            if _plain(str(key)) == _plain(name):
                return value[key]
    raise KeyError(name)


def as_json(value: object) -> str:
    """A value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def as_text(value: object) -> str:
    """A value as a template prints it: strings as they are, nothing for None, else JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else as_json(value)


def unknown_field(field: Field, known: object) -> SpecError:
    """The error for a field that is not there."""
    names = ", ".join(f".{name}" for name in known) if isinstance(known, Mapping) else "none"
    return SpecError(
        f"failed to use format field '.{'.'.join(field.path)}': no such field",
        hint=f"there are: {names}",
    )


def _field(text: str, action: str) -> Field:
    found = _EXPRESSION.fullmatch(action)
    if found is None or (found["path"] or "").endswith("."):
        raise _refused(text, f"'{action.strip()}' is not understood")
    path = tuple((found["path"] or "").split(".")) if found["path"] else ()
    if not path and not found["json"]:
        raise _refused(text, "'.' needs 'json' before it")
    return Field(path, found["argument"], found["json"] is not None)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _refused(text: str, cause: str) -> SpecError:
    return SpecError(
        f"failed to read format '{text}': {cause}",
        hint="fields such as {{.Names}}, {{json .Labels}}, {{json .}}; 'table' before them",
    )
