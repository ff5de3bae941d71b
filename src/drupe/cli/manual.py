"""The manual, as man pages and as Markdown, made of what the verbs' parsers declare.

Run as a program: ``python -m drupe.cli.manual man DIR`` or ``markdown FILE``. No verb needs it.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from drupe import __version__
from drupe.cli.help import STATUS, SUMMARY, USAGE, Lesson, lesson, usage
from drupe.cli.main import TOPICS, VERBS
from drupe.cli.parser import Parser, make_parser

_AGAIN = "<!-- Made of the verbs' parsers by 'make docs'; changes here are lost. -->"


class Item(NamedTuple):
    """An option, an argument or a verb below a verb.

    Attributes:
        names: "-a", "--all"; of an argument, its name.
        value: what an option takes, or empty.
        text: what is said of it.
    """

    names: tuple[str, ...]
    value: str
    text: str


class Page(NamedTuple):
    """What there is to say of a verb.

    Attributes:
        prog: "drupe run".
        summary: in one line.
        usage: how it is called.
        groups: title → what is in it.
        lesson: description, examples, other verbs.
        below: pages of the verbs below it.
    """

    prog: str
    summary: str
    usage: str
    groups: tuple[tuple[str, tuple[Item, ...]], ...]
    lesson: Lesson
    below: tuple[Page, ...]


def page_of(verb: str) -> Page:
    """The page of a verb."""
    return _page(make_parser(verb, VERBS[verb], import_module(f"drupe.cli.{verb}")))


def _page(parser: Parser) -> Page:
    below: list[Page] = []
    groups = []
    for group in parser.groups:
        items = []
        for action in group._group_actions:  # noqa: SLF001 (argparse has no other name)
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (the same)
                subs = [p for p in action.choices.values() if isinstance(p, Parser)]
                below += [_page(sub) for sub in dict.fromkeys(subs)]
            elif action.dest != "help" and action.help != argparse.SUPPRESS:
                items.append(_item(parser, action))
        if items:
            title = {"positional arguments": "arguments"}.get(str(group.title), str(group.title))
            groups.append((title, tuple(items)))
    return Page(
        parser.prog,
        str(parser.description or "").rstrip("."),
        parser.usage or usage(parser.prog, parser.declared),
        tuple(groups),
        lesson(parser.prog),
        tuple(below),
    )


def _item(parser: Parser, action: argparse.Action) -> Item:
    known = {name: value for name, value in vars(action).items() if value != argparse.SUPPRESS}
    text = str(action.help or "") % {**known, "prog": parser.prog}
    choices = "|".join(map(str, action.choices or ()))
    if not action.option_strings:
        return Item((str(action.metavar or choices or action.dest).upper(),), "", text)
    value = "" if action.nargs == 0 else str(action.metavar or choices or action.dest.upper())
    return Item(tuple(action.option_strings), value, text)


# Markdown


def markdown() -> str:
    """All of it in one document."""
    parts = [
        f"# The command line\n\n{_AGAIN}\n",
        f"{SUMMARY} `{USAGE}`\n\n{STATUS}\n",
    ]
    for topic, verbs in TOPICS.items():
        parts.append(f"## {topic}\n")
        parts += [text for verb in verbs for text in _markdown_page(page_of(verb), "###")]
    return "\n".join(parts)


def _markdown_page(page: Page, level: str) -> Iterator[str]:
    yield f"{level} {page.prog}\n\n{page.summary}.\n\n```\n{page.usage}\n```\n"
    if page.lesson.description:
        yield page.lesson.description + "\n"
    for title, items in page.groups:
        lines = [f"- {_code(item)}{': ' if item.text else ''}{_plain(item.text)}" for item in items]
        yield f"{title.capitalize()}:\n\n" + "\n".join(lines) + "\n"
    # A verb with verbs below it has their examples; they stand there.
    if page.lesson.examples and not page.below:
        lines = [f"# {what}\n{line}" for what, line in page.lesson.examples]
        yield "```sh\n" + "\n".join(lines) + "\n```\n"
    if page.lesson.see_also and level == "###":
        links = (f"[{verb}](#drupe-{verb})" for verb in page.lesson.see_also)
        yield f"See also: {', '.join(links)}.\n"
    for below in page.below:
        yield from _markdown_page(below, f"{level}#")


def _code(item: Item) -> str:
    return ", ".join(f"`{f'{name} {item.value}'.strip()}`" for name in item.names)


def _plain(text: str) -> str:
    """Text that is no markup."""
    return re.sub(r"([*<])", r"\\\1", text)


# man


def man(page: Page) -> str:
    """A verb's page in the language of man pages."""
    name = page.prog.replace(" ", "-")
    lines = [*_title(name), ".SH NAME", rf"{_roff(name)} \- {_roff(page.summary.lower())}"]
    lines += [".SH SYNOPSIS", rf".B {_roff(page.usage)}"]
    if page.lesson.description:
        lines += [".SH DESCRIPTION", *_paragraphs(page.lesson.description)]
    lines += _man_groups(page, ".SH")
    for below in page.below:
        lines += [f".SH {_roff(below.prog.upper())}", f"{_roff(below.summary)}."]
        lines += [".PP", rf".B {_roff(below.usage)}", *_man_groups(below, ".SS")]
    if page.lesson.examples:
        lines.append(".SH EXAMPLES")
        for what, line in page.lesson.examples:
            lines += [".TP", _roff(what), rf"\f(CR{_roff(line)}\fR"]
    others = [f"drupe-{verb}" for verb in page.lesson.see_also]
    return "\n".join([*lines, *_see_also(["drupe", *others])]) + "\n"


