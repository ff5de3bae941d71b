"""Long use leaves nothing behind: no process, descriptor or mapping, and no guest memory."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.conftest import HERE, Containers
from tests.conformance.toolchain import Programs
from tests.conformance.tree import IMAGE, Tree

MEMORY_KIB = 24 * 1024
"""How much less memory may be free after the rounds: slabs and page tables that may be reused."""

MAPPINGS_MOST = 16_000
"""How many mappings the container's processes may have: a quarter of what the host allows one.

What the kernel's vmalloc frees it unmaps late: up to 32 MiB, each page a mapping of the host.
"""

POOL = 4
"""How many host processes may wait for an address space, on platform um."""

SETTLE_S = 30
"""How long what was killed for its memory may take to go."""


@dataclass(frozen=True)
class Footprint:
    """What a container takes at one moment."""

    processes: int
    descriptors: int
    mappings: int
    free_kib: int
    guest_processes: int

    def __str__(self) -> str:
        return (
            f"{self.processes} host processes, {self.descriptors} descriptors, "
            f"{self.mappings} mappings, {self.guest_processes} guest processes, "
            f"{self.free_kib} KiB free"
        )


class Endurance:
    """A detached container that does the same several times."""

    def __init__(self, containers: Containers, *args: str) -> None:
        self.containers = containers
        where = ("--platform", containers.platform, "--kernel", containers.kernel)
        self.name = "endurance"
        containers.cli("run", "-d", "--name", self.name, *where, *args)

    def exec(self, *command: str, timeout_s: float = 1200) -> str:
        """Runs a command that must succeed; returns its output."""
        argv = self.containers.cli.argv("exec", self.name, *command)
        done = subprocess.run(
            argv,
            env=self.containers.cli.env,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, (command, done.returncode, done.stderr[-2000:])
        return done.stdout.decode()

    def footprint(self) -> Footprint:
        """What it takes now, after its caches were dropped."""
        shell = "sync; echo 3 >/proc/sys/vm/drop_caches; sleep 0.5; grep MemFree /proc/meminfo"
        free = int(self.exec("sh", "-c", shell).split()[1])
        # Threads of the kernel, which come and go with what is to do, execute no file.
        guest = len(self.exec("sh", "-c", "readlink /proc/[0-9]*/exe || true").splitlines())
        told = json.loads(self.containers.cli.out("inspect", "-f", "{{json .Drupe}}", self.name))
        processes = list(family(told["state"]["pid"]))
        return Footprint(
            processes=len(processes),
            descriptors=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in processes),
            mappings=sum(
                len(Path(f"/proc/{pid}/maps").read_text().splitlines()) for pid in processes
            ),
            free_kib=free,
            guest_processes=guest,
        )

    def end(self) -> None:
        self.containers.cli("kill", self.name, status=None)
        self.containers.cli("rm", "-f", self.name, status=None)


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from family(int(child))


def hold(endurance: Endurance, rounds: int, *command: str) -> None:
    """Does it once to warm up, then several times, and compares."""
    try:
        endurance.exec(*command)
        before = endurance.footprint()
        for _ in range(rounds):
            endurance.exec(*command)
        after = endurance.footprint()
        print(f"before: {before}\nafter {rounds} rounds: {after}")  # noqa: T201
        assert after.guest_processes <= before.guest_processes + 1
        assert after.processes <= before.processes + 1
        assert after.descriptors <= before.descriptors + 8
        assert after.mappings <= MAPPINGS_MOST
        assert after.free_kib >= before.free_kib - MEMORY_KIB
    finally:
        endurance.end()


CHURN = (
    ("processes", "an_exec_chain"),
    ("processes", "many_children_at_once"),
    ("processes", "fork_copies_memory"),
    ("threads", "five_hundred_at_once"),
    ("threads", "exec_while_threads_run"),
    ("memory", "many_mappings_that_are_used"),
    ("memory", "a_tebibyte_of_nothing"),
    ("syscall_forms", "many_sites"),
    ("signals", "siglongjmp_out_of_handlers"),
)


@pytest.mark.timeout(0)
def test_programs_leave_nothing(containers: Containers, programs: Programs, load_s: int) -> None:
    endurance = Endurance(containers, "-m", "1g", "--rootfs", "/", "--", "sleep", "100000")
    script = "; ".join(f"{programs.path(program)} {case}" for program, case in CHURN)
    hold(endurance, max(3, load_s // 20), "sh", "-c", f"set -e; {script}")


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", ["redis", "nginx", "sqlite"])
def test_applications_leave_nothing(
    name: str, containers: Containers, tree: Tree, load_s: int
) -> None:
    volume = ("-v", f"{HERE / 'workloads'}:/workloads:ro", "-m", "2g")
    endurance = Endurance(containers, *volume, IMAGE, "sleep", "100000")
    work = f"python3.11 /workloads/{name}.py {max(3, load_s // 6)}"
    hold(endurance, 4, "sh", "-c", f"{work} && find /tmp -mindepth 1 -delete")


GREEDY = """
i=0
while [ $i -lt {rounds} ]; do
    CONFORMANCE_ALL_MEMORY=1 {program} taking_all_memory
    echo $?
    i=$((i + 1))
done
"""


@pytest.mark.timeout(0)
def test_a_program_that_takes_all_memory_is_killed_alone(
    containers: Containers, programs: Programs, load_s: int
) -> None:
    endurance = Endurance(containers, "-m", "192m", "--rootfs", "/", "--", "sleep", "100000")
    try:
        before = endurance.footprint()
        rounds = max(3, load_s // 6)
        greedy = GREEDY.format(rounds=rounds, program=programs.path("memory"))
        found = endurance.exec("sh", "-c", f"{{ {greedy} }} 2>/dev/null").split()
        assert found == ["137"] * rounds
        # Several at once, and a bystander who only looks at the clock.
        all_memory = f"CONFORMANCE_ALL_MEMORY=1 {programs.path('memory')} taking_all_memory"
        many = f"for i in 1 2 3 4; do {all_memory} & done; wait; date"
        endurance.exec("sh", "-c", many)
        deadline = time.monotonic() + SETTLE_S
        while (after := endurance.footprint()).processes > before.processes + 1 + POOL:
            assert time.monotonic() < deadline, f"before: {before}, after: {after}"
        print(f"before: {before}\nafter: {after}")  # noqa: T201
        assert after.guest_processes <= before.guest_processes + 1
        assert after.free_kib >= before.free_kib - MEMORY_KIB
        assert endurance.exec("echo", "still here") == "still here\n"
    finally:
        endurance.end()


@pytest.mark.timeout(0)
def test_full_files_leave_the_container_alive(containers: Containers) -> None:
    """The tmpfs layer is limited: who fills it is told so."""
    endurance = Endurance(containers, "-m", "192m", "busybox", "sleep", "100000")
    try:
        fill = "dd if=/dev/zero of=/fill bs=1M 2>&1 | tail -1; rm /fill; echo alive >/after"
        for _ in range(3):
            endurance.exec("sh", "-c", fill)
            assert endurance.exec("cat", "/after") == "alive\n"
    finally:
        endurance.end()
