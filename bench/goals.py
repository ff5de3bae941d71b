"""What is wanted of figures: cost or throughput in relation to a side without a container."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

NANOSECONDS = "ns"
RATE = "1/s"


@dataclass(frozen=True)
class Goal:
    """A bound of a ratio to the base: at most for what costs time, at least for a throughput.

    Attributes:
        bound: of the ratio.
        pinned_only: the sides with several processors are not judged.
    """

    bound: float
    pinned_only: bool = False

    def met(self, ratio: float, unit: str) -> bool:
        """Whether a ratio is good enough."""
        return ratio >= self.bound if unit == RATE else ratio <= self.bound

    def text(self, unit: str) -> str:
        """As the table has it."""
        sign = ">=" if unit == RATE else "<="
        return f"{sign} {self.bound:g}{' pinned' if self.pinned_only else ''}"


def ahead(own: float, other: float, unit: str) -> float:
    """How many times better one median is than another: above 1 is ahead."""
    return own / other if unit == RATE else other / own


def spread(values: Sequence[float]) -> float:
    """Half of the distance between the quartiles, as a share of the median."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / middle if middle else 0.0


def show(value: float, unit: str) -> str:
    """A figure with three digits, in the unit that suits it."""
    if unit == RATE:
        for factor, name in ((1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")):
            if value >= factor:
                return f"{_digits(value / factor)} {name}"
        return f"{_digits(value)} /s"
    for factor, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if value >= factor:
            return f"{_digits(value / factor)} {name}"
    return f"{_digits(value)} ns"


def _digits(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
