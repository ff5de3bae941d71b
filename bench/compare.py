"""Rounds over all sides, interleaved: figure by figure, each side in turn; the tables, the file."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.conversation import BrokenError, Conversation
from bench.goals import NANOSECONDS, Goal, ahead, show, spread
from bench.measure import print_table, save
from bench.sides import RIVAL, Side


class WrongError(Exception):
    """A program failed, or what it did is not what it should have done."""


Measure = Callable[[Conversation, str], Mapping[str, float]]
"""Measures one part of the benchmark on one side; returns its figures.

Raises:
    WrongError, BrokenError: it went wrong.
"""


@dataclass(frozen=True)
class Figure:
    """A row of the table.

    Attributes:
        name: within the benchmark.
        unit: ``NANOSECONDS`` of one operation, or ``RATE``: operations in a second.
        goal: None: there is none but to be ahead of runsc.
    """

    name: str
    unit: str = NANOSECONDS
    goal: Goal | None = None


@dataclass
class Comparison:
    """The samples of a run, by figure and side.

    Attributes:
        samples: the rounds that count.
        warm_up: the first round.
        failures: what went wrong, and where.
        absent: sides that this host lacks, and why.
        loads: of this host, at the beginning of each round.
    """

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    warm_up: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)


def add_options(parser: argparse.ArgumentParser, rounds: int) -> None:
    """Declares what all comparisons can be told."""
    add = parser.add_argument
    add("--rounds", type=int, default=rounds, help="at most (default: %(default)s)")
    add("--minutes", type=float, default=9.0, help="no new round after that (default: %(default)s)")
    add("--only", action="append", default=[], metavar="TEXT", help="parts whose names have it")
    add("--sides", action="append", default=[], metavar="TEXT", help="sides whose names have it")


def choose(
    parser: argparse.ArgumentParser, what: str, names: Sequence[str], wanted: Sequence[str]
) -> list[str]:
    """The names in which one of the wanted texts stands; all where nothing is wanted.

    Ends the program where a text stands in none.
    """
    for text in wanted:
        if not any(text in name for name in names):
            parser.error(f"no '{text}' in the names of {what}: {', '.join(names)}")
    return [name for name in names if not wanted or any(text in name for text in wanted)]


class Rounds:
    """Runs the parts of a benchmark on all sides, and keeps what they give."""

    def __init__(
        self, sides: Sequence[Side], measure: Measure, ready: Callable[[Conversation], None]
    ) -> None:
        self.result = Comparison()
        self._sides = list(sides)
        self._measure = measure
        self._ready = ready
        self._open: dict[str, Conversation] = {}
        self._given_up: set[tuple[str, str]] = set()

    def run(self, parts: Sequence[str], rounds: int, seconds: float) -> Comparison:
        """A round to warm up, then the others, until their number or the time is reached."""
        try:
            for side in self._sides[:]:
                self._start(side)
            limit = time.monotonic() + seconds
            longest = 0.0
            for turn in range(rounds + 1):
                begin = time.monotonic()
                if turn > 1 and begin + longest > limit:
                    _tell(f"no time for more than {turn - 1} rounds")
                    break
                _tell(f"round {turn} of {rounds}" if turn else "warming up")
                self.result.loads.append(os.getloadavg()[0])
                for part in parts:
                    for side in self._sides[:]:
                        self._ask(side, part, warming_up=turn == 0)
                longest = max(longest, time.monotonic() - begin)
        finally:
            for conversation in self._open.values():
                conversation.close()
        return self.result

    def _start(self, side: Side) -> None:
        conversation = side.open()
        try:
            self._ready(conversation)
        except (BrokenError, WrongError) as error:
            conversation.close()
            self._sides.remove(side)
            self.result.failures.append(f"{side.name}: failed to start: {error}")
        except BaseException:
            conversation.close()
            raise
        else:
            self._open[side.name] = conversation

    def _ask(self, side: Side, part: str, *, warming_up: bool) -> None:
        if (side.name, part) in self._given_up:
            return
        try:
            figures = self._measure(self._open[side.name], part)
        except (BrokenError, WrongError) as error:
            self._given_up.add((side.name, part))
            self.result.failures.append(f"{side.name}: {part}: {error}")
            _tell(f"failed: {side.name}: {part}: {error}")
            if isinstance(error, BrokenError):
                self._open.pop(side.name).close()
                self._start(side)
            return
        kept = self.result.warm_up if warming_up else self.result.samples
        for figure, value in figures.items():
            kept.setdefault(figure, {}).setdefault(side.name, []).append(value)


def report(figures: Sequence[Figure], sides: Sequence[Side], result: Comparison) -> None:
    """Prints the medians, then what they are in relation to the bases and to runsc."""
    taken = [side for side in sides if any(side.name in row for row in result.samples.values())]
    rows = [["median, half the quartiles' distance", *(side.name for side in taken)]]
    for figure in figures:
        cells = [_cell(result.samples[figure.name].get(side.name), figure) for side in taken]
        rows.append([figure.name, *cells])
    print_table(rows)
    judged = [side for side in taken if side.base != side.name]
    rows = [["in relation to native, pinned to pinned", *(side.name for side in judged), "goal"]]
    for side in judged:
        if side.is_drupe:
            rows[0].append(f"{side.name} : {RIVAL}")
    verdicts: list[bool] = []
    leads: list[bool] = []
    for figure in figures:
        cells = []
        ratios = relations(figure, judged, result)
        for side in judged:
            relation = ratios.get(side.name)
            cells.append("" if relation is None else f"{relation['ratio']:.2f}{_mark(relation)}")
            verdicts += [bool(relation["met"])] if relation and "met" in relation else []
        cells.append(figure.goal.text(figure.unit) if figure.goal else "")
        for side in judged:
            if side.is_drupe:
                lead = ratios.get(side.name, {}).get(RIVAL)
                cells.append("" if lead is None else f"{lead:.2f} {_place(lead)}")
                leads += [] if lead is None else [lead > 1]
        rows.append([figure.name, *cells])
    print()
    print_table(rows)
    print(f"\ngoals met: {sum(verdicts)} of {len(verdicts)}", end="; ")
    print(f"ahead of {RIVAL}: {sum(leads)} of {len(leads)}")
    for note in [*result.absent, *(f"failed: {failure}" for failure in result.failures)]:
        print(note)


def relations(
    figure: Figure, sides: Sequence[Side], result: Comparison
) -> dict[str, dict[str, float]]:
    """Of each side: ``ratio`` to its base; for drupe ``met`` if there is a goal, and ``runsc``.

    ``runsc`` says how many times better it is than runsc. What was not measured is left out.
    """
    medians = {
        name: statistics.median(values)
        for name, values in result.samples.get(figure.name, {}).items()
    }
    found: dict[str, dict[str, float]] = {}
    for side in sides:
        if side.name == side.base or not {side.name, side.base} <= medians.keys():
            continue
        ratio = medians[side.name] / medians[side.base]
        found[side.name] = {"ratio": ratio}
        goal = figure.goal
        if side.is_drupe and goal is not None and (side.pinned or not goal.pinned_only):
            found[side.name]["met"] = goal.met(ratio, figure.unit)
        if side.is_drupe and RIVAL in medians:
            found[side.name][RIVAL] = ahead(medians[side.name], medians[RIVAL], figure.unit)
    return found


def conclude(
    name: str,
    figures: Sequence[Figure],
    sides: Sequence[Side],
    result: Comparison,
    options: argparse.Namespace,
) -> int:
    """Prints the tables, writes the file; returns the exit status: 1 if anything went wrong."""
    measured = [figure for figure in figures if figure.name in result.samples]
    report(measured, sides, result)
    part = bool(options.only or options.sides)
    path = save(
        f"{name}-part" if part else name,
        {
            "options": vars(options),
            "versions": {side.name: side.version for side in sides if side.version},
            "absent": result.absent,
            "failures": result.failures,
            "loads": result.loads,
            "units": {figure.name: figure.unit for figure in measured},
            "goals": {f.name: f.goal.text(f.unit) for f in measured if f.goal},
            "relations": {f.name: relations(f, sides, result) for f in measured},
            "samples": result.samples,
            "warm_up": result.warm_up,
        },
    )
    print(f"\nwritten: {path}")
    return 1 if result.failures or not measured else 0


def _cell(values: list[float] | None, figure: Figure) -> str:
    if not values:
        return "-"
    return f"{show(statistics.median(values), figure.unit)} {spread(values):4.0%}"


def _mark(relation: Mapping[str, float]) -> str:
    if "met" not in relation:
        return ""
    return " met" if relation["met"] else " missed"


def _place(lead: float) -> str:
    return "ahead" if lead > 1 else "behind"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
