"""Kernel sources: Debian's, a directory, a tarball, or a URL; each a tree in the cache.

A source's directory holds ``tree/`` (patched in place by ``overlay``), ``source.json`` and the
overlay's own notes. Who changes it holds its lock.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from drupe.errors import CommandError, HostError, SpecError
from drupe.kbuild import debian, extract, mirrortree, overlay
from drupe.kbuild.download import download, sha256_file
from drupe.kbuild.progress import Progress, Reporter
from drupe.kbuild.versions import Versions
from drupe.store import atomic, paths
from drupe.store.lock import locked


@dataclass(frozen=True, slots=True)
class Source:
    """A kernel source in the cache.

    Attributes:
        name: of its directory in the cache.
        kind: ``debian``, ``directory``, ``tarball`` or ``url``.
        identity: what the build key takes: changes when the source does.
        version: Linux's, such as ``7.3.4``.
    """

    name: str
    kind: str
    identity: str
    version: str

    @property
    def directory(self) -> Path:
        """Its directory in the cache."""
        return _home() / self.name

    @property
    def tree(self) -> Path:
        """The kernel tree."""
        return self.directory / "tree"


def obtain(wanted: str | None, sha256: str | None, versions: Versions, report: Reporter) -> Source:
    """Makes a source present in the cache.

    Args:
        wanted: a directory, a tarball, an https URL; None for Debian's package.
        sha256: of what the URL serves, in hexadecimal; required with a URL.
        versions: which versions are known to work.
        report: told of what goes on.

    Raises:
        SpecError: ``wanted`` is none of these, or not a kernel source.
        HostError: no source can be had on this machine, or the network failed.
        CommandError: apt or tar failed.
    """
    if sha256 is not None and (len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef")):
        raise SpecError(f"failed to read '{sha256}': not a sha256 in hexadecimal")
    if wanted is None:
        return _debian(versions, report)
    if "://" in wanted:
        if sha256 is None:
            raise SpecError(
                f"failed to download '{wanted}': its hash is not known", hint="give --sha256 HASH"
            )
        return _url(wanted, sha256.lower(), report)
    path = Path(wanted).expanduser().absolute()
    if path.is_dir():
        return _directory(path, report)
    if path.is_file():
        digest = sha256_file(path)
        if sha256 not in (None, digest):
            raise SpecError(f"failed to read '{path}': its sha256 is {digest}, not {sha256}")
        return _tarball(path, digest, "tarball", report)
    raise SpecError(f"failed to read source '{wanted}': no such file or directory")


def known() -> list[Source]:
    """The sources in the cache, newest first."""
    found = []
    for path in _home().glob("*/source.json"):
        try:
            found.append((path.stat().st_mtime, Source(**json.loads(path.read_bytes()))))
        except (OSError, ValueError, TypeError):
            continue
    return [source for _, source in sorted(found, key=lambda pair: -pair[0])]


@contextmanager
def holding(name: str, report: Reporter) -> Iterator[None]:
    """Holds the lock of a source for the block, waiting for other builds.

    Raises:
        HostError: the lock cannot be opened.
    """
    path = paths.private_dir(_home()) / f".{name}.lock"
    with locked(path, wait=False) as held:
        if held:
            yield
            return
    report(Progress("wait", f"another build uses {name}"))
    with locked(path):
        yield


def _home() -> Path:
    return paths.cache_home() / "source"


def _debian(versions: Versions, report: Reporter) -> Source:
    cached = {source.version: source for source in known() if source.kind == "debian"}
    tested = [version for version in versions.tested() if version in cached]
    if tested and tested[0] == versions.tested()[0]:
        return cached[tested[0]]
    try:
        offer, package = debian.fetch(versions, report)
    except (HostError, CommandError):
        if tested:
            return cached[tested[0]]
        raise
    name = f"debian-{offer.version.replace('~', '_')}"
    with holding(name, report):
        target = _home() / name / "tree"
        if not target.exists():
            report(Progress("extract", f"{offer.package} {offer.version}"))
            target.parent.mkdir(exist_ok=True)
            extract.extract_deb(package, offer.package, target)
        source = _record(name, "debian", f"debian {offer.version}")
    package.unlink(missing_ok=True)
    return source


def _url(url: str, sha256: str, report: Reporter) -> Source:
    name = f"url-{sha256[:16]}"
    target = paths.private_dir(_home()) / f".{name}{''.join(Path(url).suffixes[-2:])}"
    with holding(f"{name}.download", report):
        if not (_home() / name / "source.json").exists():
            download(url, sha256, target, report)
    source = _tarball(target, sha256, "url", report)
    target.unlink(missing_ok=True)
    return source


def _tarball(path: Path, sha256: str, kind: str, report: Reporter) -> Source:
    name = f"{kind}-{sha256[:16]}"
    with holding(name, report):
        target = _home() / name / "tree"
        if not target.exists():
            report(Progress("extract", path.name))
            target.parent.mkdir(exist_ok=True)
            extract.extract_tarball(path, target)
        return _record(name, kind, f"sha256 {sha256}")


def _directory(path: Path, report: Reporter) -> Source:
    extract.kernel_version(path)
    name = f"directory-{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    with holding(name, report):
        directory = _home() / name
        directory.mkdir(exist_ok=True)
        notes = directory / "files.json"
        files = mirrortree.snapshot(path)
        before: dict[str, tuple[int, int]] = {}
        if notes.exists():
            before = {key: (size, at) for key, (size, at) in atomic.read_json(notes).items()}
        elif (directory / "tree").exists():  # a first copy that broke off
            shutil.rmtree(directory / "tree")
        if files != before:
            report(Progress("copy", str(path)))
            overlay.restore(directory)
            mirrortree.update(path, directory / "tree", files, before)
            atomic.write_json(notes, files)
        return _record(name, "directory", f"directory {mirrortree.identity(files)}")


def _record(name: str, kind: str, identity: str) -> Source:
    source = Source(name, kind, identity, extract.kernel_version(_home() / name / "tree"))
    atomic.write_json(_home() / name / "source.json", asdict(source))
    return source
