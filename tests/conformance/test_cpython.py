"""CPython's own test suite, in a container and on the host: the same tests fail, or none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.conftest import Containers
from tests.conformance.differences import Differences
from tests.conformance.native import needs_root, run_in_tree
from tests.conformance.tree import IMAGE, Tree

# fmt: off
MODULES = (
    "test_asyncio", "test_builtin", "test_concurrent_futures", "test_coroutines", "test_ctypes",
    "test_decimal", "test_dict", "test_eintr", "test_epoll", "test_exceptions",
    "test_faulthandler", "test_fcntl", "test_file", "test_fileio", "test_float", "test_fork1",
    "test_ftplib", "test_functools", "test_gc", "test_generators", "test_hashlib", "test_httplib",
    "test_httpservers", "test_io", "test_ioctl", "test_itertools", "test_json", "test_locale",
    "test_logging", "test_lzma", "test_math", "test_memoryview", "test_mmap",
    "test_multiprocessing_fork", "test_multiprocessing_spawn", "test_openpty", "test_os",
    "test_pathlib", "test_pickle", "test_poll", "test_popen", "test_posix", "test_posixpath",
    "test_pty", "test_queue", "test_re", "test_resource", "test_sched", "test_select",
    "test_selectors", "test_shelve", "test_shutil", "test_signal", "test_smtplib", "test_socket",
    "test_socketserver", "test_sqlite3", "test_stat", "test_struct", "test_subprocess",
    "test_sys", "test_syslog", "test_tarfile", "test_tempfile", "test_thread", "test_threading",
    "test_threadsignals", "test_time", "test_timeit", "test_unicode", "test_urllib2_localnet",
    "test_uuid", "test_wait3", "test_wait4", "test_weakref", "test_zipfile", "test_zlib",
    "test_zoneinfo",
)
# fmt: on
"""What touches the system, and some of everything else; ``--cpython all`` runs all there are."""

LIMIT_S = 4 * 3600
_RESULT = re.compile(r"^\S+ (?:load avg: \S+ )?\[ *\d+/\d+(?:/\d+)?\] (test_\w+) (\w+)", re.M)
_CASE = re.compile(r"^(?:FAIL|ERROR): (\S+) \((\S+?)\)", re.M)
_ENVIRONMENT = ("env", "TERM=dumb", "PYTHONDONTWRITEBYTECODE=1")


def results(output: str) -> tuple[dict[str, str], set[str]]:
    """What became of each module, and the names of all cases that failed."""
    cases = {f"{where}.{name}" if not where.endswith(name) else where
             for name, where in _CASE.findall(output)}  # fmt: skip
    modules = {
        name: "skipped" if how == "skipped" else how for name, how in _RESULT.findall(output)
    }
    return modules, cases


def command(request: pytest.FixtureRequest) -> tuple[str, ...]:
    wanted = request.config.getoption("--cpython")
    modules = [] if wanted == "all" else (wanted.split(",") if wanted else MODULES)
    run = ("python3.11", "-m", "test", "-j2", "-W", "--timeout", "600", *modules)
    return (*_ENVIRONMENT, *run)


@pytest.mark.timeout(0)
def test_the_same_tests_pass(
    request: pytest.FixtureRequest,
    tree: Tree,
    containers: Containers,
    tmp_path: Path,
    differences: Differences,
) -> None:
    if needs_root():
        pytest.skip(needs_root())
    argv = command(request)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    native = run_in_tree(tree, argv, scratch=scratch, shared={}, timeout_s=LIMIT_S)
    here = results(native.stdout.decode(errors="replace"))
    assert here[0], native.stderr[-3000:]
    done = containers.run("-m", "2g", IMAGE, *argv, timeout_s=LIMIT_S)
    output = done.stdout.decode(errors="replace")
    (tmp_path / "host.log").write_bytes(native.stdout)
    (tmp_path / "container.log").write_bytes(done.stdout)
    there = results(output)
    new = sorted(there[1] - here[1])
    unexplained = [name for name in new if differences.find(f"cpython/{name}") is None]
    for module, how in sorted(here[0].items()):
        found = there[0].get(module, "missing")
        blamed = any(f".{module}." in f".{name}." for name in new)
        if found != how and not blamed and differences.find(f"cpython/{module}") is None:
            unexplained.append(f"{module}: {how} on the host, {found} in a container")
    print(f"{len(here[0])} modules; failing in a container only: {new}")  # noqa: T201
    assert not unexplained, f"see {tmp_path}/container.log:\n" + "\n".join(unexplained)
