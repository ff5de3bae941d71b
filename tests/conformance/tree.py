"""The Debian tree that applications come from: a directory for the host, an image for containers.

Made once by mmdebstrap and kept below ``$XDG_CACHE_HOME/drupe/conformance``; made again when the
recipe here changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import pytest

from drupe.image.commit import commit
from drupe.image.compression import unpacked
from drupe.oci.reference import parse_reference
from drupe.store import paths
from drupe.store.lock import locked

SUITE = "bookworm"
PACKAGES = (
    # interpreters and compilers
    "python3.11",
    "libpython3.11-testsuite",
    "nodejs",
    "gcc",
    "g++",
    "make",
    "golang-go",
    "default-jdk-headless",
    "dpkg-dev",
    # servers, and what puts them under load
    "redis-server",
    "redis-tools",
    "nginx-light",
    "apache2-utils",
    "postgresql",
    "sqlite3",
    "stress-ng",
    # looking at programs
    "strace",
    "gdb",
    "libc6-dbg",
    "procps",
    # the kernel's selftests
    "libcap-dev",
    "iproute2",
    "file",
)
SOURCES = ("zlib",)
"""Source packages in ``/usr/src``, to be built in a container."""

LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*")
IMAGE = "conformance"


class Tree(NamedTuple):
    """A Debian system.

    Attributes:
        directory: its root, for ``chroot`` on the host.
        data: a data directory of drupe that holds the image ``conformance``, made from it.
    """

    directory: Path
    data: Path


def make_tree() -> Tree:
    """Makes the tree and its image, or finds that they are there.

    Skips the test where this host cannot make it: it takes root and mmdebstrap.
    """
    home = paths.private_dir(paths.cache_home() / "conformance")
    recipe = json.dumps(
        [SUITE, PACKAGES, SOURCES, LEFT_OUT, "times are kept", "an image of layers"]
    )
    name = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    base = home / name
    with locked(home / ".lock"):
        if not (base / "complete").exists():
            if shutil.which("mmdebstrap") is None:
                pytest.skip("needs mmdebstrap: apt-get install mmdebstrap")
            if os.geteuid() != 0:
                pytest.skip("needs root to make the Debian tree")
            for old in home.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            _make(base)
    return Tree(base / "tree", base / "share")


def mirror() -> str:
    """Where this machine has its packages from."""
    argv = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)"]
    for line in subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\n"):
        codename, _, address = line.partition(" ")
        if codename == SUITE:
            return address.rstrip("/")
    pytest.skip(f"needs a package source of '{SUITE}', which apt has none of")


def _make(base: Path) -> None:
    base.mkdir()
    address = mirror()
    source_list = f"deb {address} {SUITE} main\ndeb-src {address} {SUITE} main\n"
    fetch = f"cd /usr/src && apt-get -q source --download-only {' '.join(SOURCES)}"
    argv = [
        # Of its own mounts nothing is left, even where it fails.
        "unshare",
        "--mount",
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        "--aptopt=Apt::Install-Recommends false",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
        f'--customize-hook=chroot "$1" sh -c "{fetch}"',
        SUITE,
        str(base / "tree"),
        "-",
    ]
    subprocess.run(argv, input=source_list.encode(), check=True)
    (base / "tree/etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = f"ENV PATH={search} LANG=C.UTF-8 HOME=/root"
    argv = ["tar", "--numeric-owner", "--xattrs", "--sort=name", f"-C{base / 'tree'}", "-c", "."]
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(argv, stdout=subprocess.PIPE) as packed,
    ):
        patch.setenv("XDG_DATA_HOME", str(base / "share"))
        assert packed.stdout is not None
        layer = unpacked(cast("BinaryIO", packed.stdout), "the tree")
        commit(None, layer, ['CMD ["/bin/bash"]', environment], parse_reference(IMAGE))
    assert packed.returncode == 0
    (base / "complete").touch()
