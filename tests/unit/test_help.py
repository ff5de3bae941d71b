"""Help, completion and progress: what the command line says of itself, from one source."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from drupe.cli.aliases import shortened
from drupe.cli.complete import FILES, answer
from drupe.cli.completion import SCRIPTS
from drupe.cli.help import Lesson, lesson, overview
from drupe.cli.main import TOPICS, VERBS
from drupe.cli.manual import Page, man, man_overview, page_of
from drupe.cli.parser import make_parser, parse
from drupe.cli.progress import Display
from tests.conftest import Home
from tests.unit.test_docs import arguments

EXAMPLES = [(verb, line) for verb in VERBS for _, line in lesson(f"drupe {verb}").examples]


def test_the_overview_has_all_verbs_by_topic() -> None:
    text = overview(TOPICS)
    assert len(VERBS) == sum(map(len, TOPICS.values()))
    for topic, verbs in TOPICS.items():
        assert f"\n{topic}:\n" in text
        assert all(f"\n  {verb} " in text for verb in verbs)
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_teaches(verb: str) -> None:
    told = lesson(f"drupe {verb}")
    assert told.examples, "EXAMPLES is missing"
    assert set(told.see_also) <= set(VERBS)
    text = make_parser(verb, VERBS[verb], import_module(f"drupe.cli.{verb}")).format_help()
    assert text.startswith(f"usage: drupe {verb}")
    assert "examples:" in text


@pytest.mark.parametrize("verb", VERBS)
def test_each_option_is_told(verb: str) -> None:
    parser = make_parser(verb, VERBS[verb], import_module(f"drupe.cli.{verb}"))
    for action in parser.declared:
        assert action.help, f"drupe {verb}: {action.option_strings or action.dest} has no help"


@pytest.mark.parametrize(("verb", "line"), EXAMPLES)
def test_examples_can_be_given(verb: str, line: str) -> None:
    inner = re.findall(r"\$\((.*?)\)", line)
    lines = [*inner, *re.sub(r"\$\(.*?\)", "X", line).split(" | ")]
    commands = [command for command in lines if command.startswith("drupe ")]
    given = [arguments(command) for command in commands]
    assert verb in [name for name, *_ in given]
    for name, *rest in map(shortened, given):
        parse(name, VERBS[name], import_module(f"drupe.cli.{name}"), rest)


def test_a_sub_verb_has_its_own_examples() -> None:
    examples = lesson("drupe kernel ls").examples
    assert [line for _, line in examples] == ["drupe kernel ls"]


# Completion


def words(line: str) -> list[str]:
    return answer("bash", [line, str(len(line))], VERBS)


@pytest.fixture
def named(private_home: Home) -> None:
    names = private_home.state / "names"
    names.mkdir(parents=True)
    (names / "web").symlink_to("../containers/x")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("drupe kern", {"kernel"}),
        ("drupe --debug kern", {"kernel"}),
        ("drupe kernel ", {"ls", "build", "show", "rm"}),
        ("drupe kernel ls --q", {"--quiet"}),
        ("drupe kernel ls --format ", {"table", "json"}),
        ("drupe kernel ls --format=j", {"json"}),
        ("drupe container lo", {"logs"}),
        ("drupe container logs ", {"web"}),
        ("drupe image pru", {"prune"}),
        ("drupe system inf", {"info"}),
        ("drupe stop ", {"web"}),
        ("drupe stop a w", {"web"}),
        ("drupe stop --time ", set()),
        ("drupe stop --time 3 ", {"web"}),
        ("drupe exec -it w", {"web"}),
        ("drupe exec -u ", set()),
        ("drupe exec -itu ", set()),
        ("drupe exec web ", {FILES}),
        ("drupe exec web ls -", {FILES}),
        ("drupe run --rm bu", {"busybox"}),
        ("drupe run busybox --", {FILES}),
        ("drupe run --rootfs /", {FILES}),
        ("drupe run -v /", {FILES}),
        ("drupe nonsense ", set()),
        ("drupe rm 'w", set()),
        ("drupe completion z", {"zsh"}),
    ],
)
def test_what_could_come_next(named: None, line: str, expected: set[str]) -> None:
    assert set(words(line)) == expected


def test_options_of_a_verb_are_offered() -> None:
    assert {"--rm", "--detach", "--volume"} <= set(words("drupe run --"))
    assert "--rm" not in words("drupe run busybox --")


def test_what_a_word_is_goes_along() -> None:
    assert "kernel\tlist, build, show and remove container kernels" in answer(
        "fish", ["drupe", "ker"], VERBS
    )


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_script_is_one(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(SCRIPTS[shell])
    subprocess.run([shell, "-n", script], check=True)


# The manual


@pytest.mark.parametrize("verb", VERBS)
def test_a_page_has_all(verb: str) -> None:
    page = page_of(verb)
    text = man(page)
    parser = make_parser(verb, VERBS[verb], import_module(f"drupe.cli.{verb}"))
    names = [name for action in parser.declared for name in action.option_strings]
    for name in set(names) - {"-h", "--help"}:
        assert name.replace("-", "\\-") in text
    assert text.count(".TP\n") >= len(page.lesson.examples)
    assert all(below.prog.upper() in text for below in page.below)


def test_man_finds_no_fault(tmp_path: Path) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    pages = {"drupe": man_overview(), **{verb: man(page_of(verb)) for verb in VERBS}}
    for name, text in pages.items():
        (tmp_path / f"{name}.1").write_text(text)
    paths = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning", *paths], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_roff_would_take_for_its_own_is_text() -> None:
    told = Lesson("-a \\fB", [("'quoted'", r"printf '\n' .x")], ())
    text = man(Page("drupe x", ".dot", "drupe x", (), told, ()))
    assert r"drupe\-x \- \&.dot" in text
    assert r"\-a \efB" in text
    assert r"\(aqquoted\(aq" in text


# Progress


def test_what_is_piped_gets_a_line_a_thing() -> None:
    stream = io.StringIO()
    with Display(stream) as display:
        bar = display.bar("layer 1", 1000)
        bar.advance(500)
        bar.end()
    assert stream.getvalue() == "layer 1: done\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_lines_that_change() -> None:
    stream = Terminal()
    with Display(stream) as display:
        first, second = display.bar("one", 10_000_000), display.bar("two")
        first.advance(5_000_000)
        second.step("extracting")
        first.end()
        second.end("failed")
    text = stream.getvalue()
    assert "\033[2A" in text
    assert text.endswith("\r\033[Kone  done\n\r\033[Ktwo  failed\n")


def test_a_bar_tells_amounts() -> None:
    display = Display(Terminal())
    bar = display.bar("x", 4_000_000)
    bar.advance(1_000_000)
    assert bar.line(80).startswith("x  [======                  ] 1.0 MB/4.0 MB")
    assert len(bar.line(20)) == 20


def test_a_quiet_display_says_nothing() -> None:
    stream = Terminal()
    with Display(stream, quiet=True) as display:
        display.bar("x").end()
    assert stream.getvalue() == ""
