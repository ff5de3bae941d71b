"""The trees that all sides run their programs from, in the cache: a small one, and a Debian.

Both have ``/bench``, which holds what a benchmark puts there: its programs, compiled here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from drupe.kbuild.mirror import debian_archive, read_repositories
from drupe.store.lock import locked
from drupe.store.paths import cache_home, private_dir

_SOURCES = Path(__file__).parent / "programs"
_CFLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-static", "-pthread"]
_DIRECTORIES = ("bench", "dev", "proc", "sys", "tmp")
_SUITE = "bookworm"
_PACKAGES = (
    "curl",
    "gcc",
    "libc6-dev",
    "make",
    "nginx-light",
    "python3",
    "redis-server",
    "redis-tools",
    "sqlite3",
    "wrk",
)


def small_root() -> Path:
    """A tree with nothing but ``/bench`` and what file systems are mounted on."""
    root = _cache() / "small"
    for name in _DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    return root


def debian_root(say: Callable[[str], None]) -> Path:
    """A Debian tree with the programs that the benchmarks run, made once with mmdebstrap.

    Raises:
        FileNotFoundError: this host has no mmdebstrap.
        CalledProcessError: it failed, and has told why.
    """
    recipe = hashlib.sha256(" ".join([_SUITE, *_PACKAGES]).encode()).hexdigest()[:12]
    root = _cache() / f"debian-{recipe}"
    with locked(_cache() / ".lock"):
        if root.is_dir():
            return root
        if shutil.which("mmdebstrap") is None:
            raise FileNotFoundError("there is no mmdebstrap: apt-get install mmdebstrap")
        say("making a Debian tree, once: some minutes at most")
        uri = debian_archive(read_repositories(Path("/etc/apt")), _SUITE)
        scratch = Path(tempfile.mkdtemp(prefix="making.", dir=_cache()))
        try:
            command = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=directory"]
            command += [f"--include={','.join(_PACKAGES)}", _SUITE, str(scratch / "root")]
            command += [f"deb {uri} {_SUITE} main"] if uri else []
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
            (scratch / "root/bench").mkdir()
            (scratch / "root").chmod(0o755)
            (scratch / "root").rename(root)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return root


def compile_programs(root: Path, names: Sequence[str]) -> None:
    """Compiles programs of ``bench/programs`` to ``/bench`` of a tree, statically.

    Raises:
        CalledProcessError: gcc failed, and has told why.
    """
    for name in names:
        arguments: list[str | Path] = [*_CFLAGS, _SOURCES / f"{name}.c"]
        text = (_SOURCES / f"{name}.c").read_text()
        if "figures.h" in text:
            arguments.append(_SOURCES / "figures.c")
        if "_start(" in text:
            arguments.append("-nostdlib")
        with tempfile.TemporaryDirectory(dir=_cache()) as scratch:
            made = Path(scratch) / name
            subprocess.run(["gcc", "-o", made, *arguments], check=True)
            put(root, name, made.read_bytes(), mode=0o755)


def put(root: Path, name: str, content: bytes, mode: int = 0o644) -> None:
    """Writes a file below ``/bench`` of a tree, whole or not at all; keeps one that is the same."""
    path = root / "bench" / name
    if path.is_file() and path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for directory in path.relative_to(root).parents:
        (root / directory).chmod(0o755)
    written = path.with_name(f".{path.name}.{os.getpid()}")
    written.write_bytes(content)
    written.chmod(mode)
    written.rename(path)


def _cache() -> Path:
    return private_dir(cache_home() / "bench")
