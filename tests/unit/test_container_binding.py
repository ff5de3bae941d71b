"""What users write of volumes, in docker's two notations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.container.binding import (
    Volume,
    first_of_each,
    image_volumes,
    parse_lender,
    parse_mount,
    parse_mounts,
    parse_volume,
    resolve_volume,
)
from drupe.errors import SpecError

components = st.text("ab._ -é", min_size=1, max_size=4).filter(lambda part: part not in {".", ".."})
paths = st.lists(components, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.text("ab/._ ", min_size=1), paths, st.sampled_from(["", ":ro", ":rw"]))
def test_a_volume_is_read(source: str, target: str, mode: str) -> None:
    volume = parse_volume(f"{source}:{target}{mode}")
    assert (volume.target, volume.readonly) == (target, mode == ":ro")
    if "/" in source or source in {".", ".."}:
        assert (volume.source, volume.name, volume.seeded) == (source, "", False)
    else:
        assert (volume.source, volume.name, volume.seeded) == ("", source, True)


@given(st.text("ab/.:ro,", max_size=14))
def test_a_volume_has_a_clean_target_or_is_refused(text: str) -> None:
    try:
        volume = parse_volume(text)
    except SpecError as error:
        assert str(error).startswith(f"failed to use volume '{text}': ")  # noqa: PT017
        return
    assert volume.target.startswith("/")
    assert not {"", ".", ".."} & set(volume.target[1:].split("/"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/v", Volume("", "/v", seeded=True)),
        ("name:/v:nocopy,ro", Volume("", "/v", readonly=True, name="name")),
        ("./x:/v:noexec,z", Volume("./x", "/v", noexec=True)),
        ("/x:/v:nosuid", Volume("/x", "/v", guarded=True)),
        ("..:/v:rw,rprivate", Volume("..", "/v")),
    ],
)
def test_a_volume_has_options(text: str, wanted: Volume) -> None:
    assert parse_volume(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not HOST:GUEST"),
        (":/a", "not HOST:GUEST"),
        ("/a:b", "not HOST:GUEST"),
        ("/a:/b:rx", "no option 'rx'"),
        ("/a:/b:ro:ro", "no option 'ro:ro'"),
        ("/a:/", "'/' cannot be a mount point"),
        ("/a:/./", "'/./' cannot be a mount point"),
        ("/a:/b/../c", "'/b/../c' cannot be a mount point"),
        ("/dev/shm", "'/dev/shm' cannot be a mount point"),
    ],
)
def test_a_wrong_volume_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=f"failed to use volume '{text}': {message}"):
        parse_volume(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("type=bind,source=/x,target=/v,readonly", Volume("/x", "/v", readonly=True)),
        ("type=bind,src=x,dst=/v,ro=false", Volume("x", "/v")),
        ("src=name,destination=/v", Volume("", "/v", name="name", seeded=True)),
        ("type=volume,dst=/v,volume-nocopy", Volume("", "/v")),
        ("type=tmpfs,dst=/v,tmpfs-size=1m,tmpfs-mode=700,ro", "/v:size=1m,mode=700,ro"),
    ],
)
def test_a_mount_says_the_same(text: str, wanted: Volume | str) -> None:
    assert parse_mount(text) == wanted


@given(st.text("typebindsrc=/v,o", max_size=30))
def test_a_mount_is_read_or_refused(text: str) -> None:
    try:
        parse_mount(text)
    except SpecError as error:
        assert str(error).startswith(f"failed to use mount '{text}': ")  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type=bind,dst=/v", "no such type, or not such a source"),
        ("type=npipe,src=/x,dst=/v", "no such type, or not such a source"),
        ("type=volume,src=a/b,dst=/v", "no such type, or not such a source"),
        ("type=bind,src=/x", "'' cannot be a mount point"),
        ("type=bind,src=/x,dst=/v,colour=red", "no field 'colour=red'"),
    ],
)
def test_a_wrong_mount_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=f"failed to use mount '{text}': {message}"):
        parse_mount(text)


def test_two_at_one_place_are_refused_and_outer_ones_come_first() -> None:
    with pytest.raises(SpecError, match="two have the target '/v'"):
        parse_mounts(["a:/v"], ["type=bind,src=/x,dst=/v/"])
    mounts = parse_mounts(["a:/v/w/x", "b:/v"], ["type=tmpfs,dst=/t"])
    assert [volume.name for volume in mounts.volumes] == ["b", "a"]
    assert mounts.tmpfs == ("/t:",)


def test_what_an_image_says_may_be_hostile() -> None:
    hostile = ("/data/", "data", "/a/../b", "/proc/x", "/", "/data", "/e")
    assert image_volumes(hostile) == [
        Volume("", "/data", seeded=True), Volume("", "/e", seeded=True),
    ]  # fmt: skip


def test_the_first_for_a_place_counts() -> None:
    one, other, there = Volume("/x", "/v"), Volume("", "/v", seeded=True), Volume("", "/w")
    assert first_of_each([one, other, there], []) == [one, there]
    assert first_of_each([one, other, there], ["/v"]) == [there]


def test_a_volume_without_a_name_gets_one_of_its_own() -> None:
    one, other = (resolve_volume(Volume("", "/v", seeded=True)) for _ in range(2))
    assert one.anonymous
    assert len({one.name, other.name, ""}) == 3
    assert one.source.endswith(f"/volumes/{one.name}/_data")
    assert resolve_volume(one) == one
    named = resolve_volume(Volume("", "/v", name="n"))
    assert (named.name, named.anonymous) == ("n", False)
    with pytest.raises(SpecError, match="failed to use volume '-n': not a volume's name"):
        resolve_volume(Volume("", "/v", name="-n"))


@pytest.mark.parametrize(("text", "wanted"), [("a", ("a", False)), ("a:ro", ("a", True))])
def test_a_lender_is_named(text: str, wanted: tuple[str, bool]) -> None:
    assert parse_lender(text) == wanted


@pytest.mark.parametrize("text", ["", ":ro", "a:b", "a:ro:ro"])
def test_a_wrong_lender_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=f"failed to use volumes of '{text}': not CONTAINER"):
        parse_lender(text)
