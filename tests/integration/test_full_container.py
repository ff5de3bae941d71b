"""The host's disk is full while a container runs: its programs are told, and it goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.house import SLEEP, House
from tests.house import house as house  # noqa: PLC0414 (a fixture)
from tests.house import pantry as pantry  # noqa: PLC0414 (a fixture)
from tests.house import platform as platform  # noqa: PLC0414 (a fixture)
from tests.integration.conftest import Cli

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size, at a directory that is made."""
    path.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_the_layer_of_a_container(house: House, cli: Cli, tmp_path: Path) -> None:
    """After a restart, and with room, all is well again."""
    big = tmp_path / "big"
    big.write_bytes(os.urandom(30 << 20))
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path / "state", 24))
        stack.callback(house.clear)
        cli("run", "-d", "--name", "c", *SLEEP)
        cli("exec", "c", "sh", "-c", "echo kept >/kept; sync")
        (disk / "filler").write_bytes(bytes(4 << 20))
        fill = "dd if=/dev/urandom of=/big bs=1M count=30 conv=fsync"
        told = cli("exec", "c", "sh", "-c", fill, status=1).stderr
        assert b"No space left on device" in told or b"I/O error" in told
        assert cli.out("exec", "c", "echo", "alive") == "alive"
        refused = cli("cp", str(big), "c:/more", status=None)
        assert refused.returncode == 125, refused
        assert b"Traceback" not in refused.stderr
        assert b"'more'" in refused.stderr
        house.check("full")
        (disk / "filler").unlink()
        cli("restart", "-t", "0", "c")
        cli("exec", "c", "sh", "-c", "rm -f /big /more; echo more >/again; sync")
        assert cli.out("exec", "c", "cat", "/kept", "/again") == "kept\nmore"
        cli("rm", "-f", "c")
        assert sum(path.stat().st_blocks for path in disk.rglob("*") if path.is_file()) < 2048


def test_a_volume(house: House, cli: Cli, private_home: object) -> None:
    """The guest has it from the host's own mouth; what is removed is room again."""
    data = Path(os.environ["XDG_DATA_HOME"])
    with ExitStack() as stack:
        stack.enter_context(small_disk(data / "drupe/volumes", 4))
        stack.callback(house.clear)
        cli("run", "-d", "--name", "c", "-v", "data:/data", *SLEEP)
        fill = "dd if=/dev/zero of=/data/big bs=64k count=200"
        for _ in range(2):
            told = cli("exec", "c", "sh", "-c", fill, status=1).stderr
            assert b"No space left on device" in told
            cli("exec", "c", "sh", "-c", "rm /data/big; echo fits >/data/small")
            assert cli.out("exec", "c", "cat", "/data/small") == "fits"
        big = data.parent / "dir/file"
        big.write_bytes(bytes(6 << 20))
        refused = cli("cp", str(big), "c:/data/big", status=125).stderr
        assert b"No space left on device" in refused
        assert b"'big'" in refused
        house.check("full")
