"""What the network of a container that never speaks takes of the host's memory."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.integration.conftest import Cli

if shutil.which("passt") is None:
    pytest.fail("no passt: run tools/setup.sh", pytrace=False)

LIMIT_KIB = 4096
"""passt's own tables are 20 MB."""


def own_kib(pid: int) -> int:
    """What no other process has."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"^Anonymous:\s+(\d+) kB$", text, re.M)[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to look at the memory of passt")
def test_networks_share_their_tables(cli: Cli) -> None:
    for name in "ab":  # the first one may have to make the file that they are shared by
        cli("run", "-d", "--name", name, "busybox", "sleep", "60")
        told = json.loads(cli.out("inspect", "-f", "{{json .Drupe}}", name))
        process = json.loads(Path(told["directory"], "network.json").read_text())["pid"]
        deadline = time.monotonic() + 10
        while (taken := own_kib(process)) > LIMIT_KIB:
            assert time.monotonic() < deadline, f"{name}: {taken} KiB"
            time.sleep(0.05)
        cli("rm", "-f", name)
