"""Debian's kernel source packages, by apt with lists of its own: no root, no system change.

apt checks the archive's signatures and the package's hash.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from drupe import process
from drupe.errors import CommandError, HostError
from drupe.kbuild.mirror import debian_archive, read_repositories
from drupe.kbuild.progress import Progress, Reporter
from drupe.kbuild.versions import Versions, numeric
from drupe.store import paths

_KEYRINGS = tuple(
    Path(f"/usr/share/keyrings/debian-archive-keyring.{suffix}") for suffix in ("gpg", "pgp")
)
_OTHER_SOURCE = "or give a source: --source DIR, --source TARBALL, or an https URL with --sha256"


@dataclass(frozen=True, slots=True)
class Offer:
    """A source package that a suite offers.

    Attributes:
        package: such as ``linux-source-7.3``.
        version: Debian's, such as ``7.3.4-1~bpo13+1``.
    """

    package: str
    version: str

    @property
    def upstream(self) -> str:
        """Linux's own version, such as ``7.3.4``."""
        return re.split(r"[-~+]", self.version, maxsplit=1)[0]


def parse_madison(text: str) -> list[Offer]:
    """Reads what ``apt-cache madison`` prints; source lines and other packages are left out."""
    offers = []
    for line in text.splitlines():
        columns = [column.strip() for column in line.split("|")]
        if (
            len(columns) == 3
            and columns[2].endswith(" Packages")
            and re.fullmatch(r"linux-source-\d+\.\d+", columns[0])
        ):
            offers.append(Offer(columns[0], columns[1]))
    return offers


def choose(offers: list[Offer], versions: Versions) -> Offer | None:
    """The offer to take: a tested version by rank, else the newest of the major version."""
    for wanted in versions.tested():
        for offer in offers:
            if offer.upstream == wanted:
                return offer
    broken = {entry.version for entry in versions.known if entry.status == "broken"}
    rest = [
        offer
        for offer in offers
        if numeric(offer.upstream)[:1] == (versions.major,) and offer.upstream not in broken
    ]
    return max(rest, key=lambda offer: numeric(offer.upstream), default=None)


class Apt:
    """apt with a state directory, and so lists and downloads, of its own."""

    def __init__(self, archive: str, keyring: Path) -> None:
        self._archive = archive
        self._keyring = keyring
        self._base = paths.private_dir(paths.cache_home() / "apt")

    def offers(self, suite: str) -> list[Offer]:
        """Fetches a suite's lists and returns the kernel sources that it offers.

        Raises:
            CommandError: apt cannot fetch or verify the lists.
            HostError: there is no apt.
        """
        options = self._options(suite)
        process.run(["apt-get", *options, "-q", "update"])
        names = process.run(
            ["apt-cache", *options, "search", "--names-only", r"^linux-source-[0-9]+\.[0-9]+$"]
        )
        packages = [line.split()[0] for line in names.decode().splitlines() if line.strip()]
        if not packages:
            return []
        madison = process.run(["apt-cache", *options, "madison", *sorted(packages)])
        return parse_madison(madison.decode())

    def download(self, suite: str, offer: Offer) -> Path:
        """Downloads a package, going on where an earlier try broke off; returns its path.

        Raises:
            CommandError: apt cannot fetch it, or its hash is wrong.
        """
        directory = paths.private_dir(self._base / "packages")
        argv = ["apt-get", *self._options(suite), "-q", "download"]
        argv.append(f"{offer.package}={offer.version}")
        try:
            process.run(argv, cwd=directory)
        except CommandError:
            for leftover in directory.glob(f"{offer.package}_*"):
                leftover.unlink()
            process.run(argv, cwd=directory, hint=f"check the network, {_OTHER_SOURCE}")
        found = sorted(directory.glob(f"{offer.package}_*.deb"), key=lambda p: p.stat().st_mtime)
        if not found:
            raise HostError(f"failed to download '{offer.package}': apt left no file")
        return found[-1]

    def _options(self, suite: str) -> list[str]:
        base = self._base / suite
        for part in ("lists/partial", "cache/archives/partial"):
            (base / part).mkdir(parents=True, exist_ok=True)
        sources = base / "sources.list"
        sources.write_text(f"deb [signed-by={self._keyring}] {self._archive} {suite} main\n")
        settings = {
            "Dir::Etc::SourceList": sources,
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": base / "lists",
            "Dir::Cache": base / "cache",
            "Dir::State::status": "/dev/null",
            "Acquire::Languages": "none",
            "Acquire::Retries": 3,
        }
        if os.geteuid() == 0:
            settings["APT::Sandbox::User"] = "root"
        return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def fetch(versions: Versions, report: Reporter) -> tuple[Offer, Path]:
    """Chooses and downloads a kernel source package; returns it and the path of its .deb.

    Raises:
        HostError: this is no Debian machine, no suite can be read, or none offers a source.
        CommandError: the download failed.
    """
    archive, codename, keyring = _machine()
    apt = Apt(archive, keyring)
    found: list[tuple[str, Offer]] = []
    failure: CommandError | None = None
    suites = [suite.format(codename=codename) for suite in versions.suites]
    for suite in dict.fromkeys(suite for suite in suites if not suite.startswith("-")):
        report(Progress("look for source", f"Debian {suite}"))
        try:
            found += [(suite, offer) for offer in apt.offers(suite)]
        except CommandError as error:
            failure = error
            continue
        best = choose([offer for _, offer in found], versions)
        if best is not None and [best.upstream] == versions.tested()[:1]:
            break
    best = choose([offer for _, offer in found], versions)
    if best is None:
        raise HostError(
            f"failed to find 'linux-source-{versions.major}': no suite of {', '.join(suites)} "
            "offers it" + (f" ({failure})" if failure else ""),
            hint=f"check the network, {_OTHER_SOURCE}",
        ) from failure
    suite = next(suite for suite, offer in found if offer == best)
    report(Progress("download", f"{best.package} {best.version}"))
    return best, apt.download(suite, best)


def _machine() -> tuple[str, str, Path]:
    """The machine's archive, its release's name, and the keyring that signs the archive."""
    release = _os_release(Path("/etc/os-release"))
    codename = release.get("VERSION_CODENAME", "")
    archive = None
    if release.get("ID") == "debian":
        archive = debian_archive(read_repositories(Path("/etc/apt")), codename)
    if archive is None:
        raise HostError(
            "failed to find 'linux-source': this machine's apt knows no Debian archive",
            hint=f"run on Debian, {_OTHER_SOURCE}",
        )
    for keyring in _KEYRINGS:
        if keyring.is_file():
            return archive, codename, keyring
    raise HostError(
        f"failed to find '{_KEYRINGS[0]}': the archive's signatures cannot be checked",
        hint=f"install debian-archive-keyring, {_OTHER_SOURCE}",
    )


def _os_release(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: value.strip("\"'") for key, _, value in pairs}
