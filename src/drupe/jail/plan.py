"""What one container's jail is made of: decided before anything is done, printed by inspect."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_FIRST_DYNAMIC_UID = 0x7000_0000
_DYNAMIC_UIDS = 0x0FFF_0000
_ALL_IDS = 0xFFFF_FFFF

_BYTES_A_PROCESS = 128 << 10
"""Of memory for each process: the guest's kernel allows no more threads than that (fork_init())."""
_PROCESSES_MORE = 1024
"""Host processes that are none of the guest's: pooled ones, threads, brokers."""


class Share(NamedTuple):
    """A host directory that the jail lets in, as ``/shares/<index>``; or a file, alone in one.

    Attributes:
        source: the directory or file on the host.
        readonly: enforced by the host, on the mount and all below it.
        file: it is a file.
    """

    source: Path
    readonly: bool
    file: bool = False


class JailPlan(NamedTuple):
    """The jail of one container.

    Attributes:
        root_bytes: size of the jail's root, a tmpfs: the guest's memory and a little more.
        files: host files let in read-only: name in the jail's root → path.
        shares: host directories let in.
        uid: host user id that the container kernel runs as.
        gid: host group id that it runs as.
        all_ids: the user namespace maps every id (root's directory shares), else only one.
        traced: guest processes are traced by the container kernel, else they contain it.
        layer_bytes: size of the writable layer, an open file; 0: none.
        capabilities: numbers of those that the container kernel keeps, in its user namespace.
    """

    root_bytes: int
    files: tuple[tuple[str, Path], ...]
    shares: tuple[Share, ...]
    uid: int
    gid: int
    all_ids: bool
    traced: bool
    layer_bytes: int = 0
    capabilities: tuple[int, ...] = ()

    @property
    def id_maps(self) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        """Rows for uid_map and gid_map. Inside, the container kernel is user 0 of one."""
        if self.all_ids:
            return [(0, 0, _ALL_IDS)], [(0, 0, _ALL_IDS)]
        return [(0, self.uid, 1)], [(0, self.gid, 1)]

    @property
    def limits(self) -> dict[str, int]:
        """Resource limits, by name as in the resource module."""
        limits = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": 65_536, "RLIMIT_MEMLOCK": 0}
        # Counted in the jail's own user namespace since Linux 5.14, before that for the user; not
        # where the container kernel is the host's root: a control group bounds it there.
        limits["RLIMIT_NPROC"] = most_processes(self.root_bytes)
        if not any(not share.readonly for share in self.shares):
            # Nothing to write but its own memory, layer, status and log: bound the log.
            limits["RLIMIT_FSIZE"] = max(self.root_bytes, self.layer_bytes, 1 << 30)
        return limits


def most_processes(memory_bytes: int) -> int:
    """How many host processes and threads a machine with that much memory may need."""
    return memory_bytes // _BYTES_A_PROCESS + _PROCESSES_MORE


def choose_ids(container_id: str, *, directories: bool) -> tuple[int, int, bool]:
    """The (uid, gid, all_ids) for a container.

    Not root: the caller's own ids. Root: an unprivileged id of the container's own where only an
    image file is needed; where directories are shared, root without any capability, as it must
    open root's files.
    """
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid(), False
    if directories:
        return 0, 0, True
    uid = _FIRST_DYNAMIC_UID + int(container_id[:8], 16) % _DYNAMIC_UIDS
    return uid, uid, False
