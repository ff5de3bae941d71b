"""From layers to a root: what tar archives say is what a reader of the image finds."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drupe.errors import SpecError
from drupe.image import root, tree
from drupe.image.store import Layer
from tests.erofs_reader import File, read_image

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, content: bytes = b"", **fields: object) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def directory(name: str, mode: int = 0o755) -> Member:
    return member(name, type=tarfile.DIRTYPE, mode=mode)


def symlink(name: str, target: str) -> Member:
    return member(name, type=tarfile.SYMTYPE, linkname=target, mode=0o777)


def link(name: str, target: str) -> Member:
    return member(name, type=tarfile.LNKTYPE, linkname=target)


def archive(*members: Member, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def make(tmp_path: Path, layers: Sequence[bytes], diff_ids: Sequence[str] = ()) -> Path:
    """The root of these layers."""
    image = tmp_path / "root.erofs"
    described = []
    for number, data in enumerate(layers):
        blob = tmp_path / f"layer{number}"
        blob.write_bytes(data)
        diff_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
        diff_id = diff_ids[number] if diff_ids else diff_id
        described.append((blob, Layer("sha256:" + "0" * 64, diff_id, len(data), "")))
    descriptor = os.open(image, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        root.write_root(descriptor, described)
    finally:
        os.close(descriptor)
    return image


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., dict[bytes, File]]:
    """The files in the root of layers, each a tuple of members."""

    def read(*layers: Sequence[Member]) -> dict[bytes, File]:
        image = make(tmp_path, [archive(*layer) for layer in layers])
        if shutil.which("fsck.erofs"):
            subprocess.run(["fsck.erofs", str(image)], check=True, capture_output=True)
        return read_image(image)

    return read


Files = Callable[..., dict[bytes, File]]


def names(found: dict[bytes, File]) -> set[bytes]:
    return set(found) - {b""}


def test_every_kind_of_file(files: Files) -> None:
    found = files(
        [
            directory("./", 0o700),
            directory("d", 0o1777),
            member("d/f", b"content", uid=1, gid=70_000, mode=0o4755, mtime=-5),
            symlink("l", "/absolute/nowhere"),
            member("c", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
            member("b", type=tarfile.BLKTYPE, devmajor=259, devminor=70_000),
            member("p", type=tarfile.FIFOTYPE),
            member("empty"),
        ]
    )
    assert names(found) == {b"d", b"d/f", b"l", b"c", b"b", b"p", b"empty"}
    assert found[b""].mode == stat.S_IFDIR | 0o700
    assert found[b"d"].mode == stat.S_IFDIR | 0o1777
    file = found[b"d/f"]
    assert (file.mode, file.content) == (stat.S_IFREG | 0o4755, b"content")
    assert (file.uid, file.gid, file.mtime_ns) == (1, 70_000, -5_000_000_000)
    assert found[b"l"].content == b"/absolute/nowhere"
    assert (found[b"c"].mode, found[b"c"].device) == (stat.S_IFCHR | 0o666, 0x103)
    assert found[b"b"].device == 70_000 % 256 | 259 << 8 | 70_000 // 256 << 20
    assert stat.S_ISFIFO(found[b"p"].mode)


@pytest.mark.parametrize("size", [0, 1, 4031, 4032, 4033, 4095, 4096, 4097, 8192, 10_000, 3 << 20])
def test_content_of_any_size_is_whole(files: Files, size: int) -> None:
    content = os.urandom(size)
    found = files(
        [member("before", b"x" * 100), member("f", content), member("after", b"y" * 4000)]
    )
    assert found[b"f"].content == content
    assert (found[b"before"].content, found[b"after"].content) == (b"x" * 100, b"y" * 4000)


def test_a_symbolic_link_may_be_as_long_as_linux_allows(files: Files) -> None:
    assert files([symlink("l", "x" * 4095)])[b"l"].content == b"x" * 4095


def test_names_of_any_bytes(files: Files) -> None:
    strange = [b"\xff\xfe", b"new\nline", b"a" * 255, "ü".encode(), b" ", b"back\\slash"]
    found = files([member(os.fsdecode(name), name) for name in strange])
    assert {name: found[name].content for name in strange} == {name: name for name in strange}


def test_paths_longer_than_a_header(files: Files, tmp_path: Path) -> None:
    deep = "/".join(["d" * 200] * 18)
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        image = make(
            tmp_path, [archive(member(f"{deep}/f", b"deep"), link("l", f"{deep}/f"), form=form)]
        )
        found = read_image(image)
        assert found[f"{deep}/f".encode()].content == b"deep"
        assert found[b"l"].links == 2


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_path_that_a_header_cuts_after_a_slash(tmp_path: Path, form: int) -> None:
    """The rule of old archives, a file whose path ends in a slash, is about whole paths."""
    path = f"{'d' * 49}/{'e' * 49}/file"
    found = read_image(make(tmp_path, [archive(member(path, b"content"), form=form)]))
    assert found[path.encode()].content == b"content"


def test_a_directory_of_many_names(files: Files) -> None:
    wanted = {f"{number:05}-{'x' * (number % 60)}".encode() for number in range(3000)}
    assert names(files([member(name.decode()) for name in sorted(wanted, reverse=True)])) == wanted


def test_extended_attributes_and_capabilities(files: Files) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    pax = {
        "SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape"),
        "SCHILY.xattr.user.a": "1",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.unknown.x": "y",
    }
    found = files([member("f", b"x" * 5000, pax_headers=pax)])
    assert found[b"f"].xattrs == {b"security.capability": capability, b"user.a": b"1"}
    assert found[b"f"].content == b"x" * 5000


def test_whiteouts_hide_what_is_below_and_nothing_of_their_own_layer(files: Files) -> None:
    lower = [member("a"), directory("d"), member("d/x"), directory("d/s"), member("d/s/y")]
    assert names(files(lower, [member(".wh.a"), member("d/.wh.s")])) == {b"d", b"d/x"}
    assert names(files(lower, [member("d/new"), member(".wh.d")])) == {b"a", b"d", b"d/new"}
    assert names(files(lower, [member(".wh.d"), member("d/s/new")])) == {
        b"a",
        b"d",
        b"d/s",
        b"d/s/new",
    }
    assert names(files(lower, [member(".wh.nothing"), member("no/.wh.x")])) == names(files(lower))
    assert names(files(lower, [member(".wh..wh.plnk")])) == names(files(lower))
    assert names(files(lower, [member(".wh.a"), member("a", b"2")], [member(".wh.a")])) == {
        b"d", b"d/x", b"d/s", b"d/s/y",
    }  # fmt: skip


@pytest.mark.parametrize("first", [True, False])
def test_an_opaque_directory_hides_what_is_below_wherever_it_is_said(
    files: Files, first: bool
) -> None:
    lower = [directory("d"), member("d/x"), directory("d/s"), member("d/s/y")]
    upper = [directory("d"), member("d/.wh..wh..opq"), member("d/s/new")]
    upper = upper if first else [upper[0], upper[2], upper[1]]
    assert names(files(lower, upper)) == {b"d", b"d/s", b"d/s/new"}


def test_the_last_word_counts(files: Files) -> None:
    found = files(
        [directory("d"), member("d/x"), member("f", b"1" * 5000), member("f", b"2")],
        [member("d", b"now a file"), directory("f", 0o711), member("f/x")],
    )
    assert names(found) == {b"d", b"f", b"f/x"}
    assert found[b"d"].content == b"now a file"
    assert found[b"f"].mode == stat.S_IFDIR | 0o711


def test_a_directory_keeps_its_files_and_takes_new_attributes(files: Files) -> None:
    found = files([directory("d"), member("d/x")], [directory("d", 0o500)])
    assert (names(found), found[b"d"].mode) == ({b"d", b"d/x"}, stat.S_IFDIR | 0o500)


def test_hard_links_across_layers(files: Files) -> None:
    found = files([member("a", b"A")], [link("b", "/a"), link("c", "./b"), symlink("s", "a")])
    assert len({found[name].number for name in (b"a", b"b", b"c")}) == 1
    assert (found[b"a"].links, found[b"s"].links) == (3, 1)
    found = files([member("a", b"A"), link("b", "a")], [member("a", b"new"), link("c", "c/../b")])
    assert (found[b"a"].links, found[b"b"].links, found[b"b"].content) == (1, 2, b"A")
    found = files([member("a", b"A"), link("b", "a"), link("a", "a")], [member(".wh.a")])
    assert (names(found), found[b"b"].links) == ({b"b"}, 1)


@pytest.mark.parametrize("target", ["nowhere", "b", "d", "", "d/../..", "a/x"])
def test_a_hard_link_to_what_is_not_there_is_refused(files: Files, target: str) -> None:
    with pytest.raises(SpecError, match=r"hard link to|leads out"):
        files([directory("d"), member("a"), link("b", target)])


def test_links_in_a_circle_are_refused(files: Files) -> None:
    with pytest.raises(SpecError, match="'a': it is a hard link to 'b', which is not there"):
        files([link("a", "b"), link("b", "a")])
    with pytest.raises(SpecError, match="what it lies in is not a directory"):
        files([symlink("a", "b"), symlink("b", "a"), member("a/x")])
    with pytest.raises(SpecError, match="what it lies in is not a directory"):
        files([symlink("a", "a/a/a"), member("a/x")])


def test_files_go_through_symbolic_links_and_never_out(files: Files) -> None:
    found = files(
        [
            directory("usr/lib"),
            symlink("lib", "usr/lib"),
            symlink("up", "../../../../usr"),
            symlink("gone", "/made/anew"),
        ],
        [member("lib/x"), member("up/lib/y"), member("gone/z"), member("lib/../a")],
    )
    assert {b"usr/lib/x", b"usr/lib/y", b"made/anew/z", b"a"} <= names(found)
    assert stat.S_ISLNK(found[b"lib"].mode)


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/../x", "a/b/../../../etc/passwd"])
def test_a_path_that_leads_out_is_refused(files: Files, path: str) -> None:
    with pytest.raises(SpecError, match=re.escape(f"'{path}' leads out of it")):
        files([member(path)])


def test_a_file_in_a_file_is_refused(files: Files) -> None:
    with pytest.raises(SpecError, match="'a/b': what it lies in is not a directory"):
        files([member("a"), member("a/b")])


def test_a_path_too_deep_is_refused(files: Files) -> None:
    with pytest.raises(SpecError, match="more than 512 directories deep"):
        files([member("a/" * 600 + "x")])


def test_sparse_files_keep_their_holes(tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("needs GNU tar")
    source = tmp_path / "source"
    source.mkdir()
    for name, size in (("small", 1 << 20), ("large", 1 << 32), ("hole", 12345)):
        with (source / name).open("wb") as file:
            for at in (0, 5000, 700_001) if name != "hole" else ():
                file.seek(at)
                file.write(b"data at %d" % at)
            file.truncate(size)
    versions = ("0.0", "0.1", "1.0")
    for form in ["--format=gnu"] + [f"--format=pax --sparse-version={v}" for v in versions]:
        argv = ["tar", "-S", *form.split(), "-C", str(source), "-c", "small", "hole"]
        found = read_image(make(tmp_path, [subprocess.run(argv, check=True, stdout=-1).stdout]))
        for name in ("small", "hole"):
            assert found[name.encode()].content == (source / name).read_bytes(), form
            assert found[name.encode()].holes, form
    argv = ["tar", "-S", "-C", str(source), "-c", "large"]
    image = make(tmp_path, [subprocess.run(argv, check=True, stdout=-1).stdout])
    assert image.stat().st_blocks * 512 < 4 << 20


def test_what_was_replaced_takes_no_room(tmp_path: Path) -> None:
    large = os.urandom(1 << 20)
    image = make(
        tmp_path, [archive(member("f", large), member("g", large)), archive(member(".wh.f"))]
    )
    assert read_image(image)[b"g"].content == large
    taken = image.stat().st_blocks * 512
    if taken > 2 << 20:
        pytest.skip("this file system has no holes")
    assert taken < 3 << 19


def test_a_layer_that_is_not_what_it_should_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"it unpacks to sha256:.*, and should to sha256:00"):
        make(tmp_path, [archive(member("a"))], ["sha256:" + "0" * 64])


def header(**fields: object) -> bytes:
    """A header with fields that no archiver would write, and nothing behind it."""
    info, _ = member("x")
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def extended(records: bytes) -> bytes:
    """An archive with these bytes as an extended header."""
    return archive(
        member("x", records, type=tarfile.XHDTYPE), member("f"), form=tarfile.USTAR_FORMAT
    )


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda data: data[:700], "it ends in the middle"),
        (lambda data: data[:148] + b"x" * 2000, "for a number"),
        (lambda data: data[:20] + b"Z" + data[21:], "checksum is wrong"),
        (lambda _: header(size=1 << 57), f"'x' has {1 << 57} bytes"),
        (lambda _: header(size=1 << 40), "it ends in the middle"),
        (lambda _: header(size=1 << 45), "larger than 16 TiB"),
        (lambda _: header(uid=-1), "'x' belongs to -1:0"),
        (lambda _: header(type=b"M"), "is of an unknown type, b'M'"),
        (lambda _: extended(b"x path=a\n"), "has b'x' for a number"),
        (lambda _: extended(b"9 path=a\n" * 2 + b"15"), "an extended header is spoilt"),
        (lambda _: extended(b"99 path=a\n"), "an extended header is spoilt"),
        (lambda _: extended(b"3 =\n"), "an extended header is spoilt"),
    ],
)
def test_a_spoilt_archive_is_refused(
    tmp_path: Path, spoil: Callable[[bytes], bytes], cause: str
) -> None:
    with pytest.raises(SpecError, match=cause):
        make(tmp_path, [spoil(archive(member("a", b"x" * 600)))])


def test_too_many_files_are_refused(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "ENTRIES_MOST", 10)
    with pytest.raises(SpecError, match="more than 10 files"):
        files([member(str(number)) for number in range(11)])


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("drupe.image.erofs.os.pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        make(tmp_path, [archive(member("a"))])


NAME = st.sampled_from(["a", "b", "c"])
PATH = st.lists(NAME, min_size=1, max_size=3).map("/".join)
STEP = st.one_of(
    st.tuples(st.just("file"), PATH, st.binary(max_size=3)),
    st.tuples(st.just("dir"), PATH, st.just(b"")),
    st.tuples(st.just("whiteout"), PATH, st.just(b"")),
    st.tuples(st.just("opaque"), PATH, st.just(b"")),
)


_HIDING = {"whiteout", "opaque"}


def expected(layers: Sequence[Sequence[tuple[str, str, bytes]]]) -> dict[str, bytes | None] | None:
    """What layers make, by a model of paths: None for an archive that must be refused."""
    state: dict[str, bytes | None] = {}
    for layer in layers:
        # What a layer hides is hidden before it adds: the order within it must not matter.
        for kind, path, _ in layer:
            hidden = path + "/" if kind == "opaque" else path
            if kind in _HIDING:
                parent = path if kind == "opaque" else path.rpartition("/")[0]
                if parent and state.get(parent, b"") is not None:
                    continue
                for name in [
                    n for n in state if n == hidden or f"{n}/".startswith(f"{hidden.rstrip('/')}/")
                ]:
                    if name != path or kind == "whiteout":
                        del state[name]
        for kind, path, content in layer:
            if kind in _HIDING:
                continue
            parts = path.split("/")
            for depth in range(1, len(parts)):
                above = "/".join(parts[:depth])
                if state.get(above) is not None:
                    return None
                state[above] = None
            if kind == "file":
                for name in [n for n in state if n.startswith(f"{path}/")]:
                    del state[name]
            elif state.get(path) is None:
                state[path] = None
                continue
            state[path] = content if kind == "file" else None
    return state


@settings(max_examples=200, deadline=None)
@given(layers=st.lists(st.lists(STEP, max_size=5), max_size=3))
def test_layers_make_what_a_model_of_them_makes(
    tmp_path_factory: pytest.TempPathFactory, layers: list[list[tuple[str, str, bytes]]]
) -> None:
    def as_member(kind: str, path: str, content: bytes) -> Member:
        parent, slash, name = path.rpartition("/")
        if kind == "dir":
            return directory(path)
        if kind == "file":
            return member(path, content)
        return member(
            f"{parent}{slash}.wh.{name}" if kind == "whiteout" else f"{path}/.wh..wh..opq"
        )

    # A file in the way must have been hidden before something comes to lie below its name.
    layers = [sorted(layer, key=lambda step: step[0] not in _HIDING) for layer in layers]
    wanted = expected(layers)
    data = [archive(*(as_member(*step) for step in layer)) for layer in layers]
    tmp_path = tmp_path_factory.mktemp("model")
    if wanted is None:
        with pytest.raises(SpecError, match="not a directory"):
            make(tmp_path, data)
        return
    found = read_image(make(tmp_path, data))
    contents = {
        name.decode(): None if stat.S_ISDIR(file.mode) else file.content
        for name, file in found.items()
        if name
    }
    assert contents == wanted


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_spoilt_archive_is_an_image_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    pax = {"SCHILY.xattr.user.a": "1", "path": "longer" * 30}
    whole = bytearray(
        archive(member("a", b"x" * 600, pax_headers=pax), symlink("b", "a"), link("c", "b"))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    for start in range(0, len(whole), 512):  # else nearly all would be refused for their checksum
        block = bytes(whole[start : start + 512])
        if data.draw(st.booleans()) and block[257:262] == b"ustar":
            total = sum(block) - sum(block[148:156]) + 256
            whole[start + 148 : start + 156] = b"%06o\0 " % total
    try:
        read_image(make(tmp_path_factory.mktemp("spoilt"), [bytes(whole)]))
    except SpecError as error:
        assert re.match("failed to (read layer|make an image)", str(error))  # noqa: PT017
