"""Benchmarks that are one C program, which is told figure by figure what to measure.

On every side it runs from beginning to end, and times operations by the clock that it sees there.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.compare import Figure, Rounds, WrongError, add_options, choose, conclude
from bench.conversation import Conversation
from bench.goals import Goal
from bench.roots import compile_programs
from bench.sides import find_sides

_CLOCK_MS = 200
_CLOCK_ERROR_MS = 50


def run(
    name: str,
    description: str | None,
    goals: Mapping[str, Goal],
    make_root: Callable[[Callable[[str], None]], Path],
    arguments: list[str],
    *,
    more_programs: Sequence[str] = (),
) -> int:
    """Runs the program of that name; returns the exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m bench {name}", description=description)
    add_options(parser, rounds=9)
    parser.add_argument(
        "--slice-ms", type=int, default=100, help="of one sample (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    notes: list[str] = []
    try:
        root = make_root(print)
        compile_programs(root, [name, *more_programs])
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        print(f"failed to make what is to be measured: {error}")
        return 1
    listed = subprocess.run(
        [root / "bench" / name], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    known = parse_names(listed.stdout.decode())
    unknown = goals.keys() - set(known)
    assert not unknown, f"goals of figures that are not measured: {unknown}"
    parts = choose(parser, "figures", known, options.only)

    def measure(conversation: Conversation, figure: str) -> dict[str, float]:
        return {figure: ask(conversation, figure, options.slice_ms)}

    with ExitStack() as stack:
        sides = find_sides(stack, root, [f"/bench/{name}"], notes.append)
        names = choose(parser, "sides", [side.name for side in sides], options.sides)
        sides = [side for side in sides if side.name in names]
        result = Rounds(sides, measure, check).run(parts, options.rounds, options.minutes * 60)
    result.absent += notes
    figures = [Figure(part, goal=goals.get(part)) for part in parts]
    return conclude(name, figures, sides, result, options)


def check(conversation: Conversation) -> None:
    """Waits for the program, and compares its clock with this host's.

    Raises:
        WrongError: it says something else, or its clock runs at another pace.
        BrokenError: it has ended.
    """
    parse_names(conversation.line())
    begin = time.monotonic()
    conversation.say(f"{_CLOCK_MS} clock\n")
    parse_figure(conversation.line(), "clock")
    took_ms = (time.monotonic() - begin) * 1000
    if not _CLOCK_MS - 1 <= took_ms <= _CLOCK_MS + _CLOCK_ERROR_MS:
        raise WrongError(f"its clock counts {_CLOCK_MS} ms in {took_ms:.0f} ms")


def ask(conversation: Conversation, figure: str, slice_ms: int) -> float:
    """Nanoseconds of one operation.

    Raises:
        WrongError: the program says that it failed, or it claims more time than has gone by.
        BrokenError: it has ended.
    """
    begin = time.monotonic_ns()
    conversation.say(f"{slice_ms} {figure}\n")
    each_ns, operations = parse_figure(conversation.line(), figure)
    took_ns = time.monotonic_ns() - begin
    if each_ns * operations > took_ns * 1.01:
        raise WrongError(f"{figure}: {each_ns * operations:.0f} ns claimed, {took_ns} ns went by")
    return each_ns


def parse_names(line: str) -> list[str]:
    """The figures that a program offers, from its first line.

    Raises:
        WrongError: it is no such line.
    """
    first, *names = line.split() or [""]
    if first != "figures" or not names:
        raise WrongError(f"not a list of figures: '{line}'")
    return names


def parse_figure(line: str, figure: str) -> tuple[float, int]:
    """(nanoseconds of one operation, operations), from an answer.

    Raises:
        WrongError: it is none, or one to another question, or says that the figure failed.
    """
    words = line.split()
    if words[:2] == ["!", figure]:
        raise WrongError(" ".join(words[2:]))
    try:
        name, each, operations = words
        each_ns, count = float(each), int(operations)
    except ValueError:
        raise WrongError(f"not a figure: '{line}'") from None
    if name != figure or each_ns < 0 or count <= 0:
        raise WrongError(f"not an answer to '{figure}': '{line}'")
    return each_ns, count
