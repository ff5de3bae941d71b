"""How a build tells what it does: steps, and counts within a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One report.

    Attributes:
        step: the step's name, such as ``compile``; a new one begins when it changes.
        detail: what is worked on right now.
        done: objects, or bytes where ``in_bytes``.
        total: the same unit; an estimate, or 0 where unknown.
        in_bytes: the unit of the two.
    """

    step: str
    detail: str = ""
    done: int = 0
    total: int = 0
    in_bytes: bool = False


Reporter = Callable[[Progress], None]


def silent(_report: Progress) -> None:
    """A reporter that keeps it to itself."""
