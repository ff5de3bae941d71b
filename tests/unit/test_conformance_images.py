"""The images of the conformance tests: recipes that are whole, layers as others make them."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import tarfile
from pathlib import Path

import pytest

from tests.conformance.images.layer import pack
from tests.conformance.images.make import FILES
from tests.conformance.images.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_whole(name: str) -> None:
    recipe = RECIPES[name]
    config = recipe.config()
    assert config["Cmd"], "it says what to run"
    assert all(port.endswith("/tcp") for port in recipe.ports)
    assert recipe.packages or recipe.build
    if recipe.entrypoint:
        script = FILES / name / "usr/local/bin/entrypoint.sh"
        assert script.stat().st_mode & 0o111
    if recipe.build:
        assert (FILES / name / "src").is_dir()


def test_every_file_is_of_a_recipe() -> None:
    assert {path.name for path in FILES.iterdir()} <= set(RECIPES)


def test_a_layer_has_what_the_directory_has(tmp_path: Path) -> None:
    tree, blobs = tmp_path / "upper", tmp_path / "blobs"
    blobs.mkdir()
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/one").write_bytes(b"content")
    (tree / "bin/one").chmod(0o4755)
    os.link(tree / "bin/one", tree / "bin/two")
    (tree / "link").symlink_to("/bin/one")
    (tree / "proc/1").mkdir(parents=True)
    (tree / "bin/proc").mkdir()
    (tree / "bin/proc/file").touch()
    os.mkfifo(tree / "pipe")
    os.mknod(tree / "bin/gone", stat.S_IFCHR, 0)
    os.mknod(tree / "nothing", stat.S_IFCHR, 0)
    layer = pack(tree, blobs)
    blob = blobs / layer.digest.removeprefix("sha256:")
    raw = blob.read_bytes()
    assert (len(raw), hashlib.sha256(raw).hexdigest()) == (layer.size, blob.name)
    assert hashlib.sha256(gzip.decompress(raw)).hexdigest() == layer.diff_id.removeprefix("sha256:")
    with tarfile.open(blob) as archive:
        members = {member.name: member for member in archive}
        assert set(members) == {
            *(
                "bin",
                "bin/proc",
                "bin/proc/file",
                "bin/one",
                "bin/two",
                "bin/.wh.gone",
                "link",
                "pipe",
                "proc",
                ".wh.nothing",
            ),
        }
        assert members["bin/one"].mode == 0o4755
        assert members["bin/two"].linkname == "bin/one"
        assert members["link"].linkname == "/bin/one"
        assert members["pipe"].isfifo()
        content = archive.extractfile("bin/one")
        assert content is not None
        assert content.read() == b"content"
    assert list(blobs.iterdir()) == [blob]
    assert pack(tree, blobs) == layer, "the same again"
