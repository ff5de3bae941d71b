"""The guest's services on files, built for the host with ASan and UBSan."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GUEST = Path(__file__).resolve().parents[2] / "guest"
SERVICE_S = 60.0

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: owners and devices")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("gcc") or not shutil.which("make"):
        pytest.skip("gcc or make is missing")
    out = tmp_path_factory.mktemp("guest-files")
    command = ["make", "-s", "-j2", "-C", str(GUEST), f"O={out}"]
    done = subprocess.run(
        [*command, "CLANG=none", "files-asan", f"{out}/fuzz_tar"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


class Files:
    """The services as a program."""

    def __init__(self, binary: Path, env: dict[str, str]) -> None:
        self.binary = binary
        self.env = {"ASAN_OPTIONS": "detect_leaks=0", **env}

    def __call__(self, *args: str | Path, stdin: bytes = b"") -> bytes:
        status, out, err = self.run(*args, stdin=stdin)
        assert (status, err) == (0, "")
        return out

    def run(self, *args: str | Path, stdin: bytes = b"") -> tuple[int, bytes, str]:
        done = subprocess.run(
            [self.binary, *args],
            input=stdin,
            capture_output=True,
            timeout=SERVICE_S,
            check=False,
            env=self.env,
        )
        return done.returncode, done.stdout, done.stderr.decode()

    def refused(self, *args: str | Path, stdin: bytes = b"") -> str:
        status, _, err = self.run(*args, stdin=stdin)
        assert status == 1, err
        return err


@pytest.fixture(scope="session")
def files(built: Path) -> Files:
    return Files(built / "drupe-files-asan", {})


def archive(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **values: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in values.items():
        setattr(info, key, value)
    return info


def listed(stream: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(stream)) as tar:
        return {info.name: info for info in tar}


def content(stream: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(stream)) as tar:
        taken = tar.extractfile(name)
        assert taken is not None
        return taken.read()


def snapshot(top: Path) -> dict[Path, tuple[object, ...]]:
    """All that is to survive a round trip."""
    found: dict[Path, tuple[object, ...]] = {}
    first: dict[int, Path] = {}
    for path in sorted(top.rglob("*")):
        at = path.lstat()
        held: object = None
        if stat.S_ISREG(at.st_mode):
            held = path.read_bytes()
        elif stat.S_ISLNK(at.st_mode):
            held = path.readlink()
        twin = first.setdefault(at.st_ino, path) if stat.S_ISREG(at.st_mode) else path
        relative = path.relative_to(top)
        times_and_kind = (at.st_mode, at.st_mtime_ns, at.st_rdev)
        found[relative] = (*times_and_kind, held, twin.relative_to(top))
    return found


def fill(top: Path) -> None:
    """A tree with all that a file system holds."""
    deep = top / "deep"
    for _ in range(30):
        deep /= "a-directory-name"
    deep.mkdir(parents=True)
    (deep / "end").write_text("deep")
    (top / "empty").write_bytes(b"")
    (top / "block").write_bytes(bytes(512))
    (top / ("n" * 255)).write_text("long")
    Path(os.fsdecode(os.fsencode(top) + b"/\xff\xfe")).write_text("no UTF-8")
    (top / "ümlaut").write_text("UTF-8")
    (top / "link").symlink_to("t" * 200)
    (top / "short").symlink_to("empty")
    os.mkfifo(top / "fifo")
    os.link(top / "block", top / "other")
    (top / "old").write_text("before the epoch")
    os.utime(top / "old", ns=(0, -1_250_000_000))
    (top / "modes").mkdir()
    for mode in (0o4755, 0o2755, 0o600, 0o000):
        path = top / "modes" / f"{mode:o}"
        path.write_text("x")
        path.chmod(mode)
    (top / "modes").chmod(0o1777)
    os.utime(top / "modes", ns=(0, 1_700_000_000_123_456_789))


def test_what_is_packed_can_be_unpacked(files: Files, tmp_path: Path) -> None:
    top, there = tmp_path / "top", tmp_path / "there"
    top.mkdir()
    there.mkdir()
    fill(top)
    stream = files("pack", top, "name")
    files("unpack", there, "root", stdin=stream)
    assert snapshot(there / "name") == snapshot(top)


def test_others_read_what_is_packed(files: Files, tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    fill(top)
    stream = files("pack", top, ".")
    names = listed(stream)
    assert names["./old"].mtime == -1.25
    assert names[f"./{'n' * 255}"].size == 4
    assert names["./link"].linkname == "t" * 200
    assert names["./other"].islnk()
    assert content(stream, "./\udcff\udcfe") == b"no UTF-8"
    (tmp_path / "gnu").mkdir()
    done = subprocess.run(
        ["tar", "--warning=no-timestamp", "-xpf", "-", "-C", tmp_path / "gnu"],
        input=stream,
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    assert snapshot(tmp_path / "gnu") == snapshot(top)


@needs_root
def test_owners_and_devices_travel_if_asked(files: Files, tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    os.mknod(top / "null", 0o640 | stat.S_IFCHR, os.makedev(1, 3))
    (top / "file").write_text("x")
    os.chown(top / "file", 3_000_000, 4_000_000)
    stream = files("pack", top, "top")
    for owners, expected in (("owners", (3_000_000, 4_000_000)), ("root", (0, 0))):
        there = tmp_path / owners
        there.mkdir()
        files("unpack", there, owners, stdin=stream)
        at = (there / "top/file").stat()
        assert (at.st_uid, at.st_gid) == expected
        assert (there / "top/null").stat().st_rdev == os.makedev(1, 3)


def test_attributes_travel(files: Files, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    value = bytes(range(256))
    try:
        os.setxattr(tmp_path / "file", "user.drupe", value)
    except OSError:
        pytest.skip("no extended attributes here")
    (tmp_path / "there").mkdir()
    files("unpack", tmp_path / "there", "root", stdin=files("pack", tmp_path / "file", "f"))
    assert os.getxattr(tmp_path / "there/f", "user.drupe") == value


@pytest.mark.parametrize(
    ("size", "pieces"),
    [(1 << 33, [(1 << 32, b"far")]), (1 << 20, []), (1 << 20, [(0, b"a"), ((1 << 20) - 1, b"z")])],
)
def test_holes_stay_holes(
    files: Files, tmp_path: Path, size: int, pieces: list[tuple[int, bytes]]
) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(size)
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
    stream = files("pack", path, "sparse")
    assert len(stream) < 1 << 16
    assert listed(stream)["sparse"].size == size
    (tmp_path / "there").mkdir()
    files("unpack", tmp_path / "there", "root", stdin=stream)
    at = (tmp_path / "there/sparse").stat()
    assert (at.st_size, at.st_blocks <= path.stat().st_blocks) == (size, True)
    with (tmp_path / "there/sparse").open("rb") as file:
        for offset, data in pieces:
            file.seek(offset)
            assert file.read(len(data)) == data


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_other_forms_are_read(files: Files, tmp_path: Path, form: int) -> None:
    long = "/".join(["d" * 40] * (5 if form == tarfile.USTAR_FORMAT else 20))
    stream = archive(
        (member("./d", tarfile.DIRTYPE, mtime=7), b""),
        (member("d/f", uid=1), b"data" * 1000),
        (member(long), b"x"),
        (member("l", tarfile.SYMTYPE, linkname="d/f"), b""),
        (member("h", tarfile.LNKTYPE, linkname="./d/f"), b""),
        (member("c", tarfile.CONTTYPE), b"contiguous"),
        form=form,
    )
    files("unpack", tmp_path, "root", stdin=stream)
    assert (tmp_path / "d/f").read_bytes() == b"data" * 1000
    assert (tmp_path / long).read_text() == "x"
    assert (tmp_path / "l").readlink() == Path("d/f")
    assert (tmp_path / "h").samefile(tmp_path / "d/f")
    assert (tmp_path / "c").read_text() == "contiguous"
    assert (tmp_path / "d").stat().st_mtime == 7


def test_what_is_there_is_replaced_or_kept(files: Files, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "file").write_text("old, and longer")
    (tmp_path / "outside").write_text("outside")
    (tmp_path / "out").symlink_to("outside")
    stream = archive(
        (member("linked", tarfile.DIRTYPE), b""),
        (member("linked/in"), b"in"),
        (member("file"), b"new"),
        (member("out"), b"mine"),
    )
    files("unpack", tmp_path, "root", stdin=stream)
    assert (tmp_path / "real/in").read_text() == "in"
    assert (tmp_path / "linked").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "outside").read_text() == "outside"
    assert not (tmp_path / "out").is_symlink()


def header(**values: object) -> bytearray:
    return bytearray(member("f", **values).tobuf(tarfile.USTAR_FORMAT))  # type: ignore[arg-type]


def summed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def changed(at: int, data: bytes) -> bytes:
    block = header()
    block[at : at + len(data)] = data
    return summed(block)


def pax(*records: bytes) -> bytes:
    data = b"".join(records)
    block = header()
    block[156:157] = b"x"
    block[124:136] = b"%011o\0" % len(data)
    return summed(block) + data + bytes(-len(data) % 512)


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (b"", "ends too early"),
        (b"x" * 100, "ends too early"),
        (bytes(header()), "ends too early"),
        (b"x" * 512, "wrong checksum"),
        (changed(100, b"mode"), "a number in a header is none"),
        (changed(124, b"x"), "a size in a header is none"),
        (changed(124, b"\xff" * 12), "a size in a header is none"),
        (changed(0, b"\0"), "an entry has no name"),
        (changed(124, b"77777777777") + b"x" * 9999, "ends too early"),
        (changed(156, b"S"), "unknown type 'S'"),
        (pax(b"5 a=b\n"), "a PAX record is not KEY=VALUE"),
        (pax(b"99 a=b\n"), "a PAX record has a wrong length"),
        (pax(b"3 a"), "a PAX record has a wrong length"),
        (pax(b"6 a=bc"), "a PAX record is not KEY=VALUE"),
        (pax(b"6 abc\n"), "a PAX record is not KEY=VALUE"),
        (pax(b"x a=b\n"), "a PAX record has a wrong length"),
        (pax(b"11 path=a\0\n"), "a PAX record makes no sense"),
        (pax(b"10 size=x\n"), "a PAX record makes no sense"),
        (pax(b"11 mtime=x\n"), "a PAX record makes no sense"),
        (pax(b"20 GNU.sparse.map=1\n"), "a PAX record makes no sense"),
        (pax(b"6 a=b\n") + pax(b"6 a=b\n"), "two PAX headers"),
        (pax(b"6 a=b\n") + bytes(1024), "without an entry"),
        (archive((member("../f"), b"")), "leads out of the archive"),
        (archive((member("a/../../f"), b"")), "leads out of the archive"),
        (archive((member("h", tarfile.LNKTYPE, linkname="../f"), b"")), "leads out of the archive"),
        (archive((member("h", tarfile.LNKTYPE, linkname="none"), b"")), "No such file"),
        (archive((member("d"), b"")), "Is a directory"),
        (archive((member("g", tarfile.DIRTYPE), b"")), "Not a directory"),
        (archive((member("g/x"), b"")), "Not a directory"),
        (archive((member("n" * 256), b"")), "File name too long"),
    ],
)
def test_a_broken_archive_is_refused(
    files: Files, tmp_path: Path, stream: bytes, text: str
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "g").write_text("file")
    assert text in files.refused("unpack", tmp_path, "root", stdin=stream)
    assert {path.name for path in tmp_path.iterdir()} <= {"d", "g", "f"}


_MAP = b"2\n0\n4\n100\n4\n"


@pytest.mark.parametrize(
    "sparse",
    [b"3\n0\n4\n", b"1\n0\n99999\n", b"2\n8\n4\n0\n4\n", b"99999999\n", b"x\n", b"1\n0\n3\n"],
)
def test_a_broken_map_is_refused(files: Files, tmp_path: Path, sparse: bytes) -> None:
    records = [
        b"22 GNU.sparse.major=1\n",
        b"22 GNU.sparse.minor=0\n",
        b"28 GNU.sparse.realsize=1000\n",
    ]
    data = sparse + bytes(512 - len(sparse)) + b"abcd"

    def stream(body: bytes) -> bytes:
        return (
            pax(*records) + changed(124, b"%011o\0" % len(body)) + body + bytes(-len(body) % 512)
        ) + bytes(1024)

    good = _MAP + bytes(512 - len(_MAP)) + b"abcdefgh"
    files("unpack", tmp_path, "root", stdin=stream(good))
    assert (tmp_path / "f").read_bytes() == b"abcd" + bytes(96) + b"efgh" + bytes(896)
    assert "map of a sparse file" in files.refused("unpack", tmp_path, "root", stdin=stream(data))


def records(out: bytes) -> list[tuple[list[int], bytes, bytes]]:
    parts = out.split(b"\0")[:-1]
    return [
        ([int(n) for n in parts[i].split()], parts[i + 1], parts[i + 2])
        for i in range(0, len(parts), 3)
    ]


def test_stat_and_list(files: Files, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("four")
    (tmp_path / "link").symlink_to("file")
    ((numbers, name, target),) = records(files("stat", tmp_path / "link", "link"))
    assert stat.S_ISLNK(numbers[0])
    assert (name, target) == (os.fsencode(tmp_path / "link"), b"file")
    ((numbers, name, target),) = records(files("stat", tmp_path / "link", "follow"))
    assert (numbers[3], name, target) == (4, os.fsencode(tmp_path / "file"), b"")
    found = records(files("list", tmp_path))
    assert [(name, target) for _, name, target in found] == [(b"file", b""), (b"link", b"file")]
    assert files.refused("stat", tmp_path / "none", "link").startswith("2\tfailed to look at")
    assert files.refused("list", tmp_path / "file").startswith("20\tfailed to list")


def test_read_and_write(files: Files, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    files("write", tmp_path / "file", "640", stdin=data)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert files("read", tmp_path / "file") == data
    files("write", tmp_path / "file", "600", stdin=b"short")
    assert (tmp_path / "file").read_bytes() == b"short"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert b"MemTotal" in files("read", "/proc/meminfo")
    assert files.refused("read", tmp_path).startswith("21\tfailed to read")
    assert files.refused("write", tmp_path / "no/file", "600").startswith("2\tfailed to write")


def test_mkdir_and_remove(files: Files, tmp_path: Path) -> None:
    files("mkdir", tmp_path / "a/b", "1777", "parents")
    files("mkdir", tmp_path / "a/b", "700", "parents")
    assert (tmp_path / "a/b").stat().st_mode & 0o7777 == 0o1777
    assert files.refused("mkdir", tmp_path / "a/b", "700", "one").startswith("17\t")
    assert files.refused("mkdir", tmp_path / "x/y", "700", "one").startswith("2\t")
    (tmp_path / "a/b/file").write_text("x")
    (tmp_path / "a/link").symlink_to("/")
    assert files.refused("remove", tmp_path / "a", "one").startswith("39\t")
    files("remove", tmp_path / "a", "tree")
    assert list(tmp_path.iterdir()) == []
    assert files.refused("remove", tmp_path / "a", "tree").startswith("2\t")


def test_an_unknown_service_is_refused(files: Files) -> None:
    assert "no such service" in files.refused("pack")
    assert "no such service" in files.refused("cat", "/etc/passwd")


# The layer above an image


@needs_root
def test_a_layer_tells_what_was_changed(built: Path, tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    for path in (lower / "kept", lower / "gone", lower / "opaque/old", upper / "opaque"):
        path.mkdir(parents=True)
    (lower / "changed").write_text("old")
    (upper / "changed").write_text("new")
    (upper / "added").write_text("added")
    os.mknod(upper / "gone", stat.S_IFCHR, 0)
    (upper / "kept").mkdir()
    os.mknod(upper / "kept/file", stat.S_IFCHR, 0)
    (upper / "opaque/new").write_text("new")
    (upper / "proc").mkdir()  # made for the mount that is there
    if Path("/dev/pts").is_mount():
        (upper / "dev/pts").mkdir(parents=True)
    os.setxattr(upper / "opaque", "trusted.overlay.opaque", b"y")
    os.setxattr(upper / "changed", "trusted.overlay.origin", b"x")
    os.setxattr(upper / "changed", "trusted.mine", b"x")
    files = Files(built / "drupe-files-asan", {"LOWER": str(lower), "UPPER": str(upper)})
    found = listed(files("layer"))
    assert sorted(found) == [
        ".wh.gone", "added", "changed", "kept", "kept/.wh.file", "opaque",
        "opaque/.wh..wh..opq", "opaque/new",
    ]  # fmt: skip
    assert found["changed"].pax_headers.keys() == {"SCHILY.xattr.trusted.mine", "mtime"}
    assert all(found[name].size == 0 for name in found if ".wh." in name)
    changes = files("changes").decode().split("\0")[:-1]
    assert sorted(changes) == [
        "A /added", "A /opaque/new", "C /changed", "C /kept", "C /opaque", "D /gone",
        "D /kept/file", "D /opaque/old",
    ]  # fmt: skip


def test_a_root_without_a_layer_says_so(files: Files) -> None:
    assert "no writable layer" in files.refused("layer")
    assert "no writable layer" in files.refused("changes")


# Whatever comes


@pytest.fixture(scope="session")
def fuzzed(built: Path) -> Callable[[bytes], None]:
    def feed(data: bytes) -> None:
        done = subprocess.run(
            [built / "fuzz_tar"], input=data, capture_output=True, timeout=SERVICE_S, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")

    return feed


_SEED = archive(
    (member("d", tarfile.DIRTYPE), b""),
    (member("n" * 150, mtime=1.5, pax_headers={"SCHILY.xattr.user.a": "b"}), b"x" * 700),
    (member("l", tarfile.SYMTYPE, linkname="t" * 150), b""),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(_SEED) - 1), st.binary(max_size=12)), max_size=6))
def test_no_archive_breaks_the_reader(
    fuzzed: Callable[[bytes], None], changes: list[tuple[int, bytes]]
) -> None:
    data = bytearray(_SEED)
    for at, new in changes:
        data[at : at + len(new)] = new
    for start in range(0, len(data) - 511, 512):  # most changes would end at a checksum
        block = data[start : start + 512]
        if block[257:262] == b"ustar":
            data[start : start + 512] = summed(block)
    fuzzed(bytes(data))


def test_the_seed_is_an_archive(
    fuzzed: Callable[[bytes], None], files: Files, tmp_path: Path
) -> None:
    fuzzed(_SEED)
    files("unpack", tmp_path, "root", stdin=_SEED)
