"""Downloads over https with a known hash: resumed where they broke off, verified before use."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from drupe.errors import HostError, SpecError
from drupe.kbuild.progress import Progress, Reporter

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60
_TRIES = 3


def sha256_file(path: Path) -> str:
    """The hash of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(url: str, sha256: str, target: Path, report: Reporter) -> None:
    """Makes ``target`` the content of a URL; nothing is fetched where it is already there.

    Raises:
        SpecError: the URL is not https, or what it serves has another hash.
        HostError: the network failed, more than once.
    """
    if not url.startswith("https://"):
        raise SpecError(f"failed to download '{url}': only https is allowed")
    if target.is_file() and sha256_file(target) == sha256:
        return
    partial = target.with_name(f"{target.name}.partial")
    for remaining in reversed(range(_TRIES)):
        try:
            _fetch(url, partial, report)
            break
        except (OSError, HTTPException) as error:
            if remaining == 0 or isinstance(error, urllib.error.HTTPError):
                raise HostError(
                    f"failed to download '{url}': {error}",
                    hint="run the command again: it goes on where it stopped",
                ) from error
    found = sha256_file(partial)
    if found != sha256:
        partial.unlink()
        raise SpecError(
            f"failed to download '{url}': its sha256 is {found}, not {sha256}",
            hint="check --sha256 against the publisher's own list",
        )
    partial.replace(target)


def _fetch(url: str, partial: Path, report: Reporter) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url)  # noqa: S310 (https only, checked by the caller)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to send: the hash will tell
            return
        raise
    with answer:
        if answer.status != 206:
            have = 0
        length = int(answer.headers.get("Content-Length") or 0)
        total = have + length if length else 0
        with partial.open("ab" if have else "wb") as file:
            while chunk := answer.read(_CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                report(Progress("download", url.rsplit("/", 1)[-1], have, total, in_bytes=True))
    if total and have < total:
        raise HTTPException(f"broke off at {have} of {total} bytes")
