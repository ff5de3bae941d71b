"""Where things are kept, and who may enter."""

from __future__ import annotations

import os
from pathlib import Path

from drupe.store.paths import private_dir


def test_parents_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = private_dir(tmp_path / "state" / "drupe" / "containers")
    finally:
        os.umask(before)
    for directory in (made, made.parent, made.parent.parent):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_directories_that_are_there_keep_their_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path)
    private_dir(tmp_path / "link" / "drupe")
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "drupe").is_dir()
