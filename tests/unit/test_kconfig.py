"""Fragments, profiles, expressions, and the check of a .config against a toy Kconfig tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drupe.errors import KernelConfigError, NotFoundError
from drupe.kconfig import (
    Option,
    allconfig,
    merge,
    parse_dotconfig,
    parse_fragment,
    read_fragment,
    read_profiles,
    verify,
)
from drupe.kconfig.expression import unmet
from drupe.kconfig.profile import find_profile

CONFIGS = Path(__file__).parents[2] / "kernel" / "configs"

names = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True)
values = st.one_of(
    st.sampled_from(["y", "n"]),
    st.integers(-(2**31), 2**31).map(str),
    st.integers(0, 2**64).map(hex),
    st.from_regex(r'"(?:[ !#-\[\]-~]|\\["\\]){0,20}"', fullmatch=True),
)
reasons = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30
).filter(lambda reason: reason.strip("#"))
tables = st.dictionaries(names, st.tuples(values, reasons), max_size=20)


def written(table: dict[str, tuple[str, str]]) -> str:
    return "".join(f"CONFIG_{name}={value}  # {why}\n" for name, (value, why) in table.items())


@settings(deadline=None)
@given(tables)
def test_a_fragment_reads_back_as_written(table: dict[str, tuple[str, str]]) -> None:
    fragment = parse_fragment(f"# a comment\n\n{written(table)}", "toy")
    assert {o.name: o.value for o in fragment.options} == {n: v for n, (v, _) in table.items()}
    assert [o.origin for o in fragment.options] == [
        f"toy.config:{number}" for number in range(3, 3 + len(table))
    ]
    assert all(option.reason for option in fragment.options)


@settings(deadline=None)
@given(tables)
def test_kconfig_reads_what_allconfig_writes(table: dict[str, tuple[str, str]]) -> None:
    options = merge([parse_fragment(written(table), "toy")])
    kept = {name: value for name, (value, _) in table.items() if value != "n"}
    assert parse_dotconfig(allconfig(options)) == kept


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_parses_or_is_refused_by_line(text: str) -> None:
    try:
        fragment = parse_fragment(text, "toy")
    except KernelConfigError as error:
        refusal = error
    else:
        assert len({option.name for option in fragment.options}) == len(fragment.options)
        return
    assert "'toy.config:" in str(refusal)
    assert refusal.hint


@settings(deadline=None)
@given(tables, tables)
def test_merging_succeeds_exactly_where_values_agree(
    one: dict[str, tuple[str, str]], two: dict[str, tuple[str, str]]
) -> None:
    fragments = [parse_fragment(written(one), "one"), parse_fragment(written(two), "two")]
    clash = [name for name in one.keys() & two.keys() if one[name][0] != two[name][0]]
    if clash:
        with pytest.raises(KernelConfigError, match=r"failed to merge 'two': CONFIG_"):
            merge(fragments)
    else:
        assert merge(fragments).keys() == one.keys() | two.keys()


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("CONFIG_A=y", "CONFIG_A has no reason"),
        ("CONFIG_A=y  #  ", "CONFIG_A has no reason"),
        ("CONFIG_A=m  # modules", "is not a fragment line"),
        ("CONFIG_A = y  # spaces", "is not a fragment line"),
        ("CONFIG_A=y# glued", "is not a fragment line"),
        ("A=y  # no prefix", "is not a fragment line"),
        ('CONFIG_A="open  # never closed', "is not a fragment line"),
    ],
)
def test_a_line_of_another_shape_is_refused(line: str, cause: str) -> None:
    with pytest.raises(KernelConfigError, match=rf"failed to parse 'toy.config:2': .*{cause}"):
        parse_fragment(f"\n{line}\n", "toy")


def test_a_symbol_twice_in_a_file_is_refused() -> None:
    text = "CONFIG_A=y # one\nCONFIG_A=y # two\n"
    with pytest.raises(KernelConfigError, match=r"toy.config:2.*already set at toy.config:1"):
        parse_fragment(text, "toy")


def test_a_disagreement_names_both_places() -> None:
    one, two = parse_fragment("CONFIG_A=y # a", "one"), parse_fragment("CONFIG_A=n # b", "two")
    with pytest.raises(KernelConfigError, match=r"y at one.config:1 and n at two.config:1"):
        merge([one, two])


def test_drupes_own_profiles_can_be_read() -> None:
    profiles = read_profiles(CONFIGS)
    assert {"general", "base"} <= profiles.keys()
    for profile in profiles.values():
        assert profile.options()


def test_a_missing_fragment_is_named(tmp_path: Path) -> None:
    (tmp_path / "one.config").write_text("")
    with pytest.raises(NotFoundError, match=r"failed to read fragment 'two'") as caught:
        read_fragment(tmp_path, "two")
    assert caught.value.hint == "known fragments: one"


GOOD = 'description = "x"\nplatform = "um"\nfragments = ["one"]\n'


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (GOOD + "extra = 1", "unknown key 'extra'"),
        (GOOD.replace('platform = "um"\n', ""), "missing key 'platform'"),
        (GOOD.replace('"um"', '"zz"'), "platform is 'zz'"),
        (GOOD.replace('["one"]', "[]"), "fragments is not a list of names"),
        (GOOD.replace('"one"', '"../one"'), "holds a slash"),
        (GOOD.replace('"x"', "3"), "description is not a string"),
    ],
)
def test_a_wrong_profile_is_refused(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "profiles.toml").write_text(f"[toy]\n{text}")
    with pytest.raises(KernelConfigError, match=rf"profile 'toy' .*{cause}"):
        read_profiles(tmp_path)


def test_an_unknown_profile_is_named(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text(f"[toy]\n{GOOD}")
    with pytest.raises(NotFoundError, match="failed to find profile 'no'") as caught:
        find_profile(tmp_path, "no")
    assert caught.value.hint == "known profiles: toy"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("A", []),
        ("B", ["B"]),
        ("A && B && C", ["B", "C"]),
        ("B || C", ["B or C"]),
        ("B || A", []),
        ("!A", ["not A"]),
        ("!(B || C)", []),
        ("!(A || C)", ["not A"]),
        ('NAME="um"', []),
        ("NUMBER > 8", ["NUMBER>8"]),
        ("$(cc-option,-m$(bits)) && B", ["B"]),
        ("A &&", ["A &&"]),
        ("(A", ["(A"]),
    ],
)
def test_unmet_names_what_is_missing(expression: str, expected: list[str]) -> None:
    config = {"A": "y", "NAME": '"um"', "NUMBER": "7"}
    assert unmet(expression, config) == expected


@settings(deadline=None)
@given(st.text(alphabet="AB()!&|=<> \"'$y", max_size=40))
def test_any_expression_ends_in_an_answer(expression: str) -> None:
    assert isinstance(unmet(expression, {"A": "y"}), list)


KCONFIG = """
config TOP
    bool "top"
    help
      if this were read as a block,
      depends on NOTHING

