"""JSON that others wrote: read with every type checked, so that nothing surprising goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from drupe.errors import SpecError

BYTES_MOST = 16 << 20
"""Largest manifest or configuration that is read; registries bound them at 4 MiB."""


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``data``; ``what`` names it in errors.

    Raises:
        SpecError: it is none.
    """
    value = _parse(data, what)
    if not isinstance(value, dict):
        raise SpecError(f"failed to read {what}: not a JSON object")
    return value


def parse_array(data: bytes, what: str) -> list[dict[str, Any]]:
    """The JSON array of objects in ``data``; else as ``parse_object``.

    Raises:
        SpecError: it is none.
    """
    value = _parse(data, what)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise SpecError(f"failed to read {what}: not a JSON array of objects")
    return value


def _parse(data: bytes, what: str) -> Any:
    if len(data) > BYTES_MOST:
        raise SpecError(f"failed to read {what}: {len(data)} bytes, at most {BYTES_MOST}")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"failed to read {what}: not JSON: {error}") from None


class Fields:
    """A JSON object's members by type. A missing one and ``null`` are the same."""

    def __init__(self, value: Mapping[str, Any], what: str) -> None:
        self._value = value
        self._what = what

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        value = self._value.get(name)
        return default if value is None else self._expect(name, value, str)

    def number(self, name: str, default: int = 0, *, most: int = (1 << 63) - 1) -> int:
        """A whole number, not negative, at most ``most``."""
        value = self._value.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise self.error(name, value)
        return value

    def integer(self, name: str) -> int | None:
        """A whole number of 64 bits with a sign; None: it is not there."""
        value = self._value.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not -1 << 63 <= value < 1 << 63:
            raise self.error(name, value)
        return value

    def numbers(self, name: str, most: int) -> tuple[int, ...]:
        """An array of whole numbers, not negative, none above ``most``."""
        values = self._expect(name, self._value.get(name) or [], list)
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                raise self.error(name, value)
        return tuple(values)

    def flag(self, name: str) -> bool:
        """True or false."""
        return bool(self._expect(name, self._value.get(name) or False, bool))

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return self._value.get(name) is not None

    def texts(self, name: str) -> tuple[str, ...]:
        """An array of strings."""
        values = self._expect(name, self._value.get(name) or [], list)
        return tuple(self._expect(name, value, str) for value in values)

    def table(self, name: str) -> dict[str, str]:
        """An object of strings; what is null in it is empty."""
        values = self._expect(name, self._value.get(name) or {}, dict)
        return {key: self._expect(name, value or "", str) for key, value in values.items()}

    def keys(self, name: str) -> tuple[str, ...]:
        """The keys of an object that stands for a set, in order."""
        return tuple(sorted(self._expect(name, self._value.get(name) or {}, dict)))

    def member(self, name: str) -> Fields:
        """An object."""
        value = self._expect(name, self._value.get(name) or {}, dict)
        return Fields(value, f"{self._what}, '{name}'")

    def members(self, name: str) -> tuple[Fields, ...]:
        """An array of objects."""
        values = self._expect(name, self._value.get(name) or [], list)
        what = f"{self._what}, '{name}'"
        return tuple(Fields(self._expect(name, value, dict), what) for value in values)

    def error(self, name: str, value: object) -> SpecError:
        """The error for a member that cannot be what it is."""
        return SpecError(f"failed to read {self._what}: '{name}' is {value!r:.60}")

    def _expect(self, name: str, value: Any, kind: type) -> Any:
        if not isinstance(value, kind):
            raise self.error(name, value)
        return value
