"""strace and gdb in a container: what they tell is what they tell on the host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.conftest import HERE, Containers
from tests.conformance.differences import Differences
from tests.conformance.native import needs_root, run_in_tree
from tests.conformance.tree import IMAGE, Tree

BUILD = "set -e; cd /tmp; gcc -g -O0 -pthread -o debugged /workloads/debugged.c\n"

TRACE = """
strace -f -o calls ./debugged >/dev/null || test $? = 7
strace -o names /bin/echo hello >/dev/null
strace -c -o counted /bin/echo hello >/dev/null
strace -e inject=getpid:retval=4711 -o injected ./debugged >injected.out || test $? = 7
cat calls; echo ==; sed 's/(.*//' names; echo ==; cat counted; echo ==; cat injected.out
"""

DEBUG = """
cat >script <<'END'
set pagination off
set debuginfod enabled off
set can-use-hw-watchpoints 0
break inner
run
echo [one]\\n
bt
finish
echo [two]\\n
next
step
info threads
delete
break inner if value == 4
continue
echo [three]\\n
print value
print total
print $_siginfo
call inner(100)
print total
stepi
x/2i $pc
watch total
continue
echo [four]\\n
delete
continue
END
gdb -batch -x script ./debugged 2>&1
echo ==
sleep 100 &
gdb -batch -p $! -ex bt 2>&1
kill $!
"""

WATCH = """
gdb -batch -ex 'break main' -ex run -ex 'watch total' -ex continue ./debugged 2>&1
"""

CRASH = """
gdb -batch -ex run -ex bt -ex 'print $_siginfo._sifields._sigfault.si_addr' \\
    --args ./debugged crash 2>&1 || true
"""


class Sides:
    """Runs a script in the tree, on the host and in a container."""

    def __init__(self, tree: Tree, containers: Containers, scratch: Path) -> None:
        self.tree, self.containers, self.scratch = tree, containers, scratch

    def __call__(self, script: str) -> tuple[str, str]:
        """The outputs, the host's first."""
        argv = ("bash", "-c", BUILD + script)
        shared = {HERE / "workloads": "/workloads"}
        native = run_in_tree(self.tree, argv, scratch=self.scratch, shared=shared, timeout_s=300)
        volume = ("-v", f"{HERE / 'workloads'}:/workloads:ro", "-m", "1g")
        done = self.containers.run(*volume, IMAGE, *argv, timeout_s=600)
        assert native.returncode == 0, native.stderr.decode()
        assert done.returncode == 0, done.stderr.decode()
        return native.stdout.decode(), done.stdout.decode()


@pytest.fixture
def sides(tree: Tree, containers: Containers, tmp_path: Path) -> Sides:
    if needs_root():
        pytest.skip(needs_root())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Sides(tree, containers, scratch)


@pytest.mark.timeout(1000)
def test_strace(sides: Sides) -> None:
    native, done = sides(TRACE)
    for output in (native, done):
        calls, names, counted, injected = output.split("==\n")
        assert re.search(
            r'execve\("./debugged", \["./debugged"\], 0x\w+ /\* \d+ vars \*/\) = 0', calls
        )
        assert re.search(r"clone3?\(.*CLONE_VM\|CLONE_FS\|CLONE_FILES", calls)
        assert re.search(r'write\(1, "pid \d+ total \d+\\n", \d+\) = \d+', calls)
        assert "+++ exited with 7 +++" in calls
        assert "execve" in names
        assert re.search(r"\d+ +write\n", counted) or re.search(r"\d+\s+write", counted)
        assert injected.startswith("pid 4711 ")
    # Which calls a program makes is the same, in the same order.
    assert names_of(native) == names_of(done)


def names_of(output: str) -> list[str]:
    return output.split("==\n")[1].split()


@pytest.mark.timeout(1000)
def test_gdb(sides: Sides) -> None:
    for output in sides(DEBUG):
        debugged, attached = output.split("==\n")
        one = debugged.split("[one]")[1].split("[two]")[0]
        assert re.search(r"#0  inner \(value=11\)", one)
        assert re.search(r"#1 .* outer \(value=10\)", one)
        assert re.search(r"#2 .* thread_body", one)
        assert "Value returned is $1 = 22" in one
        two = debugged.split("[two]")[1].split("[three]")[0]
        assert len(re.findall(r"Thread 0x\w+ \(LWP \d+\)", two)) >= 2
        assert re.search(r"hit .*inner \(value=4\)", two)
        three = debugged.split("[three]")[1].split("[four]")[0]
        assert re.search(r"\$2 = 4\n", three)
        assert re.search(r"si_signo = 5", three)
        assert re.search(r"=> 0x\w+ <inner\+\d+>", three)
        assert re.search(r"Old value = \d+\nNew value = \d+", three)
        assert "exited with code 07" in debugged.split("[four]")[1]
        assert re.search(r"#0 .*nanosleep", attached)


@pytest.mark.timeout(1000)
def test_gdb_with_debug_registers(sides: Sides, differences: Differences) -> None:
    native, done = (
        re.search(r"Hardware watchpoint 2: total\n\nOld value = 0\n", output)
        for output in sides(WATCH)
    )
    assert native
    differences.judge("debuggers/debug_registers", "" if done else "no hardware watchpoint is hit")


@pytest.mark.timeout(1000)
def test_gdb_stops_at_faults(sides: Sides, differences: Differences) -> None:
    native, done = (
        "received signal SIGSEGV" in output
        and re.search(r"#0 .*main \(count=2", output)
        and re.search(r"\$1 = \(void \*\) 0x8\n", output)
        for output in sides(CRASH)
    )
    assert native
    differences.judge("debuggers/faults", "" if done else "gdb passes SIGSEGV on without a word")
