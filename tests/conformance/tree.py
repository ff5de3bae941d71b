"""The Debian tree."""

from __future__ import annotations

from typing import NamedTuple
from pathlib import Path

class Tree(NamedTuple):
    directory: Path

def make_tree() -> Tree:
    raise NotImplementedError
