"""What ``--help`` teaches beyond the options: the verbs by topic, examples, what to see as well."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NamedTuple

_WIDTH = 96

SUMMARY = "Containers that each run on a Linux kernel of their own."
USAGE = "drupe [--debug] VERB [OPTION ...] [ARGUMENT ...]"
STATUS = (
    "Exit status: 125 if drupe itself failed, 126 or 127 if a command could not be run or found, "
    "else the command's own. --debug shows tracebacks."
)


class Lesson(NamedTuple):
    """What a verb's module says for its help.

    Attributes:
        description: paragraphs, or nothing.
        examples: what for, and a command line.
        see_also: other verbs.
    """

    description: str
    examples: Sequence[tuple[str, str]]
    see_also: Sequence[str]


def overview(topics: Mapping[str, Mapping[str, str]]) -> str:
    """``drupe --help``."""
    width = max(len(verb) for verbs in topics.values() for verb in verbs)
    lines = [f"usage: {USAGE}", "", SUMMARY]
    for topic, verbs in topics.items():
        lines += ["", f"{topic}:"]
        lines += [f"  {verb.ljust(width)}  {text}" for verb, text in verbs.items()]
    lines += ["", *textwrap.wrap(f"'drupe VERB --help' tells more. {STATUS}", _WIDTH)]
    return "\n".join(lines)


def lesson(prog: str) -> Lesson:
    """What there is to say of "drupe VERB", or of "drupe VERB SUBVERB": that one's examples."""
    verb, _, sub = prog.removeprefix("drupe ").partition(" ")
    module = import_module(f"drupe.cli.{verb}")
    examples = [e for e in getattr(module, "EXAMPLES", ()) if not sub or f"{prog} " in f"{e[1]} "]
    description = "" if sub else str(getattr(module, "DESCRIPTION", ""))
    return Lesson(description.strip(), examples, getattr(module, "SEE_ALSO", ()))


def epilog(prog: str) -> str:
    """What comes after the options."""
    told = lesson(prog)
    parts = [textwrap.fill(p, _WIDTH) for p in told.description.split("\n\n") if p]
    if told.examples:
        parts.append(
            "examples:\n" + "\n".join(f"  # {what}\n  {line}" for what, line in told.examples)
        )
    if told.see_also:
        parts.append("see also: " + ", ".join(f"drupe {verb}" for verb in told.see_also))
    return "\n\n".join(parts)


def usage(prog: str, actions: Sequence[argparse.Action]) -> str:
    """A usage that names what must be given, and leaves the options to the list below it."""
    words = [prog]
    if any(action.option_strings and action.dest != "help" for action in actions):
        words.append("[OPTION ...]")
    for action in actions:
        if action.option_strings or action.help == argparse.SUPPRESS:
            continue
        name = str(action.metavar or action.dest).upper()
        words.append(
            {
                "?": f"[{name}]",
                "*": f"[{name} ...]",
                "+": f"{name} ...",
                argparse.REMAINDER: f"[{name} ...]",
                argparse.PARSER: f"{name} ...",
            }.get(str(action.nargs), name)
        )
    return " ".join(words)