def man_overview() -> str:
    """The page of drupe itself."""
    lines = [*_title("drupe"), ".SH NAME", rf"drupe \- {_roff(SUMMARY.rstrip('.').lower())}"]
    lines += [".SH SYNOPSIS", rf".B {_roff(USAGE)}"]
    for topic, verbs in TOPICS.items():
        lines.append(f".SH {_roff(topic.upper())}")
        for verb, text in verbs.items():
            lines += [".TP", rf".BR drupe\-{_roff(verb)} (1)", _roff(text)]
    lines += [".SH EXIT STATUS", *_paragraphs(STATUS)]
    return "\n".join([*lines, *_see_also([f"drupe-{verb}" for verb in VERBS])]) + "\n"


def _title(name: str) -> list[str]:
    day = time.strftime("%Y-%m-%d")
    return [f'.TH {_roff(name.upper())} 1 {day} "drupe {__version__}" "drupe manual"']


def _man_groups(page: Page, heading: str) -> Iterator[str]:
    for title, items in page.groups:
        yield f"{heading} {_roff(title.upper() if heading == '.SH' else title.capitalize())}"
        for item in items:
            yield ".TP"
            names = ", ".join(rf"\fB{_roff(name)}\fR" for name in item.names)
            yield names + (rf" \fI{_roff(item.value)}\fR" if item.value else "")
            yield _roff(item.text)


def _see_also(names: Sequence[str]) -> list[str]:
    *first, last = names
    lines = [rf".BR {_roff(name)} (1)," for name in first]
    return [".SH SEE ALSO", *lines, rf".BR {_roff(last)} (1)"]


def _paragraphs(text: str) -> Iterator[str]:
    for index, paragraph in enumerate(text.split("\n\n")):
        if index:
            yield ".PP"
        yield _roff(" ".join(paragraph.split()))


def _roff(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("…", "...")
    text = text.replace("'", r"\(aq").replace("`", r"\(ga").replace("→", "->")
    return rf"\&{text}" if text.startswith(".") else text


def main() -> int:
    """Writes what the arguments name."""
    kind, target = sys.argv[1], Path(sys.argv[2])
    if kind == "markdown":
        target.write_text(markdown(), encoding="utf-8")
        return 0
    target.mkdir(parents=True, exist_ok=True)
    (target / "drupe.1").write_text(man_overview(), encoding="utf-8")
    for verb in VERBS:
        (target / f"drupe-{verb}.1").write_text(man(page_of(verb)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
