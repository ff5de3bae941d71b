"""Mounts of this host that no container may see: the host kernel's own. Source: proc(5)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

_KERNEL_TYPES = frozenset(
    {
        "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
        "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore",
        "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs",
    }
)  # fmt: skip
"""File systems whose files are the host kernel's switches and gauges, or its devices."""


def kernel_mounts(directory: Path) -> list[str]:
    """The host kernel's file systems at or below a directory, outermost only, relative to it.

    ``.`` stands for the directory itself. The directory must be resolved and absolute.
    """
    found: list[PurePosixPath] = []
    here, inside = "", False
    for mount_point, kind in _mounts():
        if directory.is_relative_to(mount_point) and len(str(mount_point)) >= len(here):
            here = str(mount_point)
            inside = kind in _KERNEL_TYPES
        elif mount_point.is_relative_to(directory) and kind in _KERNEL_TYPES:
            found.append(mount_point.relative_to(directory))
    if inside:
        return ["."]
    outermost = [
        path for path in found if not any(path != o and path.is_relative_to(o) for o in found)
    ]
    return sorted({str(path) for path in outermost})


def _mounts() -> list[tuple[PurePosixPath, str]]:
    """(mount point, type) of each mount, in the order in which they were made."""
    rows = []
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        fields, _, rest = line.partition(" - ")
        # Source: the kernel writes blanks and backslashes in names as octal escapes.
        name = fields.split(" ")[4].encode("utf-8", "surrogateescape")
        plain = name.decode("unicode_escape").encode("latin-1").decode("utf-8", "surrogateescape")
        rows.append((PurePosixPath(plain), rest.split(" ")[0]))
    return rows
