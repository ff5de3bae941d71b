"""Lists and their templates: what is printed for --format, --filter, --quiet and --no-trunc."""

from __future__ import annotations

import argparse
import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.cli import listing
from drupe.cli.listing import Column, Listing, shorten
from drupe.cli.template import Template, parse_template
from drupe.errors import SpecError


class Fruit(NamedTuple):
    id: str
    name: str
    labels: dict[str, str]


FRUITS = [Fruit("0123456789", "plum", {"stone": "yes"}), Fruit("9876543210", "fig", {})]

FRUIT: Listing[Fruit] = Listing(
    columns={
        "ID": Column("FRUIT ID", lambda f, full: shorten(f.id, 5, full=full)),
        "Name": Column("NAME", lambda f, _: f.name),
    },
    table=("ID", "Name"),
    quiet="ID",
    document=lambda f: {"id": f.id, "name": f.name},
    filters={"name": lambda f, value: value in f.name, "id": lambda f, value: f.id == value},
    labels=lambda f: f.labels,
)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    parser = argparse.ArgumentParser()
    listing.add_arguments(parser, FRUIT)
    args = parser.parse_args(arguments)
    listing.show(FRUIT, listing.select(FRUIT, FRUITS, args.filter), args)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "FRUIT ID   NAME\n0123…      plum\n9876…      fig\n"),
        (["--no-trunc"], "FRUIT ID     NAME\n0123456789   plum\n9876543210   fig\n"),
        (["-q"], "0123…\n9876…\n"),
        (["-q", "--no-trunc"], "0123456789\n9876543210\n"),
        (["--format", "{{.Name}}"], "plum\nfig\n"),
        (["--format", "{{ .name }}!"], "plum!\nfig!\n"),
        (["--format", r"{{.Name}}\t{{.ID}}"], "plum\t0123…\nfig\t9876…\n"),
        (
            ["--format", r"table {{.Name}}\t{{.ID}}"],
            "NAME   FRUIT ID\nplum   0123…\nfig    9876…\n",
        ),
        (["--format", "{{json .Name}}"], '"plum"\n"fig"\n'),
        (["--format", '{{.Name}}={{.Label "stone"}}'], "plum=yes\nfig=\n"),
        (["-f", "name=l", "--format", "{{.Name}}"], "plum\n"),
        (["-f", "name=l", "-f", "name=g", "--format", "{{.Name}}"], "plum\nfig\n"),
        (["-f", "name=l", "-f", "id=9876543210", "-q"], ""),
        (["-f", "label=stone", "-q"], "0123…\n"),
        (["-f", "label=stone=no", "-q"], ""),
        (["-f", "label=stone", "-f", "label=leaf", "-q"], ""),
    ],
)
def test_what_is_printed(
    capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert printed(capsys, *arguments) == text


def test_json_is_all_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, "--format", "json"))[1] == {"id": "9876543210", "name": "fig"}
    lines = printed(capsys, "--format", "{{json .}}").splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["plum", "fig"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "{{.Colour}}"], r"format field '\.Colour': no such field"),
        (["--format", "{{.Name.Inner}}"], r"format field '\.Name\.Inner'"),
        (["--format", "{{range .Name}}x{{end}}"], "'plum' is not a list|'NAME' is not a list"),
        (["--format", "{{if .Name}}x"], "'if' has no 'end'"),
        (["--format", "x{{end}}"], "'end' has no beginning"),
        (["--format", "{{shout .Name}}"], "is not understood: there is no 'shout'"),
        (["--format", "{{join .Name}}"], "'NAME' is not a list"),
        (["--format", "{{upper}}"], "function 'upper': not of 0 such values"),
        (["--format", "{{$x}}"], r"format variable '\$x': no such variable"),
        (["--format", "{{(.Name}}"], "is not understood"),
        (["--format", "{{.Name"], "do not match"),
        (["--format", "{{.Name.}}"], "is not understood"),
        (["-f", "colour=red"], "filter 'colour=red': no such key"),
        (["-f", "name"], "filter 'name': it is not KEY=VALUE"),
    ],
)
def test_what_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        printed(capsys, *arguments)


def test_an_unknown_field_is_an_error_where_nothing_is_listed() -> None:
    args = argparse.Namespace(format="{{.Colour}}", quiet=False, no_trunc=False)
    with pytest.raises(SpecError, match="no such field"):
        listing.show(FRUIT, [], args)


def test_a_table_keeps_the_terminal_as_it_is() -> None:
    assert shorten("a\033[2Jb", 10, full=True) == "a?[2Jb"


TREE: dict[str, object] = {
    "State": {"Status": "running", "Health": None},
    "Ports": {"80/tcp": [{"HostPort": "8080"}], "90/tcp": []},
    "Labels": {"a.b": "c"},
    "Args": ["x", "y"],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{.State.Status}}!", "running!"),
        ("{{.state.status}}", "running"),
        ("{{json .Args}}{{json .State.Health}}", '["x", "y"]null'),
        ('{{index .Labels "a.b"}}{{index .Labels "none"}}', "c"),
        ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"),
        ('{{join .Args ", "}} {{len .Args}}', "x, y 2"),
        ("{{range .Args}}<{{.}}>{{end}}", "<x><y>"),
        ("{{range $i, $v := .Args}}{{$i}}{{$v}}{{end}}", "0x1y"),
        (
            "{{range $p, $h := .Ports}}{{$p}}{{range $h}}={{.HostPort}}{{else}}-{{end}} {{end}}",
            "80/tcp=8080 90/tcp- ",
        ),
        ("{{range .Args}}{{$.State.Status}}{{end}}", "runningrunning"),
        ("{{if .State.Health}}a{{else if .Args}}b{{else}}c{{end}}", "b"),
        ("{{with .State}}{{.Status | upper}}{{end}}", "RUNNING"),
        ('{{if eq .State.Status "running" "paused"}}up{{end}}', "up"),
        ("{{if and .Args (not .State.Health)}}{{/* why */}}{{ne 1 2}}{{end}}", "true"),
        ("a {{- .State.Status -}} b", "arunningb"),
        ("{{println .Args}}", '["x", "y"]\n'),
    ],
)
def test_what_templates_make(text: str, expected: str) -> None:
    assert parse_template(text).render(TREE) == expected


_TEXT = st.text(st.characters(exclude_characters="{}\\"))


@given(st.lists(st.one_of(_TEXT, st.just("{{.Value}}"), st.just("{{range .Two}}{{.}}{{end}}"))))
def test_text_stays_as_it_is(parts: list[str]) -> None:
    text = "-" + "".join(parts)
    meant = text.replace("{{.Value}}", "v").replace("{{range .Two}}{{.}}{{end}}", "ab")
    assert parse_template(text).render({"Value": "v", "Two": ["a", "b"]}) == meant


_PIECES = (
    """{{ }} {{- -}} range if with else end . .A .B $ $x := | ( ) , index json join 1 "s" ` table"""
)


@given(st.lists(st.sampled_from(_PIECES.split())).map(" ".join))
def test_actions_are_understood_or_refused(text: str) -> None:
    try:
        parse_template(text).render({"A": {"B": "b"}, "B": ["x"]})
    except SpecError as error:
        assert "failed to" in str(error)  # noqa: PT017


@given(st.text())
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        read = parse_template(text)
    except SpecError:
        return
    assert isinstance(read, Template)
