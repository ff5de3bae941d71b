"""What users write of a container: names, sizes, variables, volumes; and how it is kept."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drupe.container.binding import Volume
from drupe.container.spec import (
    MEMORY_LEAST_BYTES,
    MEMORY_MOST_BYTES,
    ContainerSpec,
    check_hostname,
    check_name,
    parse_memory,
    parse_variable,
)
from drupe.errors import SpecError, StateError
from drupe.store.schema import decode, encode
from tests.fakes.specs import make_spec

SPEC = make_spec("0" * 64, "test")
MIB = 1 << 20


def read(value: object) -> ContainerSpec:
    return decode(ContainerSpec, value, "a container")


REQUIRED = sorted(set(ContainerSpec._fields) - set(ContainerSpec._field_defaults))

# Memory


@given(
    st.integers(0, 10**13),
    st.sampled_from([("", 0), ("b", 0), ("k", 10), ("m", 20), ("g", 30)]),
    st.booleans(),
    st.booleans(),
)
def test_memory_is_read(number: int, unit: tuple[str, int], upper: bool, more: bool) -> None:
    text = f"{number}{unit[0]}{'b' * (more and unit[1] > 0)}"
    size = number << unit[1]
    if MEMORY_LEAST_BYTES <= size <= MEMORY_MOST_BYTES:
        got = parse_memory(text.upper() if upper else text)
        assert got % MIB == 0
        assert size <= got < size + MIB
    else:
        with pytest.raises(SpecError, match=f"failed to use memory '{text}': {size} bytes"):
            parse_memory(text)


@given(st.text(max_size=10) | st.text("0123456789kmgb. -", max_size=6))
@example("99999999bb")
@example("")
@example("-1")
@example("1.5g")
@example("9" * 400 + "g")
def test_memory_is_a_size_or_refused(text: str) -> None:
    with contextlib.suppress(SpecError):
        assert MEMORY_LEAST_BYTES <= parse_memory(text) <= MEMORY_MOST_BYTES
        assert not text.lower().endswith("bb")


# Variables

names = st.text(min_size=1).filter(lambda name: not {"=", "\0"} & set(name))


@given(names, st.text())
def test_a_variable_is_split_at_the_first_equals_sign(name: str, value: str) -> None:
    assert parse_variable(f"{name}={value}", {}) == (name, value)
    assert parse_variable(f"{name}={value}", {name: "other"}) == (name, value)


@given(names, st.text())
def test_a_variable_without_a_value_is_the_callers(name: str, value: str) -> None:
    assert parse_variable(name, {name: value}) == (name, value)
    assert parse_variable(name, {}) is None


@pytest.mark.parametrize("text", ["", "=", "=value", "a\0b=c"])
def test_a_variable_has_a_name(text: str) -> None:
    with pytest.raises(SpecError, match=r"failed to use variable '.*': no name"):
        parse_variable(text, {"": "x"})


# Names


@given(st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}", fullmatch=True))
def test_names_pass(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", ".", "..", "a/b", "a\n", "é", "a" * 64, "a b", "a\0"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="failed to use name '"):
        check_name(name)


@given(st.text(max_size=70))
def test_a_name_is_safe_as_a_file_name(name: str) -> None:
    with contextlib.suppress(SpecError):
        assert check_name(name).isascii()
        assert "/" not in name
        assert not name.startswith((".", "-"))


@pytest.mark.parametrize("name", ["a", "a.b-c", "a" * 64, "0"])
def test_host_names_pass(name: str) -> None:
    assert check_hostname(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", ".a", "a" * 65, "a_b", "a\n", "é"])
def test_other_host_names_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="failed to use host name '"):
        check_hostname(name)


# Kept as JSON

raw = st.text(
    st.characters(codec="ascii") | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
)


@given(
    st.builds(
        SPEC._replace,
        args=st.lists(raw, max_size=4).map(tuple),
        env=st.dictionaries(raw, raw, max_size=4),
        groups=st.lists(raw, max_size=3).map(tuple),
        volumes=st.lists(st.builds(Volume, raw, raw, st.booleans()), max_size=3).map(tuple),
        image=st.none() | raw,
        rootfs=st.none() | raw,
        labels=st.dictionaries(raw, raw, max_size=2),
        remove=st.booleans(),
        created_ns=st.integers(0, 1 << 63),
    )
)
def test_a_specification_survives_json(spec: ContainerSpec) -> None:
    assert read(json.loads(json.dumps(encode(spec)))) == spec


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(StateError, match=r"failed to read a container: unknown keys \['colour'\]"):
        read({**encode(SPEC), "colour": "red"})


def test_an_unknown_key_of_a_volume_is_refused_by_name() -> None:
    volume = {"source": "/a", "target": "/b", "colour": "red"}
    with pytest.raises(StateError, match=r"failed to read a container: .*colour"):
        read({**encode(SPEC), "volumes": [volume]})


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_refused_by_name(key: str) -> None:
    value = {k: v for k, v in encode(SPEC).items() if k != key}
    with pytest.raises(StateError, match=f"failed to read a container: .*{key}"):
        read(value)


@pytest.mark.parametrize(("key", "value"), [("args", None), ("volumes", 1), ("volumes", ["x"])])
def test_a_wrong_kind_of_value_is_refused(key: str, value: object) -> None:
    with pytest.raises(StateError, match="failed to read a container: "):
        read({**encode(SPEC), key: value})
