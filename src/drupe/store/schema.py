"""Records on disk: named tuples, nested as they like, to and from what JSON can hold."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from drupe.errors import StateError

T = TypeVar("T")


def encode(value: object) -> Any:
    """A named tuple as a JSON object, with all that is in it; its keys are its fields."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: encode(entry) for name, entry in zip(value._fields, value, strict=True)}
    if isinstance(value, tuple | list):
        return [encode(entry) for entry in value]
    if isinstance(value, Mapping):
        return {name: encode(entry) for name, entry in value.items()}
    return value


def decode(kind: type[T], value: object, what: str) -> T:
    """The named tuple ``kind`` that ``encode`` made this of; ``what`` names it in errors.

    Fields are strings, numbers, booleans, ``| None``, ``tuple[X, ...]``, ``dict[str, X]``,
    enumerations and named tuples. Those with a default may be missing: an older drupe did not know
    them.

    Raises:
        StateError: a key is unknown or missing, or a value is of another kind.
    """
    try:
        return typing.cast("T", _decode(kind, value, ""))
    except _MismatchError as error:
        raise StateError(f"failed to read {what}: {error}") from None


class _MismatchError(Exception):
    """Something on disk is not what the fields say."""


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in {types.UnionType, typing.Union}:
        wanted = [entry for entry in typing.get_args(kind) if entry is not type(None)]
        if value is None and len(wanted) < len(typing.get_args(kind)):
            return None
        return _decode(wanted[0], value, where)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), _expect(value, list, where), where)
    if origin in {dict, Mapping}:
        inner = typing.get_args(kind)[1]
        entries = _expect(value, dict, where).items()
        return {name: _decode(inner, entry, f"{where}.{name}") for name, entry in entries}
    if hasattr(kind, "_fields"):
        return _decode_record(kind, _expect(value, dict, where), where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError:
            raise _MismatchError(f"'{where.lstrip('.')}' is {value!r:.60}") from None
    if kind is float:
        kind = int | float
    return _expect(value, kind, where)


def _decode_tuple(kinds: tuple[Any, ...], values: list[Any], where: str) -> tuple[Any, ...]:
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(values)
    if len(kinds) != len(values):
        raise _MismatchError(f"'{where.lstrip('.')}' has {len(values)} entries")
    return tuple(
        _decode(kind, entry, f"{where}[{index}]")
        for index, (kind, entry) in enumerate(zip(kinds, values, strict=True))
    )


def _decode_record(kind: Any, value: dict[str, Any], where: str) -> Any:
    if unknown := sorted(set(value) - set(kind._fields)):
        raise _MismatchError(f"unknown keys {unknown}")
    if missing := sorted(set(kind._fields) - set(kind._field_defaults) - set(value)):
        raise _MismatchError(f"missing keys {missing}")
    hints = typing.get_type_hints(kind)
    fields = {name: _decode(hints[name], entry, f"{where}.{name}") for name, entry in value.items()}
    return kind(**fields)


def _expect(value: Any, kind: Any, where: str) -> Any:
    # To Python, True is a number; to a reader of the file, it is not.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _MismatchError(f"'{where.lstrip('.')}' is {value!r:.60}")
    return value
