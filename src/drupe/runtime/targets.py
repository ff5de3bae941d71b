"""Mount points in a root that the guest can only read: made on the host, before it begins."""

from __future__ import annotations

import os
import posixpath

from drupe._linux.files import open_in_root
from drupe.errors import HostError
from drupe.runtime.layout import OWN, Layout


def make_targets(layout: Layout) -> None:
    """Makes the directories and files that are mounted on, where they are missing.

    No link in the root leads out of it. Where the guest can write its root, it makes them itself.

    Raises:
        HostError: this host refused.
    """
    root = layout.shares[0]
    if not root.readonly:
        return
    wanted = {"/proc": True, "/sys": True, "/dev": True}
    for mount in layout.mounts[1:]:
        # What lies in another mount is made there, by the guest.
        inside = any(mount.target.startswith(f"{other}/") for other in (*wanted, *OWN))
        if not (mount.masked or mount.frozen or inside):
            wanted[mount.target] = not mount.file
    descriptor = os.open(root.source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for target, directory in wanted.items():
            _make(descriptor, target, directory=directory)
    except OSError as error:
        raise HostError(
            f"failed to make mount point '{error.filename or target}' in '{root.source}': "
            f"{error.strerror}"
        ) from error
    finally:
        os.close(descriptor)


def _make(root: int, target: str, *, directory: bool) -> None:
    parent = _directory(root, target if directory else posixpath.dirname(target))
    try:
        if directory:
            return
        name = posixpath.basename(target)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.close(os.open(name, flags, 0o644, dir_fd=parent))
        except FileExistsError:
            return
    finally:
        os.close(parent)


def _directory(root: int, path: str) -> int:
    """A directory in the root, made with its parents where it is missing; a descriptor of it."""
    try:
        return open_in_root(root, path, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        if path == "/":
            raise
    parent = _directory(root, posixpath.dirname(path))
    try:
        os.mkdir(posixpath.basename(path), 0o755, dir_fd=parent)
    finally:
        os.close(parent)
    return open_in_root(root, path, os.O_PATH | os.O_DIRECTORY)
