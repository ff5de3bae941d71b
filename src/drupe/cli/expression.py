"""What stands in the actions of a template: fields, variables, constants, calls, pipelines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from drupe.cli.functions import FUNCTIONS
from drupe.errors import SpecError

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)
      | (?P<number>-?\d+)
      | (?P<variable>\$\w*)
      | (?P<field>\.\w*)
      | (?P<word>\w+)
      | (?P<mark>:=|[()|,])
    )""",
    re.VERBOSE,
)
_WORDS = {"true": True, "false": False, "nil": None}

Scope = Mapping[str, object]
"""What names stand for: "." is the thing at hand, "$" that of the whole template."""
Value = Callable[[Scope], object]

_Tokens = Sequence[tuple[str, str, bool]]
"""Kind, text, and whether there is space before."""


def parse_expression(text: str) -> Value:
    """What an action's text means.

    Raises:
        ValueError: nothing; its message, if any, says more.
    """
    tokens = []
    at = 0
    while match := _TOKEN.match(text, at):
        tokens.append((str(match.lastgroup), match[0].strip(), match[0][:1].isspace()))
        at = match.end()
    if not tokens or text[at:].strip():
        raise ValueError
    value, rest = _pipeline(tokens)
    if rest:
        raise ValueError
    return value


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


def _pipeline(tokens: _Tokens) -> tuple[Value, _Tokens]:
    value, tokens = _call(tokens, None)
    while tokens and tokens[0][1] == "|":
        value, tokens = _call(tokens[1:], value)
    return value, tokens


def _call(tokens: _Tokens, last: Value | None) -> tuple[Value, _Tokens]:
    """A value, or a function of values; ``last``: what is piped into it."""
    name = ""
    if tokens and tokens[0][0] == "word" and tokens[0][1] not in _WORDS:
        name, tokens = tokens[0][1], tokens[1:]
        if name not in FUNCTIONS:
            raise ValueError(f": there is no '{name}'")
    values = []
    while tokens and tokens[0][1] not in {"|", ")"}:
        value, tokens = _operand(tokens)
        values.append(value)
    if last is not None:
        values.append(last)
    if not name:
        if not values:
            raise ValueError
        first, *arguments = values
        return (lambda scope: _applied(first(scope), [v(scope) for v in arguments])), tokens
    return _called(name, FUNCTIONS[name], values), tokens


def _called(name: str, function: Callable[..., object], values: Sequence[Value]) -> Value:
    def call(scope: Scope) -> object:
        arguments = [value(scope) for value in values]
        try:
            return function(*arguments)
        except (TypeError, IndexError):
            raise SpecError(
                f"failed to use format function '{name}': not of {len(values)} such values"
            ) from None

    return call


def _operand(tokens: _Tokens) -> tuple[Value, _Tokens]:
    (kind, text, _), tokens = tokens[0], tokens[1:]
    value: Value
    path: list[str] = []
    if text == "(":
        value, tokens = _pipeline(tokens)
        if not tokens or tokens[0][1] != ")":
            raise ValueError
        tokens = tokens[1:]
    elif kind == "field":
        value, path = _named("."), [text[1:]] * (text != ".")
    elif kind == "variable":
        value = _named(text)
    elif kind in {"string", "number"} or text in _WORDS:
        constant = _constant(kind, text)
        return (lambda _: constant), tokens
    else:
        raise ValueError
    while tokens and tokens[0][0] == "field" and not tokens[0][2]:  # no space: it goes on
        if len(tokens[0][1]) == 1:
            raise ValueError
        path.append(tokens[0][1][1:])
        tokens = tokens[1:]
    return (_field(value, path) if path else value), tokens


def _named(name: str) -> Value:
    def find(scope: Scope) -> object:
        if name not in scope:
            raise SpecError(f"failed to use format variable '{name}': no such variable")
        return scope[name]

    return find


def _constant(kind: str, text: str) -> object:
    if kind == "number":
        return int(text)
    return _WORDS[text] if kind == "word" else re.sub(r"\\(.)", r"\1", text[1:-1])


def _field(value: Value, path: Sequence[str]) -> Value:
    def find(scope: Scope) -> object:
        found = value(scope)
        for name in path:
            try:
                found = member(found, name)
            except KeyError:
                raise _unknown_field(path, found) from None
        return found

    return find


def _applied(value: object, arguments: Sequence[object]) -> object:
    """``.Label "name"`` is a call, as a method's in Go."""
    if callable(value):
        return value(*arguments)
    if arguments:
        raise SpecError("failed to use format: a field takes no argument")
    return value


def _unknown_field(path: Sequence[str], known: object) -> SpecError:
    names = ", ".join(f".{name}" for name in known) if isinstance(known, Mapping) else "none"
    return SpecError(
        f"failed to use format field '.{'.'.join(path)}': no such field",
        hint=f"there are: {names}",
    )


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
