"""Which Debian source is chosen, where archives are found, how trees are copied."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from drupe import process
from drupe.errors import CommandError, HostError, SpecError
from drupe.kbuild import extract, mirrortree, source
from drupe.kbuild.debian import Offer, choose, parse_madison
from drupe.kbuild.download import download
from drupe.kbuild.mirror import (
    Repository,
    debian_archive,
    parse_deb822,
    parse_one_line,
    read_repositories,
)
from drupe.kbuild.progress import silent
from drupe.kbuild.versions import Renamed, Version, Versions, numeric, read_versions
from drupe.kconfig import Option

KERNEL = Path(__file__).parents[2] / "kernel"
MADISON = """\
linux-source-7.3 | 7.3.4-1~bpo13+1 | http://archive.example/debian trixie-backports/main amd64 Packages
linux-source-7.2 |   7.2.13-1 | http://archive.example/debian sid/main amd64 Packages
linux-source-7.2 | 7.2.12-1~bpo13+1 | http://archive.example/debian trixie-backports/main amd64 Packages
linux-source-6.1 |  6.1.140-1 | http://archive.example/debian bookworm/main amd64 Packages
     linux |   7.2.13-1 | http://archive.example/debian sid/main Sources
"""  # noqa: E501


def versions(*known: tuple[str, str]) -> Versions:
    return Versions(("sid",), 7, tuple(Version(*entry) for entry in known))


def test_madison_is_read() -> None:
    offers = parse_madison(MADISON)
    assert [offer.upstream for offer in offers] == ["7.3.4", "7.2.13", "7.2.12", "6.1.140"]
    assert offers[0] == Offer("linux-source-7.3", "7.3.4-1~bpo13+1")


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([("7.2.13", "tested"), ("7.3.4", "tested")], "7.2.13"),
        ([("7.9.9", "tested"), ("7.3.4", "tested")], "7.3.4"),
        ([("7.2.12", "untested")], "7.3.4"),
        ([("7.3.4", "broken")], "7.2.13"),
        ([], "7.3.4"),
    ],
)
def test_a_tested_version_goes_before_the_newest(
    known: list[tuple[str, str]], expected: str
) -> None:
    best = choose(parse_madison(MADISON), versions(*known))
    assert best is not None
    assert best.upstream == expected


def test_another_major_version_is_not_taken() -> None:
    assert choose([Offer("linux-source-6.1", "6.1.140-1")], versions()) is None


def test_versions_sort_as_numbers() -> None:
    assert numeric("7.10.2-1~bpo13+1") > numeric("7.9.30")


def test_drupes_own_versions_can_be_read() -> None:
    assert read_versions(KERNEL / "versions.toml").tested()


def test_older_versions_are_asked_by_their_own_names() -> None:
    known = Versions((), 7, (), (Renamed("SYSCTL", "PROC_SYSCTL", "7.3"),))
    options = {name: Option(name, "y", "why", "toy.config:1") for name in ("NET", "SYSCTL")}
    assert known.translate(options, "7.3.4") == options
    assert known.translate(options, "7.2.13").keys() == {"NET", "PROC_SYSCTL"}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('suites = []\nmajor = 7\n[[renamed]]\nsymbol = "A"', "symbol, was, before"),
        ("nonsense", "failed to read"),
        ('suites = ["sid"]\nmajor = 7\nextra = 1', "unknown key 'extra'"),
        ('suites = "sid"\nmajor = 7', "suites is not a list"),
        ('suites = []\nmajor = "7"', "major is not a number"),
        ('suites = []\nmajor = 7\n[[version]]\nversion = "7.3"', "exactly version and status"),
        (
            'suites = []\nmajor = 7\n[[version]]\nversion = "7.3"\nstatus = "fine"',
            "status 'fine'",
        ),
    ],
)
def test_wrong_versions_are_refused(tmp_path: Path, text: str, cause: str) -> None:
    path = tmp_path / "versions.toml"
    path.write_text(text)
    with pytest.raises(SpecError, match=cause):
        read_versions(path)


ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian bookworm main contrib # trailing
deb-src http://one.example/debian bookworm main
"""
DEB822 = """\
Types: deb deb-src
# a comment
URIs: http://two.example/debian
Suites: bookworm
 bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no
"""


