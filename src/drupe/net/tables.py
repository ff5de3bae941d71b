"""The file by which the passts of all containers share what their tables have in common.

passt fills 20 MB of tables before it begins, nearly the same in each. The first one writes them to
a file, from which the others map what is like theirs (``netpolicy/memory.c``). Without it each
has its own, which is no error.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from drupe.errors import HostError
from drupe.store.paths import cache_home, private_dir


class Tables:
    """The file that is there, or one to be written.

    Attributes:
        descriptor: of the file; -1: there can be none.
    """

    def __init__(self, program: Path, told: Sequence[str]) -> None:
        """Opens it, for this passt and what each of its kind is told to do."""
        self.descriptor = -1
        self._new: Path | None = None
        with suppress(OSError, HostError):
            there = program.stat()
            words = zlib.crc32("\0".join(told).encode())
            name = f"{there.st_ino:x}-{there.st_size:x}-{there.st_mtime_ns:x}-{words:x}"
            path = cache_home() / "passt" / name
            try:
                self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                flags = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
                self.descriptor = os.open(private_dir(path.parent), flags, 0o600)
                self._new = path

    @property
    def inherit(self) -> tuple[int, ...]:
        """What passt is to inherit."""
        return (self.descriptor,) if self.descriptor >= 0 else ()

    def keep(self) -> None:
        """Gives what passt has written its name, for the next ones."""
        if self._new is not None and os.fstat(self.descriptor).st_size:
            with suppress(OSError):  # somebody else was as quick
                # The link is followed only where a directory is named, which is of no other use
                own = f"/proc/self/fd/{self.descriptor}"
                os.link(own, self._new, src_dir_fd=self.descriptor)
        self._new = None

    def close(self) -> None:
        """Lets go of it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
