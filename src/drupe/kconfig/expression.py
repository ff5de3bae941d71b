"""Kconfig's dependency expressions: which symbols keep one from being true.

Source: Documentation/kbuild/kconfig-language.rst. Tristates count as true from ``m`` on; macros
(``$(...)``) count as true, for their value cannot be known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""\s*(?:(?P<op>&&|\|\||!=|<=|>=|[!=<>()])
        |(?P<macro>\$\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))
        |(?P<string>"[^"]*"|'[^']*')
        |(?P<symbol>[A-Za-z0-9_.-]+))""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Result:
    """Whether an expression holds, and what would have to change for the other outcome."""

    true: bool
    blame: tuple[str, ...]


def unmet(expression: str, config: Mapping[str, str]) -> list[str]:
    """What keeps an expression from being true under a configuration; empty where it is true.

    ``config`` maps symbols to values; a symbol that it lacks is ``n``. An expression that
    cannot be parsed is returned whole.
    """
    try:
        parser = _Parser(expression, config)
        result = parser.alternative()
        parser.end()
    except ValueError:
        return [expression.strip()]
    return [] if result.true else list(dict.fromkeys(result.blame))


class _Parser:
    def __init__(self, expression: str, config: Mapping[str, str]) -> None:
        self._config = config
        self._tokens: list[tuple[str, str]] = []
        position = 0
        text = expression.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise ValueError(text[position:])
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        self._next = 0

    def end(self) -> None:
        if self._next != len(self._tokens):
            raise ValueError(self._tokens[self._next][1])

    def alternative(self) -> _Result:
        result = self._all()
        while self._take("||"):
            other = self._all()
            if result.true or other.true:
                winner = result if result.true else other
                result = _Result(True, winner.blame)
            else:
                result = _Result(False, (" or ".join((*result.blame, *other.blame)),))
        return result

    def _all(self) -> _Result:
        result = self._factor()
        while self._take("&&"):
            other = self._factor()
            if result.true and other.true:
                result = _Result(True, result.blame + other.blame)
            else:
                false = [part.blame for part in (result, other) if not part.true]
                result = _Result(False, sum(false, ()))
        return result

    def _factor(self) -> _Result:
        if self._take("!"):
            inner = self._factor()
            return _Result(not inner.true, tuple(f"not {name}" for name in inner.blame))
        if self._take("("):
            inner = self.alternative()
            if not self._take(")"):
                raise ValueError("unbalanced parenthesis")
            return inner
        kind, left = self._operand()
        for operator in ("!=", "<=", ">=", "=", "<", ">"):
            if self._take(operator):
                right = self._operand()
                holds = _compare(self._value((kind, left)), operator, self._value(right))
                return _Result(holds, (f"{left}{operator}{right[1]}",))
        return _Result(self._value((kind, left)) in ("y", "m"), (left,))

    def _operand(self) -> tuple[str, str]:
        if self._next >= len(self._tokens) or self._tokens[self._next][0] == "op":
            raise ValueError("operand expected")
        self._next += 1
        return self._tokens[self._next - 1]

    def _value(self, operand: tuple[str, str]) -> str:
        kind, text = operand
        if kind == "macro":
            return "y"
        if kind == "string":
            return text[1:-1]
        if text in ("y", "m", "n") or re.fullmatch(r"-?\d+|0[xX][0-9a-fA-F]+", text):
            return text
        return self._config.get(text, "n").strip('"')

    def _take(self, operator: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next] == ("op", operator):
            self._next += 1
            return True
        return False


def _compare(left: str, operator: str, right: str) -> bool:
    if operator == "=":
        return left == right
    if operator == "!=":
        return left != right
    try:
        a, b = int(left, 0), int(right, 0)
    except ValueError:
        return True
    return {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[operator]
