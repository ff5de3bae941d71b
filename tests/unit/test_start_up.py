"""Start-up time is part of the product: what a run must not import, as each costs milliseconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import drupe

SLOW = {
    "asyncio", "bz2", "dataclasses", "hashlib", "inspect", "locale", "logging", "secrets",
    "shutil", "subprocess", "tempfile", "urllib.request",
    "drupe.api", "drupe.aio", "drupe.kconfig", "drupe.kbuild.build",
    "drupe.kbuild.initramfs", "drupe.image.busybox", "drupe.platform.probe",
}  # fmt: skip


@pytest.mark.parametrize("verb", ["run", "exec", "ps", "stop", "rm"])
def test_a_verb_imports_nothing_slow(verb: str) -> None:
    source = str(Path(drupe.__file__).parent.parent)
    script = (
        f"import sys; sys.path.insert(0, {source!r})\n"
        f"import drupe.cli.main, drupe.cli.parser, drupe.cli.{verb}, drupe.platform.um\n"
        f"drupe.cli.parser.make_parser({verb!r}, 'x', drupe.cli.{verb})\n"
        f"print(*sorted({SLOW!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-ISc", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
