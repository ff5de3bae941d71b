"""A private copy of a user's own kernel tree, brought up to date file by file.

The user's tree is never written to; unchanged files keep their times, so that make goes on where
it was.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from drupe.errors import HostError

_SKIP = {".git", ".config"}
_SUFFIXES = (".o", ".a", ".cmd", ".ko", ".mod")


def snapshot(source: Path) -> dict[str, tuple[int, int]]:
    """Size and time (ns) of every file of a tree by relative path; git's and make's left out."""
    found: dict[str, tuple[int, int]] = {}
    for directory, names, files in os.walk(source):
        names[:] = sorted(set(names) - _SKIP)
        base = os.path.relpath(directory, source)
        links = [name for name in names if Path(directory, name).is_symlink()]
        for name in files + links:
            if name in _SKIP or name.endswith(_SUFFIXES):
                continue
            status = os.lstat(f"{directory}/{name}")
            path = name if base == "." else f"{base}/{name}"
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


def identity(files: dict[str, tuple[int, int]]) -> str:
    """A short name for the state of a tree."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{files[path]}\n".encode())
    return digest.hexdigest()[:16]


def update(
    source: Path,
    target: Path,
    files: dict[str, tuple[int, int]],
    before: dict[str, tuple[int, int]],
) -> int:
    """Makes the copy's files those of ``files``; returns how many were copied.

    ``before`` is what the copy was made from: only what differs from it is touched.

    Raises:
        HostError: a file cannot be read or written.
    """
    copied = 0
    try:
        for path in before.keys() - files.keys():
            (target / path).unlink(missing_ok=True)
        for path, status in files.items():
            if before.get(path) == status:
                continue
            destination = target / path
            destination.parent.mkdir(parents=True, exist_ok=True)
            destination.unlink(missing_ok=True)
            shutil.copy2(source / path, destination, follow_symlinks=False)
            copied += 1
    except OSError as error:
        raise HostError(f"failed to copy '{error.filename}': {error.strerror}") from error
    return copied
