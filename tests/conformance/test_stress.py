"""stress-ng, class by class, in a container: it verifies what it does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conformance.conftest import Containers
from tests.conformance.differences import Differences
from tests.conformance.native import needs_root, run_in_tree
from tests.conformance.tree import IMAGE, Tree

STRESSORS = {
    "cpu": "cpu matrix vecmath bsearch qsort tsearch hash crypt str wcs zlib funccall longjmp",
    "vm": "vm mmap mmapfork mremap mprotect brk stack bigheap madvise mincore msync userfaultfd "
    "shm memfd vm-splice vm-addr mlock fault remap",
    "scheduler": "switch context yield futex mutex sem sem-sysv fork vfork clone exec daemon "
    "pthread wait zombie affinity schedpolicy nanosleep poll epoll eventfd cyclic resched",
    "signal": "signal sigabrt sigchld sigfd sigfpe sigio signest sigpending sigpipe sigq sigrt "
    "sigsegv sigsuspend sigtrap timer timerfd itimer alarm kill",
    "pipe": "pipe pipeherd fifo splice tee vm-splice",
    "network": "sock sockfd sockmany sockpair udp dgram netlink-proc",
    "memory": "malloc memcpy memthrash stream lockbus membarrier mcontend atomic cache icache "
    "zero null full prefetch",
}
"""The stressors of each class that check their results or exercise calls; others only heat."""

SLACK_S = 300
_FAILED = re.compile(rb"^stress-ng: (?:fail|error): .*$", re.M)


def failed(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Whether it says so; 3 and 4 are for a stressor that cannot be tried, and said why."""
    return done.returncode not in {0, 3, 4} or bool(_FAILED.search(done.stdout))


def fails_on_the_host(tree: Tree, scratch: Path, command: tuple[str, ...]) -> bool:
    scratch.mkdir()
    return failed(run_in_tree(tree, command, scratch=scratch, shared={}, timeout_s=SLACK_S))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", STRESSORS)
def test_class(
    name: str,
    tree: Tree,
    containers: Containers,
    load_s: int,
    tmp_path: Path,
    differences: Differences,
) -> None:
    if needs_root():
        pytest.skip(needs_root())
    stressors = STRESSORS[name].split()
    each_s = max(1, load_s // len(stressors))
    problems = []
    for stressor in stressors:
        run = f"stress-ng --{stressor} 2 --timeout {each_s} --verify --oom-avoid --abort 2>&1"
        command = ("sh", "-c", f"cd /tmp && {run}")
        try:
            done = containers.run("-m", "1g", IMAGE, *command, timeout_s=each_s + SLACK_S)
        except subprocess.TimeoutExpired:
            problems.append(f"{stressor}: no end")
            continue
        if failed(done) and not fails_on_the_host(tree, tmp_path / stressor, command):
            output = done.stdout.decode(errors="replace")
            problems.append(f"{stressor}: status {done.returncode}: {output[-800:]}")
    known = [text for text in problems if differences.find(f"stress/{text.split(':')[0]}")]
    print(f"{name}: {len(stressors)} stressors, known differences: {known}")  # noqa: T201
    new = [text for text in problems if text not in known]
    assert not new, "\n".join(new)