menu "network"
    depends on TOP

if NET

config BRIDGE
    tristate "bridge" if EXPERT
    depends on LLC && \\
        STP # why
    select CRC

endif
endmenu

config CRC
    bool

config CHECKED
    bool "checked"

config FORCER
    def_bool y
    select CHECKED if TOP

source "arch/$(SRCARCH)/Kconfig"
source "missing/Kconfig"
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "Kconfig").write_text(KCONFIG)
    (tmp_path / "arch/um").mkdir(parents=True)
    (tmp_path / "arch/um/Kconfig").write_text('config DEEP\n\thex "deep"\n\tdepends on TOP\n')
    return tmp_path


def check(tree: Path, name: str, value: str, config: dict[str, str]) -> None:
    verify({name: Option(name, value, "why", "toy.config:1")}, config, tree, srcarch="um")


def test_what_is_as_requested_passes(tree: Path) -> None:
    check(tree, "BRIDGE", "y", {"BRIDGE": "y"})
    check(tree, "BRIDGE", "n", {})
    check(tree, "DEEP", "0x10", {"DEEP": "0x0010"})


@pytest.mark.parametrize(
    ("name", "value", "config", "cause"),
    [
        ("BRIDGE", "y", {"TOP": "y"}, "vanished: needs NET, LLC, STP"),
        ("BRIDGE", "y", {"TOP": "y", "NET": "y", "LLC": "y"}, "vanished: needs STP"),
        (
            "BRIDGE",
            "y",
            {"TOP": "y", "NET": "y", "LLC": "y", "STP": "y"},
            "its prompt needs EXPERT",
        ),
        ("CRC", "y", {}, "it has no prompt, it is selected by BRIDGE"),
        ("CHECKED", "n", {"CHECKED": "y", "FORCER": "y", "TOP": "y"}, "selected by FORCER"),
        ("DEEP", "7", {"TOP": "y", "DEEP": "8"}, "became 8: out of range, .*"),
        ("DEEP", "7", {}, "vanished: needs TOP"),
        ("GONE", "y", {}, "no Kconfig file of this kernel defines it"),
    ],
)
def test_a_symbol_that_vanished_is_explained(
    tree: Path, name: str, value: str, config: dict[str, str], cause: str
) -> None:
    with pytest.raises(KernelConfigError, match=rf"CONFIG_{name}={value} \(toy.*{cause}$"):
        check(tree, name, value, config)
