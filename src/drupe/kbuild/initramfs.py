"""The guest's init, compiled and packed into an initramfs; or found ready.

A guest is a directory ``guests/<id>/`` with ``initramfs.cpio``, ``netpolicy.so``, which enforces
what its network may reach, and ``guest.json``; ``guests/current`` is a link to the one that runs
use.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from drupe import process
from drupe.errors import KernelBuildError
from drupe.kbuild import assets, cpio, toolchain
from drupe.kbuild.kernels import shared_dir
from drupe.kbuild.make import FAILED
from drupe.kbuild.progress import Progress, Reporter, silent
from drupe.store import atomic, paths
from drupe.store.lock import locked

POLICY = "netpolicy.so"

RECIPE = 2
"""Counts up when this code packs something else from the same inputs."""

_SUFFIXES = {".c", ".h", ".S", ".lds", ".mk", ""}
_DIRECTORIES = ("dev", "proc", "sys", "newroot", "lower", "layer")


def build_initramfs(report: Reporter = silent) -> Path:
    """Builds the initramfs, or finds it ready, and makes it the one that runs use.

    Raises:
        NotFoundError: the guest's source is missing.
        HostError: a tool is missing, or the disk is full.
        KernelBuildError: the compiler refused.
    """
    sources = (assets.guest_dir(), assets.netpolicy_dir())
    compiler, version = toolchain.guest_compiler()
    key = guest_key(sources, version)
    for base in paths.data_dirs():
        ready = base / "guests" / key[:16]
        if (ready / "guest.json").is_file() and (ready / "initramfs.cpio").is_file():
            break
    else:
        with locked(paths.private_dir(paths.cache_home()) / ".guest.lock"):
            report(Progress("build guest", compiler))
            output = _compile(sources, key, compiler)
            ready = _install(key, version, output)
            shutil.rmtree(output, ignore_errors=True)
    atomic.replace_link(shared_dir(paths.data_home() / "guests") / "current", ready)
    return ready / "initramfs.cpio"


def is_current(initramfs: Path) -> bool:
    """Whether it was built from the sources that this drupe has, by the compiler that there is.

    Raises:
        HostError: there is no compiler, so nobody can tell.
        NotFoundError: the sources are missing.
    """
    sources = (assets.guest_dir(), assets.netpolicy_dir())
    key = guest_key(sources, toolchain.guest_compiler()[1])
    return initramfs.parent.name == key[:16]


def guest_key(sources: Sequence[Path], compiler: str) -> str:
    """The key of a guest: the hash of its sources, its compiler and how it is packed."""
    digest = hashlib.sha256(f"{RECIPE}\0{compiler}\0".encode())
    for source in sources:
        for path in sorted(source.rglob("*")):
            if path.suffix in _SUFFIXES and path.is_file():
                content = path.read_bytes()
                digest.update(f"{path.relative_to(source)}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()


def pack(init: bytes) -> bytes:
    """The initramfs around an init: what it needs before it has mounted anything."""
    return cpio.archive(
        [
            *(cpio.directory(name) for name in _DIRECTORIES),
            cpio.character_device("dev/console", 5, 1),
            cpio.program("init", init),
        ]
    )


def _compile(sources: Sequence[Path], key: str, compiler: str) -> Path:
    """The directory with the programs."""
    output = paths.private_dir(paths.cache_home() / "guest" / key[:16])
    log = output / "drupe.log"
    log.write_bytes(b"")
    for source, program in zip(sources, ("init", POLICY), strict=True):
        _make(source, output, log, compiler)
        if not (output / program).is_file():
            raise KernelBuildError(f"failed to compile '{source}': make left no {program}")
    return output


def _make(source: Path, output: Path, log: Path, compiler: str) -> None:
    tail: list[str] = []
    jobs = len(os.sched_getaffinity(0))
    status = process.run_logged(
        ["make", f"-j{jobs}", "-C", str(source), f"O={output}", f"CC={compiler}"],
        log,
        env=toolchain.environment(source),
        on_line=tail.append,
    )
    if status != 0:
        lines = [line for line in tail if FAILED.search(line)][:12] or tail[-12:]
        raise KernelBuildError(
            f"failed to compile '{source}': make ended with status {status}:\n" + "\n".join(lines),
            log=str(log),
            hint=f"the whole log: {log}",
        )


def _install(key: str, compiler: str, output: Path) -> Path:
    final = shared_dir(paths.data_home() / "guests") / key[:16]
    with atomic.new_directory(final) as directory:
        atomic.write_bytes(
            directory / "initramfs.cpio", pack((output / "init").read_bytes()), mode=0o644
        )
        atomic.write_bytes(directory / POLICY, (output / POLICY).read_bytes(), mode=0o644)
        facts = json.dumps({"key": key, "compiler": compiler}, indent=1).encode() + b"\n"
        atomic.write_bytes(directory / "guest.json", facts, mode=0o644)
    return final
