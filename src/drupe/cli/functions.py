"""The functions of ``--format`` templates, and how values become text: as docker has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from drupe.errors import SpecError


@runtime_checkable
class Documented(Protocol):
    """What is more than its fields when it is told as JSON."""

    def document(self) -> object:
        """All that is known of it."""


def as_json(value: object) -> str:
    """A value as JSON on one line."""
    return json.dumps(
        value.document() if isinstance(value, Documented) else value, ensure_ascii=False
    )


def as_text(value: object) -> str:
    """A value as a template prints it: strings as they are, nothing for None, else JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else as_json(value)


def is_true(value: object) -> bool:
    """Whether ``if`` takes a value for true: not nothing, 0 or empty."""
    return bool(value)


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key, "")
        elif isinstance(value, Sequence) and isinstance(key, int) and 0 <= key < len(value):
            value = value[key]
        else:
            raise SpecError(f"failed to use format: '{as_text(value)}' has no '{key}'")
    return value


def _join(values: object, separator: object = "") -> str:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise SpecError(f"failed to use format: '{as_text(values)}' is not a list")
    return str(separator).join(map(as_text, values))


def _length(value: object) -> int:
    if isinstance(value, str | Sequence | Mapping):
        return len(value)
    raise SpecError(f"failed to use format: '{as_text(value)}' has no length")


def _and(*values: object) -> object:
    return next((value for value in values if not is_true(value)), values[-1])


def _or(*values: object) -> object:
    return next((value for value in values if is_true(value)), values[-1])


def _println(*values: object) -> str:
    return " ".join(map(as_text, values)) + "\n"


FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "and": _and,
    "eq": lambda value, *others: value in others,
    "index": _index,
    "join": _join,
    "json": as_json,
    "len": _length,
    "lower": lambda value: as_text(value).lower(),
    "ne": lambda value, other: value != other,
    "not": lambda value: not is_true(value),
    "or": _or,
    "println": _println,
    "split": lambda value, separator: as_text(value).split(separator),
    "title": lambda value: as_text(value).title(),
    "upper": lambda value: as_text(value).upper(),
}
"""By their names in templates."""
