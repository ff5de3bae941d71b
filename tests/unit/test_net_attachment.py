"""How a container is on a named network: docker's notation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.errors import SpecError
from drupe.net.attachment import JOINED_MOST, add_attachment, add_options, parse_attachment
from drupe.net.config import Attachment


def test_a_name_or_more() -> None:
    assert parse_attachment("fruit") == Attachment("fruit")
    text = "name=fruit,alias=a,ip=192.0.2.7,alias=b.c,ip6=2001:db8::7,mac-address=02:00:5E:10:00:01"
    whole = Attachment("fruit", ("a", "b.c"), "192.0.2.7", "2001:db8::7", "02:00:5e:10:00:01")
    assert parse_attachment(text) == whole


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("alias=a", "it has no name"),
        ("name=", "not 'name='"),
        ("name=x,", "not ''"),
        ("name=x,fruit", "not 'fruit'"),
        ("name=x,mtu=1500", "not 'mtu=1500'"),
        ("name=x,name=y", "'name' is said twice"),
        ("name=x,ip=192.0.2.1,ip=192.0.2.1", "'ip' is said twice"),
        ("name=x,ip=192.0.2", "'192.0.2' is not an address"),
        ("name=x,ip=::1", "of the other IP version"),
        ("name=x,alias=a b", "not the name of a host"),
        ("name=x,mac-address=01:00:5e:10:00:01", "not six bytes, or of a group"),
    ],
)
def test_what_is_none(text: str, cause: str) -> None:
    with pytest.raises(SpecError, match=cause):
        parse_attachment(text)


@given(st.text(alphabet="name=alisp6,:.0 x\n", max_size=40))
def test_any_text_is_one_or_refused(text: str) -> None:
    try:
        one = parse_attachment(text)
    except SpecError:
        return
    assert "=" not in text or one.name
    assert not any("\n" in alias or " " in alias for alias in one.aliases)


def test_what_is_said_elsewhere_comes_on_top() -> None:
    one = add_options(Attachment("x", ("a",)), "192.0.2.1", None, ("b",))
    assert one == Attachment("x", ("a", "b"), "192.0.2.1")
    with pytest.raises(SpecError, match=r"it has '192\.0\.2\.1' already"):
        add_options(one, "192.0.2.2", None)


def test_networks_are_several_but_not_the_same() -> None:
    joined: list[Attachment] = []
    for number in range(JOINED_MOST):
        joined = add_attachment(joined, Attachment(str(number)))
    with pytest.raises(SpecError, match="the container is on it already"):
        add_attachment(joined[:2], Attachment("1"))
    with pytest.raises(SpecError, match="a container is on 7 at most"):
        add_attachment(joined, Attachment("x"))
