"""The file systems of a container under random and hostile load: a volume, the layer, memory.

The programs are this host's, on a directory root: what is tried is where they write to.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conformance.conftest import HERE, Containers
from tests.conformance.differences import Differences

PLACES = {"volume": "/volume", "layer": "/var/tmp", "memory": "/dev/shm"}

STRESSORS = (
    "access chdir chmod chown copy-file dentry dir dirdeep dirmany dup fallocate fcntl file-ioctl "
    "filename flock fpunch fsize fstat getdent handle hdd inode-flags inotify io iomix lease link "
    "locka lockf lockofd mknod mmap open readahead rename revio seek sendfile splice symlink "
    "sync-file touch utime xattr"
)
"""Those of stress-ng that work on files, and end by themselves on any file system."""

LOADS = {
    "random operations": "python3 /workloads/files.py {place} {seconds}",
    "fio": "fio --name=v --directory={place} --size=32m --time_based --runtime={seconds} "
    "--rw=randrw --bsrange=512-128k --verify=crc32c --verify_backlog=64 --numjobs=2 --fsync=32",
    "stress-ng": "cd {place} && for one in {stressors}; do stress-ng --$one 2 --timeout {each} "
    "--verify --temp-path . 2>&1 || [ $? -gt 2 ] || echo failed: $one; done",
}
"""Load → a command for a shell."""

SLACK_S = 600
_FAILED = re.compile(rb"^(failed: .*|stress-ng: fail.*|.*verify: bad.*|seed .*)$", re.MULTILINE)


def problem_of(done: subprocess.CompletedProcess[bytes]) -> str:
    said = [line.decode(errors="replace") for line in _FAILED.findall(done.stdout)]
    if done.returncode:
        said.append(f"status {done.returncode}: {done.stderr[-500:].decode(errors='replace')}")
    return "; ".join(said[:8])


@pytest.mark.timeout(0)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("load", LOADS)
def test_load(
    load: str,
    place: str,
    containers: Containers,
    load_s: int,
    tmp_path: Path,
    differences: Differences,
) -> None:
    if load in {"fio", "stress-ng"} and shutil.which(load) is None:
        pytest.skip(f"needs {load}")
    count = len(STRESSORS.split())
    each = max(1, load_s // count)
    words = {"seconds": load_s, "stressors": STRESSORS, "each": each}
    command = LOADS[load].format(place=PLACES[place], **words)
    shares = ("-v", f"{tmp_path}:/volume", "-v", f"{HERE / 'workloads'}:/workloads:ro")
    try:
        done = containers.run(
            "-m", "1g", "--rootfs", "/", *shares, "--", "sh", "-c", command,
            timeout_s=count * each + load_s + SLACK_S,
        )  # fmt: skip
        problem = problem_of(done)
    except subprocess.TimeoutExpired:
        problem = "no end"
    if problem:
        words["seconds"] = 5
        native = LOADS[load].format(place=tmp_path, **words)
        native = native.replace("/workloads", str(HERE / "workloads"))
        done = subprocess.run(["sh", "-c", native], capture_output=True, check=False)
        problem = "" if problem_of(done) else problem
    differences.judge(f"files/{load}/{place}", problem)
