"""Builds the kernel's own selftests, from the source of the kernel that drupe builds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from drupe.kbuild import assets, debian, source
from drupe.kbuild.progress import silent
from drupe.kbuild.versions import read_versions
from drupe.store import paths
from drupe.store.lock import locked
from tests.conformance.native import run_in_tree
from tests.conformance.tree import Tree

PLACE = "/selftests"
"""Where the built tests are, on the host's side and in containers."""

# fmt: off
PROGRAMS = {
    "breakpoints": ("breakpoint_test",),
    "clone3": ("clone3", "clone3_clear_sighand", "clone3_set_tid"),
    "exec": ("execveat", "non-regular", "recursion-depth", "null-argv"),
    "filesystems/epoll": ("epoll_wakeup_test",),
    "futex/functional": (
        "futex_wait_timeout", "futex_wait_wouldblock", "futex_requeue", "futex_requeue_pi",
        "futex_requeue_pi_mismatched_ops", "futex_requeue_pi_signal_restart",
        "futex_wait_uninitialized_heap", "futex_wait_private_mapped_file", "futex_wait",
        "futex_waitv",
    ),
    "kcmp": ("kcmp_test",),
    "membarrier": ("membarrier_test_single_thread", "membarrier_test_multi_thread"),
    "mincore": ("mincore_selftest",),
    "mm": (
        "map_fixed_noreplace", "mremap_dontunmap", "mremap_test", "madv_populate",
        "mlock-random-test", "on-fault-limit", "guard-regions", "droppable", "mrelease_test",
        "virtual_address_range",
    ),
    "pidfd": (
        "pidfd_test", "pidfd_fdinfo_test", "pidfd_open_test", "pidfd_poll_test", "pidfd_wait",
        "pidfd_getfd_test", "pidfd_setns_test",
    ),
    "proc": (
        "fd-001-lookup", "fd-002-posix-eq", "proc-loadavg-001", "proc-pid-vm",
        "proc-self-map-files-001", "proc-self-map-files-002", "proc-self-syscall",
        "proc-self-wchan", "proc-tid0", "proc-uptime-001", "read", "self", "thread-self",
    ),
    "ptrace": (
        "get_syscall_info", "set_syscall_info", "peeksiginfo", "vmaccess", "get_set_sud",
    ),
    "seccomp": ("seccomp_bpf",),
    "signal": ("mangle_uc_sigmask", "sas"),
    "splice": ("default_file_splice_read", "splice_read"),
    "timers": ("posix_timers", "nanosleep", "inconsistency-check", "threadtest"),
    "x86": (
        "single_step_syscall_64", "sysret_ss_attrs_64", "syscall_nt_64", "test_mremap_vdso_64",
        "check_initial_reg_state_64", "sigreturn_64", "iopl_64", "ioperm_64", "test_vsyscall_64",
        "mov_ss_trap_64", "sigtrap_loop_64", "syscall_arg_fault_64", "fsgsbase_restore_64",
        "sigaltstack_64", "fsgsbase_64", "sysret_rip_64", "syscall_numbering_64",
        "corrupt_xstate_header_64", "avx_64", "nx_stack_64",
    ),
}
# fmt: on
"""Which programs to build and run, by directory: what is about the behaviour of user space."""

_WANTED = ("Makefile", "Kbuild", "Kconfig", "scripts", "include", "arch/x86", "tools", "usr", "lib")
_BUILD = """
cd /kernel
make -s headers >/dev/null 2>&1 || exit 1
for directory in {directories}; do
    make -s -k -C tools/testing/selftests/$directory KHDR_INCLUDES="-isystem /kernel/usr/include" \\
        OUTPUT={place}/$directory >/dev/null 2>&1
done
true
"""


def build_selftests(tree: Tree, scratch: Path) -> Path:
    """Makes them once for a version of the source; returns the directory with the programs."""
    versions = read_versions(assets.kernel_dir() / "versions.toml")
    version = source.obtain(None, None, versions, silent).version
    base = paths.private_dir(paths.cache_home() / "conformance-selftests")
    built = base / version
    with locked(base / ".lock"):
        if not built.exists():
            offer, package = debian.fetch(versions, silent)
            kernel, output = base / "kernel", base / "output"
            for leftover in (kernel, output):
                shutil.rmtree(leftover, ignore_errors=True)
                leftover.mkdir()
            _extract(package, offer.package, kernel)
            package.unlink()
            for directory in PROGRAMS:
                (output / directory).mkdir(parents=True)
            script = _BUILD.format(directories=" ".join(PROGRAMS), place=PLACE)
            done = run_in_tree(
                tree,
                ("sh", "-c", script),
                scratch=scratch,
                shared={kernel: "/kernel", output: PLACE},
                timeout_s=1800,
            )
            if done.returncode:
                pytest.skip("the kernel's headers cannot be made from its source")
            output.rename(built)
            shutil.rmtree(kernel)
    return built


def _extract(package: Path, name: str, target: Path) -> None:
    patterns = " ".join(f"'{name}/{wanted}'" for wanted in _WANTED)
    script = (
        f"dpkg-deb --fsys-tarfile '{package}' | tar -xO ./usr/src/{name}.tar.xz | xz -dc -T0 "
        f"| tar -x -C '{target}' --strip-components=1 --no-same-owner {patterns}"
    )
    subprocess.run(["bash", "-c", f"set -o pipefail; {script}"], check=True)
