"""Roots of real images, file by file: drupe's merge of the layers beside that of overlayfs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from drupe.image.find import find_image
from tests.conformance.images.make import Images
from tests.conformance.images.recipes import RECIPES
from tests.conftest import Home
from tests.erofs_reader import File, read_image
from tests.integration.conftest import Cli

_MOUNTED = """\
set -eu
mount -t overlay overlay "$1" -o "lowerdir=$2"
exec "$3" -ISc "$4" "$1"
"""
_LISTS = """\
import hashlib, json, os, stat, sys
numbers = {}
def tell(path, name):
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    content = b""
    if kind == stat.S_IFREG:
        content = open(path, "rb").read()
    elif kind == stat.S_IFLNK:
        content = os.fsencode(os.readlink(path))
    own = [x for x in os.listxattr(path, follow_symlinks=False) if x[:8] != "trusted."]
    told = {
        "mode": status.st_mode, "owner": [status.st_uid, status.st_gid],
        "content": hashlib.sha256(content).hexdigest(),
        "links": 0 if kind == stat.S_IFDIR else status.st_nlink,
        "mtime": 0 if kind == stat.S_IFDIR else int(status.st_mtime),
        "xattrs": {x: os.getxattr(path, x, follow_symlinks=False).hex() for x in own},
    }
    print(json.dumps([name, told]))
for directory, inside, files in os.walk(sys.argv[1]):
    here = os.path.relpath(directory, sys.argv[1])
    if here in {"proc", "sys", "dev"}:
        inside[:] = []
        continue
    for entry in inside + files:
        tell(os.path.join(directory, entry), os.path.normpath(os.path.join(here, entry)))
"""


def mounted(lowers: list[Path], spot: Path) -> dict[str, dict[str, object]]:
    """What overlayfs makes of the directories, the lowest first."""
    argv = ["unshare", "--mount", "sh", "-c", _MOUNTED, "sh", str(spot)]
    argv += [":".join(map(str, reversed(lowers))), sys.executable, _LISTS]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return dict(json.loads(line) for line in done.stdout.splitlines())


def told(file: File) -> dict[str, object]:
    """The same of a file in drupe's root."""
    kind = stat.S_IFMT(file.mode)
    content = file.content if kind in {stat.S_IFREG, stat.S_IFLNK} else b""
    return {
        "mode": file.mode,
        "owner": [file.uid, file.gid],
        "content": hashlib.sha256(content).hexdigest(),
        "links": 0 if kind == stat.S_IFDIR else file.links,
        "mtime": 0 if kind == stat.S_IFDIR else file.mtime_ns // 1_000_000_000,
        "xattrs": {name.decode(): value.hex() for name, value in file.xattrs.items()},
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name in RECIPES if not RECIPES[name].bare])
def test_a_root_is_what_the_layers_make(
    name: str, images: Images, private_home: Home, tmp_path: Path
) -> None:
    import drupe

    cli = Cli(Path(drupe.__file__).parent.parent, dict(os.environ))
    archive = tmp_path / "image"
    archive.mkdir()
    (archive / "blobs").symlink_to(images.layout / "blobs")
    index = json.loads((images.layout / "index.json").read_text())
    index["manifests"] = [
        manifest
        for manifest in index["manifests"]
        if f"{name}:latest" in manifest["annotations"].values()
    ]
    (archive / "index.json").write_text(json.dumps(index))
    shutil.copy(images.layout / "oci-layout", archive)
    cli("load", "-i", str(archive))
    spot = tmp_path / "spot"
    spot.mkdir()
    expected = mounted(images.lowers(name), spot)
    found = {
        path.decode(): told(file)
        for path, file in read_image(find_image(name).root).items()
        if path
    }
    hidden = ("proc/", "sys/", "dev/")
    found = {path: file for path, file in found.items() if not path.startswith(hidden)}
    assert sorted(set(expected) ^ set(found)) == []
    differ = {
        path: (expected[path], found[path]) for path in found if expected[path] != found[path]
    }
    assert differ == {}