def test_both_formats_of_sources_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/off.list.disabled").write_text("deb http://x.example/ x main")
    one = Repository("http://one.example/debian", ("bookworm",), ("main", "contrib"))
    two = Repository("http://two.example/debian", ("bookworm", "bookworm-updates"), ("main",))
    assert parse_one_line(ONE_LINE) == [one]
    assert parse_deb822(DEB822) == [two]
    assert read_repositories(tmp_path) == [one, two]


def test_the_archive_is_the_one_with_the_release() -> None:
    security = Repository("http://s.example", ("bookworm-security",), ("main",))
    tools = Repository("http://t.example", ("bookworm",), ("stable",))
    main = Repository("http://m.example", ("bookworm",), ("main",))
    assert debian_archive([security, tools, main], "bookworm") == "http://m.example"
    assert debian_archive([security, tools], "bookworm") is None


def toy_tree(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "Makefile").write_text(
        "# x\nVERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n"
    )
    (path / "Kconfig").write_text("config A\n")
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_a_tarball_is_extracted_once_and_whole(cache: Path) -> None:
    toy_tree(cache / "linux-7.3.4")
    tarball = cache / "linux.tar.gz"
    process.run(["tar", "-czf", str(tarball), "-C", str(cache), "linux-7.3.4"])
    found = source.obtain(str(tarball), None, versions(), silent)
    assert (found.version, found.kind) == ("7.3.4", "tarball")
    assert (found.tree / "Kconfig").is_file()
    assert source.known() == [found]
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    assert source.obtain(str(tarball), digest, versions(), silent) == found
    with pytest.raises(SpecError, match="its sha256 is"):
        source.obtain(str(tarball), "0" * 64, versions(), silent)


def test_a_broken_tarball_leaves_nothing(cache: Path) -> None:
    tarball = cache / "linux.tar.gz"
    tarball.write_bytes(b"not gzip")
    with pytest.raises(CommandError, match="failed to run"):
        source.obtain(str(tarball), None, versions(), silent)
    assert not list((cache / "cache").rglob("tree"))
    assert not list((cache / "cache").rglob(".tree.*"))


def test_what_is_no_kernel_source_is_refused(cache: Path) -> None:
    (cache / "empty").mkdir()
    with pytest.raises(SpecError, match="not a kernel source"):
        source.obtain(str(cache / "empty"), None, versions(), silent)
    with pytest.raises(SpecError, match="no such file or directory"):
        source.obtain(str(cache / "missing"), None, versions(), silent)
    with pytest.raises(SpecError, match="its hash is not known"):
        source.obtain("https://host.example/l.tar.xz", None, versions(), silent)
    with pytest.raises(SpecError, match="only https"):
        download("http://host.example/l", "0" * 64, cache / "l", silent)


def test_a_directory_is_followed_and_never_written_to(cache: Path) -> None:
    tree = toy_tree(cache / "mine")
    (tree / "old.c").write_text("old")
    first = source.obtain(str(tree), None, versions(), silent)
    before = (first.tree / "Kconfig").stat().st_mtime_ns
    assert source.obtain(str(tree), None, versions(), silent) == first
    (tree / "new.c").write_text("new")
    (tree / "old.c").unlink()
    second = source.obtain(str(tree), None, versions(), silent)
    assert second.identity != first.identity
    assert (second.tree / "new.c").read_text() == "new"
    assert not (second.tree / "old.c").exists()
    assert (second.tree / "Kconfig").stat().st_mtime_ns == before
    assert sorted(path.name for path in tree.iterdir()) == ["Kconfig", "Makefile", "new.c"]


def test_git_and_objects_are_not_copied(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("x")
    (tmp_path / "a.o").write_text("x")
    (tmp_path / "a.c").write_text("x")
    assert list(mirrortree.snapshot(tmp_path)) == ["a.c"]


def test_what_is_left_out_spares_kconfig_and_headers() -> None:
    patterns = extract.excludes("linux-source-7.3")
    assert "--exclude=linux-source-7.3/sound/*.[ch]" in patterns
    assert not [pattern for pattern in patterns if "Kconfig" in pattern or "arch/x86" in pattern]


def test_a_stage_of_a_pipeline_that_fails_is_named() -> None:
    process.pipeline([["echo", "x"], ["cat"]])
    with pytest.raises(CommandError, match="failed to run 'false': exit status 1"):
        process.pipeline([["false"], ["cat"]])
    with pytest.raises(HostError, match="failed to run 'no-such-program'"):
        process.pipeline([["cat", "/dev/zero"], ["no-such-program"]])
