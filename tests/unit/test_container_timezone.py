"""Time zones: which are known, and what a container gets of them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.container import timezone
from drupe.container.timezone import check_timezone, timezone_files
from drupe.errors import SpecError


@pytest.fixture
def zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "zones/Area").mkdir(parents=True)
    (tmp_path / "zones/Area/City").write_bytes(b"TZif2 city")
    (tmp_path / "zones/tab").write_bytes(b"# a table")
    (tmp_path / "zones/large").write_bytes(b"TZif" + bytes(1 << 16))
    (tmp_path / "local").write_bytes(b"TZif2 local")
    monkeypatch.setattr(timezone, "_ZONES", tmp_path / "zones")
    monkeypatch.setattr(timezone, "_LOCAL", tmp_path / "local")
    return tmp_path


def test_a_zone_of_this_host_is_the_containers(zones: Path) -> None:
    assert check_timezone("Area/City") == "Area/City"
    (file,) = timezone_files("Area/City")
    assert (file.path, file.content) == ("/etc/localtime", b"TZif2 city")
    assert timezone_files("local")[0].content == b"TZif2 local"
    assert timezone_files("") == ()


@pytest.mark.parametrize(
    "name", ["Area", "Nowhere/City", "tab", "large", "../local", "Area/../Area/City", "/etc/passwd"]
)
def test_what_is_no_zone_is_refused(zones: Path, name: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_timezone(name)
    assert f"failed to use time zone '{name}': this host knows none" in str(caught.value)


@given(st.text(max_size=20))
def test_any_name_is_known_or_not(name: str) -> None:
    with contextlib.suppress(SpecError):
        check_timezone(name)
