"""The documents say what is: links lead somewhere, commands can be given, the list is the list.

Run as a program, this module makes the list in docs/jail.md again.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from drupe.cli.aliases import shortened
from drupe.cli.main import VERBS
from drupe.cli.parser import parse
from drupe.jail.policy import NARROWED, REFUSED, WRITTEN, Argument, Rule, rules

ROOT = Path(__file__).resolve().parents[2]
JAIL = ROOT / "docs/jail.md"
LIST = re.compile(r"(?<=<!-- list begin -->\n).*?(?=<!-- list end -->)", re.DOTALL)

_SKIPPED = {"build", "dist", "node_modules", "results"}
_ALL = 0xFFFF_FFFF_FFFF_FFFF


def documents() -> list[Path]:
    return [
        path
        for path in sorted(ROOT.rglob("*.md"))
        if not any(p.startswith(".") or p in _SKIPPED for p in path.relative_to(ROOT).parts)
    ]


def named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


# Links


def anchors(text: str) -> set[str]:
    """What the headings of a document are called in links, as on GitHub."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.*)$", prose, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def dead_links(path: Path) -> Iterator[str]:
    text = path.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        aim = path.parent / name if name else path
        missing = not aim.exists() or ROOT not in (aim.resolve(), *aim.resolve().parents)
        if missing or (anchor and anchor not in anchors(aim.read_text())):
            yield target


@pytest.mark.parametrize("name", named(documents()))
def test_links_lead_somewhere(name: str) -> None:
    assert list(dead_links(ROOT / name)) == []


def test_a_dead_link_is_caught(tmp_path: Path) -> None:
    document = ROOT / "README.md"
    assert "kernel" not in anchors(document.read_text())
    text = "# A b: `c`\n```\n# code\n```\n"
    assert anchors(text) == {"a-b-c"}


# Commands


def commands(text: str) -> Iterator[str]:
    """The lines of a document's shell examples that begin with ``drupe``."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from (line for line in block.splitlines() if line.startswith("drupe "))


def arguments(line: str) -> list[str]:
    """The words of one command line after ``drupe``, up to where the shell takes over."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    ends = [index for index, word in enumerate(words) if set(word) <= set("();<>|&")]
    return words[1 : min(ends, default=len(words))]


COMMANDS = [
    (str(p.relative_to(ROOT)), line) for p in documents() for line in commands(p.read_text())
]


@pytest.mark.parametrize(("name", "line"), COMMANDS)
def test_commands_can_be_given(name: str, line: str) -> None:
    verb, *rest = shortened(arguments(line))
    assert verb in VERBS, f"{name}: {line}"
    parse(verb, VERBS[verb], import_module(f"drupe.cli.{verb}"), rest)


def test_commands_are_found() -> None:
    assert len([line for name, line in COMMANDS if name == "README.md"]) > 20
    line = "drupe run -e A='b c' busybox sh -c 'exit 3'; echo $?"
    assert arguments(line) == ["run", "-e", "A=b c", "busybox", "sh", "-c", "exit 3"]


# Tests that documents name


def test_tests_that_are_named_exist() -> None:
    found = re.findall(
        r"`((?:unit|integration|security)/test_\w+\.py)(?:::(test_\w+))?`", JAIL.read_text()
    )
    assert len(found) > 20
    for file, test in found:
        text = (ROOT / "tests" / file).read_text()
        assert not test or f"def {test}(" in text, f"{file}::{test}"


# The list


def condition(argument: Argument) -> str:
    masked = argument.mask not in {0xFFFF_FFFF, _ALL}
    left = f"arg{argument.position}" + (f" & {argument.mask:#x}" if masked else "")
    return f"{left} = {argument.value:#x}"


def conditions(rule: Rule) -> str:
    """What the filter checks, in a few words."""
    if rule.name in REFUSED:
        return "ENOSYS"
    if not rule.alternatives:
        return ""
    first = {(a.position, a.mask) for alternative in rule.alternatives for a in alternative}
    if len(first) == 1 and len(rule.alternatives) > 1:
        ((position, _),) = first
        values = ", ".join(f"{alternative[0].value:#x}" for alternative in rule.alternatives)
        return f"arg{position} one of {values}"
    return "; or ".join(
        ", ".join(condition(argument) for argument in alternative)
        for alternative in rule.alternatives
    )


def table(listed: tuple[Rule, ...]) -> str:
    rows = [f"| `{r.name}` | {r.number} | {conditions(r)} | {r.reason} |" for r in listed]
    head = ["| call | number | checked | what for |", "|---|---|---|---|"]
    return "\n".join(head + rows) + "\n"


def the_list() -> str:
    traced, contained = (rules(directories=False, traced=traced) for traced in (True, False))
    common = tuple(rule for rule in traced if rule in contained)
    files = tuple(rule for rule in rules(directories=True, traced=True) if rule not in traced)
    more = len({rule.name for rule in files} - {rule.name for rule in traced})
    parts = [
        ("Every container kernel", common),
        ("Platform `um`, before its kernel narrows the list", contained),
        ("Platform `um-strict`", traced),
    ]
    text = "`argN` counts from 0.\n"
    for title, listed in parts:
        shown = listed if listed is common else tuple(r for r in listed if r not in common)
        text += (
            f"\n{title}: {len(shown)} calls{'' if listed is common else ' more'}.\n\n{table(shown)}"
        )
    text += (
        f"\nOnly with `--rootfs` or a volume: {more} more; one that is above has more conditions."
        f"\n\n{table(files)}"
    )
    return f"\n{text}\n"


def narrowed() -> set[str]:
    """What the container kernel of platform um leaves to itself once its guest runs."""
    source = (ROOT / "kernel/files/arch/um/os-Linux/inproc/jail.c").read_text()
    always, _, some = source.partition("static void allow_disk")
    some, _, _ = some.partition("/* Only where the host's vDSO")
    return set(re.findall(r"__NR_(\w+),\s+/\*", always) + re.findall(r"allow\(__NR_(\w+)", some))


def test_the_second_list_is_told() -> None:
    text = JAIL.read_text().partition("#### The second list")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| `(\w+)`", text, re.MULTILINE)
    assert set(rows) == narrowed()
    assert len(rows) == len(set(rows))
    assert f"{len(rows)} calls" in text


def test_the_second_list_is_what_inspect_prints() -> None:
    assert {*NARROWED, *WRITTEN} == narrowed()
    assert len(NARROWED) + len(WRITTEN) == len(narrowed())


def test_the_second_list_is_part_of_the_first() -> None:
    assert narrowed() <= {rule.name for rule in rules(directories=False, traced=False)}


def test_the_list_of_calls_is_the_filters() -> None:
    found = LIST.search(JAIL.read_text())
    assert found is not None
    again = "make it again: .venv/bin/python tests/unit/test_docs.py"
    assert found[0] == the_list(), again


if __name__ == "__main__":
    JAIL.write_text(LIST.sub(lambda _: the_list(), JAIL.read_text()))
