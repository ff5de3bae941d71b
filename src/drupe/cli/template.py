r"""Templates of ``--format``: what scripts use of Go's.

A template is text with actions in it::

    {{.Names}}                       a field; upper and lower case are the same
    {{.State.Status}}                one inside of another
    {{json .Labels}}                 as JSON; {{json .}} is all of them
    {{.Label "fruit"}}               one label
    {{index .Config.Labels "a.b"}}   a member by a name that is no word, or by a number
    {{range .Mounts}}{{.Source}} {{end}}    also {{range $key, $value := .Labels}}
    {{if .State.Running}}up{{else}}down{{end}}    also {{with .State.Health}}
    {{join .Args " "}} {{.Name | upper}}    functions, see ``functions.py``
    table {{.ID}}\t{{.Names}}        aligned columns below a heading

``{{-`` and ``-}}`` drop the space beside them; ``\t`` and ``\n`` may be written out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from drupe.cli.expression import Scope, Value, parse_expression
from drupe.cli.functions import as_text, is_true
from drupe.errors import SpecError

_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_ESCAPES = {r"\t": "\t", r"\n": "\n"}

Part = Callable[[Scope], str]


class Template(NamedTuple):
    """A template, read.

    Attributes:
        part: renders all of it.
        table: whether it began with "table".
    """

    part: Part
    table: bool

    def render(self, value: object) -> str:
        """The text for a value.

        Raises:
            SpecError: it has no such field, or what is asked of it cannot be done.
        """
        return self.part({".": value, "$": value})


def parse_template(text: str) -> Template:
    """Reads a template.

    Raises:
        SpecError: it is not one; names what is not understood.
    """
    table = re.match(r"table\s+", text)
    body = text[table.end() :] if table else text
    for escape, character in _ESCAPES.items():
        body = body.replace(escape, character)
    reader = _Reader(text, _split(text, body))
    part, end = reader.block()
    if end:
        raise _refused(text, f"'{end}' has no beginning")
    return Template(part, table is not None)


def _split(text: str, body: str) -> Iterator[tuple[str, str | None]]:
    """Texts, each with the action behind it."""
    pieces = _ACTION.split(body)
    trim_left = False
    for at in range(0, len(pieces), 4):
        literal = pieces[at].lstrip() if trim_left else pieces[at]
        if "{{" in literal or "}}" in literal:
            raise _refused(text, "'{{' and '}}' do not match")
        if at + 1 == len(pieces):
            yield literal, None
            return
        before, action, after = pieces[at + 1 : at + 4]
        yield literal.rstrip() if before else literal, action.strip()
        trim_left = bool(after)


class _Reader:
    """Makes functions of a template's actions, the inner ones first."""

    def __init__(self, text: str, pieces: Iterator[tuple[str, str | None]]) -> None:
        self._text = text
        self._pieces = pieces

    def block(self) -> tuple[Part, str]:
        """Up to an ``end`` or ``else``, which comes second; or to the end of all."""
        parts: list[Part] = []
        for literal, action in self._pieces:
            if literal:
                parts.append(_literal(literal))
            if action is None:
                return _joined(parts), ""
            if action == "end" or action.split()[:1] == ["else"]:
                return _joined(parts), action
            if action.startswith("/*"):
                continue
            word, _, rest = action.partition(" ")
            if word in {"if", "with", "range"}:
                parts.append(self._branches(word, rest))
            else:
                parts.append(_shown(self._value(action)))
        return _joined(parts), ""

    def _branches(self, word: str, rest: str) -> Part:
        names: list[str] = []
        if ":=" in rest:
            left, _, rest = rest.partition(":=")
            names = [name.strip() for name in left.split(",")]
        value = self._value(rest)
        then, end = self.block()
        otherwise: Part = _joined([])
        if end.startswith("else "):
            inner, _, condition = end.removeprefix("else ").strip().partition(" ")
            otherwise = self._branches(inner, condition)
        elif end == "else":
            otherwise, end = self.block()
        if not end:
            raise _refused(self._text, f"'{word}' has no 'end'")

        def render(scope: Scope) -> str:
            found = value(scope)
            if not is_true(found):
                return otherwise(scope)
            if word == "range":
                return "".join(then(_bound(scope, names, *pair)) for pair in _items(found))
            inner = {**scope, **dict.fromkeys(names, found)}
            return then({**inner, ".": found} if word == "with" else inner)

        return render

    def _value(self, action: str) -> Value:
        try:
            return parse_expression(action)
        except ValueError as error:
            raise _refused(self._text, f"'{action}' is not understood{error}") from None


def _items(value: object) -> Iterator[tuple[object, object]]:
    if isinstance(value, Mapping):
        yield from sorted(value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from enumerate(value)
    else:
        raise SpecError(f"failed to use format: '{as_text(value)}' is not a list")


def _bound(scope: Scope, names: Sequence[str], key: object, value: object) -> Scope:
    """What names stand for within a ``range``: the last one is the value."""
    return {**scope, **dict(zip(names[::-1], (value, key), strict=False)), ".": value}


def _literal(text: str) -> Part:
    return lambda _: text


def _shown(value: Value) -> Part:
    return lambda scope: as_text(value(scope))


def _joined(parts: Sequence[Part]) -> Part:
    return lambda scope: "".join(part(scope) for part in parts)


def _refused(text: str, cause: str) -> SpecError:
    return SpecError(
        f"failed to read format '{text}': {cause}",
        hint="fields such as {{.Names}}, {{json .Labels}}, {{json .}}; 'table' before them; "
        "range, if, with, end",
    )
