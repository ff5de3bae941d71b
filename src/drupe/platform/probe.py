"""Looks at this host for what user mode needs: by trying where that is possible."""

from __future__ import annotations

import os
import platform
import struct
from pathlib import Path

from drupe.errors import HostError
from drupe.jail.plan import JailPlan
from drupe.jail.spawn import spawn
from drupe.platform.base import Finding

_MAPS_LEAST = 65_530

_AT_HWCAP2 = 26
_HWCAP2_FSGSBASE = 1 << 1
"""Programs may read and write FS and GS base. Source: asm/hwcap2.h, getauxval(3)."""


def probe_user_mode(*, traced: bool) -> list[Finding]:
    """What platform um-strict (traced) or um needs."""
    mode = _ptrace() if traced else _segment_bases()
    return [_machine(), _jail(), mode, _executable_memory(), _maps()]


def _machine() -> Finding:
    machine = platform.machine()
    return Finding("processor", machine == "x86_64", machine, "drupe runs on x86-64 only, so far")


def _jail() -> Finding:
    """Goes into a real jail and runs the smallest program there is in it."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    program = os.memfd_create("drupe-probe", os.MFD_CLOEXEC)
    plan = JailPlan(1 << 20, (), (), os.geteuid(), os.getegid(), all_ids=False, traced=True)
    try:
        os.write(program, _smallest_program())
        spawn(plan, program, ["drupe-probe"], {}, [null, null, null], lambda _: None)
    except HostError as error:
        return Finding("jail", ok=False, detail=str(error), hint=_namespace_hint())
    finally:
        os.close(program)
        os.close(null)
    return Finding("jail", ok=True, detail="namespaces, no privileges, system call filter")


def _smallest_program() -> bytes:
    """A static x86-64 ELF file whose only instructions are exit_group(0). Source: elf(5)."""
    code = b"\xb8\xe7\x00\x00\x00\x31\xff\x0f\x05"  # mov $231,%eax; xor %edi,%edi; syscall
    base, headers = 0x40_0000, 64 + 56
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(ident, 2, 62, 1, base + headers, 64, 0, 0, 64, 56, 1, 64, 0, 0),
    )
    size = headers + len(code)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096)
    return header + segment + code


def _namespace_hint() -> str:
    ways = []
    if _setting("kernel/unprivileged_userns_clone") == "0":
        ways.append("sysctl kernel.unprivileged_userns_clone=1")
    if _setting("user/max_user_namespaces") == "0":
        ways.append("sysctl user.max_user_namespaces=10000")
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        ways.append("sysctl kernel.apparmor_restrict_unprivileged_userns=0")
    return "; ".join(ways) or "allow user namespaces on this host, or run as root"


def _ptrace() -> Finding:
    scope = _setting("kernel/yama/ptrace_scope") or "0"
    return Finding(
        "ptrace",
        scope != "3",
        f"kernel.yama.ptrace_scope={scope}",
        "forbidden until the next boot: leave kernel.yama.ptrace_scope below 3",
    )


def _segment_bases() -> Finding:
    auxiliary = dict(struct.iter_unpack("=QQ", Path("/proc/self/auxv").read_bytes()))
    ok = bool(auxiliary.get(_AT_HWCAP2, 0) & _HWCAP2_FSGSBASE)
    return Finding(
        "segment bases",
        ok,
        "FSGSBASE" if ok else "no FSGSBASE",
        "run on Linux 5.11 or newer, without nofsgsbase; or use --platform um-strict",
    )


def _executable_memory() -> Finding:
    noexec = _setting("vm/memfd_noexec") or "0"
    return Finding(
        "executable memory",
        noexec != "2",
        f"vm.memfd_noexec={noexec}",
        "sysctl vm.memfd_noexec=0",
    )


def _maps() -> Finding:
    maps = int(_setting("vm/max_map_count") or _MAPS_LEAST)
    return Finding(
        "memory mappings",
        maps >= _MAPS_LEAST,
        f"vm.max_map_count={maps}",
        f"sysctl vm.max_map_count={_MAPS_LEAST}",
    )


def _setting(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None
