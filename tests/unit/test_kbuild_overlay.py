"""The overlay on a toy tree: applied, changed, taken off, and refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from drupe.errors import PatchError
from drupe.kbuild.overlay import Overlay, apply, patched_paths, read_overlay, restore

PATCH = b"""\
From: A <a@example.org>
Subject: [PATCH] um: hook in

Why.
---
 arch/um/Kconfig | 1 +

--- a/arch/um/Kconfig
+++ b/arch/um/Kconfig
@@ -1,3 +1,4 @@
 one
 two
+new
 three
--
2.39
"""
NEW = {"arch/um/new.c": b"int x;\n"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "tree/arch/um").mkdir(parents=True)
    (tmp_path / "tree/arch/um/Kconfig").write_text("one\ntwo\nthree\n")
    return tmp_path


def content(directory: Path) -> dict[str, str]:
    tree = directory / "tree"
    return {
        path.relative_to(tree).as_posix(): path.read_text()
        for path in tree.rglob("*")
        if path.is_file()
    }


def test_an_overlay_is_applied_and_taken_off(directory: Path) -> None:
    pristine = content(directory)
    apply(directory, Overlay(NEW, (("0001-x.patch", PATCH),)), version="7.3.4")
    assert content(directory) == {
        "arch/um/Kconfig": "one\ntwo\nnew\nthree\n",
        "arch/um/new.c": "int x;\n",
    }
    restore(directory)
    assert content(directory) == pristine


def test_an_unchanged_file_keeps_its_time(directory: Path) -> None:
    one = Overlay(NEW, (("0001-x.patch", PATCH),))
    apply(directory, one, version="7.3.4")
    before = (directory / "tree/arch/um/Kconfig").stat().st_mtime_ns
    two = Overlay({"arch/um/new.c": b"int y;\n"}, one.patches)
    apply(directory, two, version="7.3.4")
    assert (directory / "tree/arch/um/Kconfig").stat().st_mtime_ns == before
    assert (directory / "tree/arch/um/new.c").read_text() == "int y;\n"


def test_what_the_new_overlay_lacks_is_put_back(directory: Path) -> None:
    pristine = content(directory)
    apply(directory, Overlay(NEW, (("0001-x.patch", PATCH),)), version="7.3.4")
    apply(directory, Overlay({}, ()), version="7.3.4")
    assert content(directory) == pristine


def test_patches_stack(directory: Path) -> None:
    second = PATCH.replace(
        b"@@ -1,3 +1,4 @@\n one\n two\n+new\n", b"@@ -2,3 +2,4 @@\n two\n new\n+newer\n"
    )
    series = (("0001-x.patch", PATCH), ("0002-y.patch", second))
    apply(directory, Overlay({}, series), version="7.3.4")
    assert content(directory)["arch/um/Kconfig"] == "one\ntwo\nnew\nnewer\nthree\n"


def test_a_patch_that_does_not_fit_is_named_and_changes_nothing(directory: Path) -> None:
    good = Overlay(NEW, ())
    apply(directory, good, version="7.3.4")
    before = content(directory)
    stale = PATCH.replace(b" two\n", b" zwei\n")
    with pytest.raises(
        PatchError,
        match=r"failed to apply '0001-x.patch': it does not fit 'arch/um/Kconfig' of Linux 7.2.13"
        r": Hunk #1 FAILED at 1(?s:.*)rejected:(?s:.*)\+new",
    ) as caught:
        apply(directory, Overlay(NEW, (("0001-x.patch", stale),)), version="7.2.13", hint="known")
    assert caught.value.hint == "known"
    assert content(directory) == before


def test_context_is_never_guessed(directory: Path) -> None:
    (directory / "tree/arch/um/Kconfig").write_text("one\ntwo\nother\n")
    with pytest.raises(PatchError, match=r"does not fit 'arch/um/Kconfig'"):
        apply(directory, Overlay({}, (("0001-x.patch", PATCH),)), version="7.3.4")


def test_a_patch_of_a_missing_file_is_named(directory: Path) -> None:
    patch = PATCH.replace(b"arch/um/Kconfig", b"arch/um/Kgone")
    with pytest.raises(PatchError, match=r"'arch/um/Kgone' of Linux 7.3.4: there is no such file"):
        apply(directory, Overlay({}, (("0001-x.patch", patch),)), version="7.3.4")


def test_a_new_file_that_exists_already_is_refused(directory: Path) -> None:
    with pytest.raises(PatchError, match="failed to add 'arch/um/Kconfig'"):
        apply(directory, Overlay({"arch/um/Kconfig": b""}, ()), version="7.3.4")


@pytest.mark.parametrize("path", ["../out", "a/../../out", "/etc/passwd"])
def test_a_patch_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(PatchError, match="leads out of the tree"):
        patched_paths("0001-x.patch", b"--- /dev/null\n+++ b/" + path.encode() + b"\n")


def test_the_series_is_read_in_order(tmp_path: Path) -> None:
    assert read_overlay(tmp_path) == Overlay({}, ())
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches/series").write_text("# why\nb.patch # x\n\na.patch\n")
    (tmp_path / "patches/a.patch").write_bytes(PATCH)
    with pytest.raises(PatchError, match=r"failed to read 'b.patch'"):
        read_overlay(tmp_path)
    (tmp_path / "patches/b.patch").write_bytes(PATCH)
    assert [name for name, _ in read_overlay(tmp_path).patches] == ["b.patch", "a.patch"]


def test_the_digest_sees_order_names_and_contents() -> None:
    one, two = ("a", PATCH), ("b", PATCH + b"\n")
    overlays = [
        Overlay({}, (one, two)),
        Overlay({}, (two, one)),
        Overlay({}, (one,)),
        Overlay(NEW, (one,)),
        Overlay({"arch/um/new.c": b""}, (one,)),
    ]
    assert len({overlay.digest() for overlay in overlays}) == len(overlays)
