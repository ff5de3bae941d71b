"""The standard descriptors. Every verb begins with them, so little is imported here."""

from __future__ import annotations

import os


def open_standard_descriptors() -> None:
    """Puts /dev/null where the caller closed one: no file of drupe's may take its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
