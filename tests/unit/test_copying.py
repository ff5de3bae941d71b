"""Copies to and from containers: docker's rules, and streams of hostile guests."""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.container import files
from drupe.container.copying import copy_in, copy_out, stream_in, stream_out
from drupe.container.packing import pack
from drupe.container.record import Record
from drupe.container.start import launched
from drupe.container.store import Store
from drupe.container.unpacking import LeftOut, leads_out, unpack
from drupe.errors import DrupeError, GuestError, HostError, NotFoundError, SpecError
from tests.conftest import Home
from tests.fakes.platform import FakePlatform
from tests.fakes.specs import make_spec
from tests.unit.test_guest_files import archive, fill, member, needs_root, snapshot


@pytest.fixture
def container(private_home: Home, no_leaks: None, fake_guest: Path) -> Iterator[Record]:
    """A container whose root is that of this host: the fake guest's."""
    store = Store()
    values = {"kernel": str(fake_guest), "args": ("sleep", "1000"), "env": {"PATH": "/bin"}}

    def make(container_id: str, name: str) -> object:
        return make_spec(container_id, name, **values)

    with launched(store, "web", make, detached=True, platform=FakePlatform()) as (record, _):  # type: ignore[arg-type]
        pass
    yield record
    store.remove(record, force=True)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def tree(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*")}


@pytest.mark.parametrize("way", ["in", "out"])
@pytest.mark.parametrize(
    ("source", "destination", "made"),
    [
        ("file", "", "file"),
        ("file", "/", "file"),
        ("file", "/new", "new"),
        ("file", "/old", "old"),
        ("file", "/dir", "dir/file"),
        ("file", "/dir/", "dir/file"),
        ("file", "/link", "dir/file"),
        ("sub", "", "sub/inner"),
        ("sub/", "", "sub/inner"),
        ("sub", "/new", "new/inner"),
        ("sub", "/new/", "new/inner"),
        ("sub", "/dir", "dir/sub/inner"),
        ("sub/.", "", "inner"),
        ("sub/.", "/new", "new/inner"),
        ("sub/.", "/dir", "dir/inner"),
        (".", "/dir", "dir/sub/inner"),
    ],
)
def test_dockers_rules(
    container: Record,
    here: Path,
    there: Path,
    way: str,
    source: str,
    destination: str,
    made: str,
) -> None:
    (here / "file").write_text("file")
    (here / "sub").mkdir()
    (here / "sub/inner").write_text("inner")
    (there / "old").write_text("old, and longer")
    (there / "dir").mkdir()
    (there / "link").symlink_to("dir")
    before = tree(there)
    if way == "in":
        copy_in(container, f"{here}/{source}", f"{there}{destination}")
    else:
        copy_out(container, f"{here}/{source}", f"{there}{destination}")
    assert (there / made).read_text() == ("file" if source == "file" else "inner")
    added = tree(there) - before
    assert all(path in made or source == "." for path in added), added


@pytest.mark.parametrize("way", ["in", "out"])
@pytest.mark.parametrize(
    ("source", "destination", "error", "message"),
    [
        ("none", "", NotFoundError, "none': [Nn]o such file"),
        ("file/", "", DrupeError, "file/': ([Nn]o such file|Not a directory)"),
        ("file", "/no/new", NotFoundError, "[Nn]o such"),
        ("file", "/no/", NotFoundError, "no such directory"),
        ("sub", "/no/new", NotFoundError, "[Nn]o such"),
        ("sub", "/old", SpecError, "a directory cannot replace a file"),
        ("file", "/blocked", DrupeError, "failed to (replace|make) .*sub.*|[Ii]s a directory"),
    ],
)
def test_what_does_not_go_together(
    container: Record,
    here: Path,
    there: Path,
    way: str,
    source: str,
    destination: str,
    error: type[DrupeError],
    message: str,
) -> None:
    (here / "file").write_text("file")
    (here / "sub").mkdir()
    (there / "old").write_text("old")
    (there / "blocked/file").mkdir(parents=True)
    copy = copy_in if way == "in" else copy_out
    with pytest.raises(error, match=message):
        copy(container, f"{here}/{source}", f"{there}{destination}")
    assert tree(there) == {"old", "blocked", "blocked/file"}


@pytest.mark.parametrize("way", ["in", "out"])
def test_a_tree_arrives_as_it_is(container: Record, here: Path, there: Path, way: str) -> None:
    fill(here)
    if way == "in":
        copy_in(container, here, f"{there}/copy", archive=True)
    else:
        (here / "fifo").unlink()
        assert copy_out(container, str(here), there / "copy", archive=True) == LeftOut(0, 0)
    assert snapshot(there / "copy") == snapshot(here)


def test_of_a_container_comes_no_more_than_data(container: Record, here: Path, there: Path) -> None:
    fill(here)
    (here / "absolute").symlink_to("/etc/passwd")
    (here / "up").symlink_to("../../x")
    assert copy_out(container, str(here), there / "copy") == LeftOut(2, 1)
    assert stat.S_IMODE((there / "copy/modes/4755").stat().st_mode) == 0o755
    assert stat.S_IMODE((there / "copy/modes").stat().st_mode) == 0o777
    assert {"fifo", "absolute", "up"}.isdisjoint(tree(there / "copy"))


@pytest.mark.parametrize("way", ["in", "out"])
def test_links_are_followed_if_asked(container: Record, here: Path, there: Path, way: str) -> None:
    (here / "file").write_text("file")
    (here / "link").symlink_to("file")
    copy = copy_in if way == "in" else copy_out
    copy(container, str(here / "link"), str(there / "a"))
    assert (there / "a").readlink() == Path("file")
    copy(container, str(here / "link"), str(there / "b"), follow=True)
    assert (there / "b").read_text() == "file"
    assert not (there / "b").is_symlink()


def test_a_link_alone_that_leads_elsewhere_is_refused(
    container: Record, here: Path, there: Path
) -> None:
    (here / "link").symlink_to("/etc/passwd")
    with pytest.raises(SpecError, match="it is a link to '/etc/passwd'") as caught:
        copy_out(container, str(here / "link"), there)
    assert "-L" in str(caught.value.hint)


def test_streams(container: Record, here: Path, there: Path) -> None:
    (here / "file").write_text("file")
    stream = b"".join(stream_out(container, str(here)))
    with tarfile.open(fileobj=io.BytesIO(stream)) as tar:
        assert tar.getnames() == ["here", "here/file"]
    stream_in(container, [stream[:700], stream[700:]], str(there), archive=False)
    assert tree(there) == {"here", "here/file"}
    with pytest.raises(GuestError, match="failed to read the archive: it ends too early"):
        stream_in(container, [stream[:700]], str(there), archive=False)
    with pytest.raises(NotFoundError, match=f"failed to open 'web:{there}/none'"):
        stream_in(container, [stream], f"{there}/none", archive=False)


def test_single_files(container: Record, there: Path) -> None:
    path = str(there / "file")
    files.write(container, path, [b"one ", b"two"], 0o640)
    out = bytearray()
    files.read(container, path, out.extend)
    assert out == b"one two"
    info = files.stat(container, path)
    assert (info.name, info.size, info.is_file) == (path, 7, True)
    assert stat.S_IMODE(info.mode) == 0o640
    assert files.find(container, f"{path}/below") is None
    files.make_directory(container, f"{there}/a/b", mode=0o700, parents=True)
    assert [(i.name, i.is_dir) for i in files.list_directory(container, str(there))] == [
        ("a", True),
        ("file", False),
    ]
    with pytest.raises(GuestError, match=f"failed to remove 'web:{there}/a': .*not empty"):
        files.remove(container, f"{there}/a", recursive=False)
    files.remove(container, f"{there}/a", recursive=True)
    assert tree(there) == {"file"}
    with pytest.raises(GuestError, match="no writable layer"):
        list(files.changes(container))


def test_a_sink_that_fails_ends_the_service(container: Record) -> None:
    def full(_: bytes) -> None:
        raise HostError("disk full")

    with pytest.raises(HostError, match="disk full"):
        files.read(container, "/dev/zero", full)


# Streams of hostile guests


def taken(stream: bytes, directory: Path, name: str | None = "top", **options: bool) -> LeftOut:
    options.setdefault("archive", False)
    return unpack(iter([stream]), directory, name, **options)


_DIRECTORY = (member("top", tarfile.DIRTYPE), b"")


@pytest.mark.parametrize(
    "members",
    [
        [(member("other"), b"")],
        [(member("/etc/passwd"), b"")],
        [(member("../top"), b"")],
        [(member("top/../../x"), b"")],
        [_DIRECTORY, (member("top/h", tarfile.LNKTYPE, linkname="../secret"), b"")],
        [_DIRECTORY, (member("top/h", tarfile.LNKTYPE, linkname="/etc/passwd"), b"")],
        [_DIRECTORY, (member("top/h", tarfile.LNKTYPE, linkname="secret"), b"")],
        [_DIRECTORY, (member("top/h", tarfile.LNKTYPE, linkname="top/h"), b"")],
        [_DIRECTORY, (member("top/h", tarfile.LNKTYPE, linkname="./"), b"")],
    ],
    ids=lambda members: members[-1][0].name + members[-1][0].linkname,
)
def test_no_name_leads_elsewhere(here: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    secret = here.parent / "secret"
    secret.write_text("secret")
    with pytest.raises(GuestError, match="broke the protocol"):
        taken(archive(*members), here)
    assert tree(here) <= {"top"}
    assert secret.stat().st_nlink == 1


@pytest.mark.parametrize("archived", [False, True])
def test_nothing_is_written_through_a_link(here: Path, archived: bool) -> None:
    outside = here.parent / "outside"
    outside.mkdir()
    stream = archive(
        _DIRECTORY,
        (member("top/l", tarfile.SYMTYPE, linkname=str(outside)), b""),
        (member("top/l/x"), b"x"),
    )
    if archived:
        with pytest.raises(HostError, match=r"top/l/x': Not a directory"):
            taken(stream, here, archive=True)
    else:
        assert taken(stream, here) == LeftOut(1, 0)
        assert (here / "top/l/x").read_text() == "x"
    assert tree(outside) == set()


def test_nothing_is_written_through_a_link_that_was_there(here: Path) -> None:
    outside = here.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("old")
    (here / "top").mkdir()
    (here / "top/l").symlink_to(outside)
    (here / "top/f").symlink_to(outside / "file")
    with pytest.raises(HostError, match="Not a directory"):
        taken(archive(_DIRECTORY, (member("top/l/x"), b"x")), here)
    assert taken(archive(_DIRECTORY, (member("top/f"), b"new")), here) == LeftOut(0, 0)
    assert (outside / "file").read_text() == "old"
    assert (here / "top/f").read_text() == "new"


def test_a_hard_link_to_a_link_stays_one(here: Path) -> None:
    stream = archive(
        _DIRECTORY,
        (member("top/l", tarfile.SYMTYPE, linkname="x"), b""),
        (member("top/h", tarfile.LNKTYPE, linkname="top/l"), b""),
        (member("top/h"), b"data"),
        (member("top/gone", tarfile.LNKTYPE, linkname="top/none"), b""),
    )
    assert taken(stream, here) == LeftOut(0, 1)
    assert (here / "top/h").read_text() == "data"
    assert not (here / "top/x").exists()


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_never_made(here: Path, kind: bytes) -> None:
    node = member("top/n", kind, devmajor=1, devminor=1)
    assert taken(archive(_DIRECTORY, (node, b"")), here, archive=True) == LeftOut(0, 1)
    assert tree(here) == {"top"}


def test_a_broken_stream_is_refused(here: Path) -> None:
    whole = archive(_DIRECTORY, (member("top/f"), b"x" * 2000))
    with pytest.raises(SpecError, match="failed to read what the container sent"):
        taken(whole[:1800], here)
    with pytest.raises(SpecError, match="a header has"):
        taken(b"x" * 512, here)
    with pytest.raises(HostError, match="Is a directory"):
        taken(archive(_DIRECTORY, (member("top"), b"")), here)


@needs_root
def test_owners_are_the_callers_unless_asked(here: Path) -> None:
    stream = archive(_DIRECTORY, (member("top/f", uid=1234, gid=99, mode=0o6755), b"x"))
    taken(stream, here)
    at = (here / "top/f").stat()
    assert (at.st_uid, at.st_gid, stat.S_IMODE(at.st_mode)) == (os.getuid(), os.getgid(), 0o755)
    taken(stream, here, archive=True)
    at = (here / "top/f").stat()
    assert (at.st_uid, at.st_gid, stat.S_IMODE(at.st_mode)) == (1234, 99, 0o6755)


@pytest.mark.parametrize(
    ("target", "depth", "out"),
    [
        (b"x", 0, False),
        (b"x/y", 0, False),
        (b"../x", 1, False),
        (b"../x", 0, True),
        (b"/x", 5, True),
        (b"..", 1, False),
        (b"../..", 1, True),
        (b"x/../y", 9, True),
        (b"./../x", 1, False),
    ],
)
def test_where_a_link_leads(target: bytes, depth: int, out: bool) -> None:
    assert leads_out(target, depth) is out


_NAMES = st.sampled_from(["top", "a", "b", "..", ".", "", "top/a", "top/b/c"])


@given(
    st.lists(
        st.tuples(
            st.lists(_NAMES, min_size=1, max_size=4).map("/".join),
            st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]),
            st.lists(_NAMES, min_size=1, max_size=4).map("/".join),
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_nothing_outside_changes_whatever_comes(
    tmp_path_factory: pytest.TempPathFactory,
    members: list[tuple[str, bytes, str]],
    archived: bool,
) -> None:
    outer = tmp_path_factory.mktemp("outer")
    here = outer / "here"
    here.mkdir()
    (outer / "a").write_text("a")
    before = snapshot_outside(outer)
    infos = [
        (member(name or "x", kind, linkname=target if kind in b"12" else ""), b"")
        for name, kind, target in members
    ]
    with suppress(DrupeError):
        taken(archive(*infos), here, None, archive=archived)
    assert snapshot_outside(outer) == before
    if not archived:
        for path in here.rglob("*"):
            if not in_a_circle(path):
                real = Path(os.path.realpath(path))
                assert here in (real, *real.parents)


def in_a_circle(path: Path) -> bool:
    """Whether a link leads to itself, which ``realpath`` may take for anything."""
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def snapshot_outside(outer: Path) -> dict[Path, tuple[object, ...]]:
    found = snapshot(outer)
    return {path: value for path, value in found.items() if path.parts[0] != "here"}


# From this host


def test_what_is_packed_is_an_archive(here: Path) -> None:
    fill(here)
    (here / "locked").mkdir()
    stream = b"".join(pack(str(here), "name"))
    with tarfile.open(fileobj=io.BytesIO(stream)) as tar:
        found = {info.name: info for info in tar}
    assert set(found) == {"name"} | {f"name/{path}" for path in tree(here)}
    assert found["name/other"].islnk()
    assert found["name/old"].mtime == -1.25


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"failed to read '.*/none': No such file"):
        list(pack(str(tmp_path / "none"), "x"))
