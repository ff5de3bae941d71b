"""Going into the jail: the steps, in the one order that works. Runs in a child that then execs.

The child comes from two forks: the first leaves the host's namespaces, and its child, process 1
of the new pid namespace, becomes the container kernel. Whatever ends that process ends everything
in the namespace with it.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import resource
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from drupe._linux import files, mounts, namespaces, privileges, seccomp
from drupe.jail.bpf import KILL_PROCESS, TRAP, assemble
from drupe.jail.mountinfo import kernel_mounts
from drupe.jail.plan import JailPlan, Share
from drupe.jail.policy import NARROWED, WRITTEN, rules

NAMESPACES = {
    "user": namespaces.CLONE_NEWUSER,
    "mount": namespaces.CLONE_NEWNS,
    "pid": namespaces.CLONE_NEWPID,
    "net": namespaces.CLONE_NEWNET,
    "ipc": namespaces.CLONE_NEWIPC,
    "uts": namespaces.CLONE_NEWUTS,
    "cgroup": namespaces.CLONE_NEWCGROUP,
}

SHARED_FILE = "file"
"""What a file is called that is shared alone. The guest's init knows it."""

_ROOT = "/proc"
"""Where the jail's root is mounted before it becomes ``/``: a directory that any user can reach."""


class Source(NamedTuple):
    """An opened file or share, and what of it is to be covered.

    Attributes:
        descriptor: of the file or directory.
        covered: mount points below it, of the host kernel's file systems.
    """

    descriptor: int
    covered: tuple[str, ...] = ()


def leave_host() -> None:
    """Step 1, in the first fork: new namespaces of every kind. The parent maps ids next."""
    flags = 0
    for flag in NAMESPACES.values():
        flags |= flag
    namespaces.unshare(flags)


def open_sources(plan: JailPlan) -> tuple[list[Source], list[Source]]:
    """Step 2, with the caller's rights: opens the files and the shares.

    In the new mount namespace: mounts of the old one cannot be cloned.
    """
    opened = [Source(os.open(path, os.O_PATH | os.O_CLOEXEC)) for _, path in plan.files]
    shares = [
        Source(
            os.open(share.source, os.O_PATH | os.O_CLOEXEC | (0 if share.file else os.O_DIRECTORY)),
            tuple(kernel_mounts(share.source)),
        )
        for share in plan.shares
    ]
    return opened, shares


def take_ids(*, may_set_groups: bool) -> None:
    """Step 3: become user and group 0 of the user namespace, with no other groups."""
    if may_set_groups:
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.umask(0)  # modes of files in the shares are the guest's affair


def build_root(plan: JailPlan, opened: Sequence[Source], shares: Sequence[Source]) -> None:
    """Step 4: a root that holds the container's files and shares and nothing else.

    Nothing is left of the host's tree, /proc included.
    """
    mounts.mount("none", "/", None, mounts.MS_REC | mounts.MS_PRIVATE)
    singles = [mounts.open_tree(source.descriptor, recursive=False) for source in opened]
    trees = [mounts.open_tree(source.descriptor, recursive=True) for source in shares]
    mounts.mount(
        "drupe",
        _ROOT,
        "tmpfs",
        mounts.MS_NOSUID | mounts.MS_NODEV,
        f"mode=0755,size={plan.root_bytes},nr_inodes=4096",
    )
    Path(_ROOT, "run").mkdir(0o700)
    Path(_ROOT, "empty").touch(0o444)
    readonly = mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV
    for (name, _), tree in zip(plan.files, singles, strict=True):
        target = f"{_ROOT}/{name}"
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o400))
        _graft(tree, target, readonly | mounts.MOUNT_ATTR_NOEXEC, recursive=False)
    Path(_ROOT, "shares").mkdir(0o755)
    for index, (share, tree) in enumerate(zip(plan.shares, trees, strict=True)):
        target = f"{_ROOT}/shares/{index}"
        Path(target).mkdir(0o755)
        if share.file:
            _share_file(share, tree, target)
        else:
            _share(share, tree, target, shares[index].covered)
    mounts.pivot_root(_ROOT)
    # What the guest can read of its host: /proc/cpuinfo names it.
    socket.sethostname("drupe")


def _share_file(share: Share, tree: int, target: str) -> None:
    """A directory that holds nothing but the file, and into which nothing can be written."""
    flags = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
    mounts.mount("drupe", target, "tmpfs", flags, "mode=0755,nr_inodes=2")
    Path(target, SHARED_FILE).touch(0o444)
    _share(share, tree, f"{target}/{SHARED_FILE}", ())
    readonly = mounts.MS_REMOUNT | mounts.MS_BIND | mounts.MS_RDONLY
    mounts.mount("none", target, None, flags | readonly)


def _share(share: Share, tree: int, target: str, covered: Sequence[str]) -> None:
    # Not noexec: the guest asks the host, by access(), what may be executed.
    attributes = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV
    if share.readonly:
        attributes |= mounts.MOUNT_ATTR_RDONLY
    _graft(tree, target, attributes, recursive=True)
    flags = mounts.MS_RDONLY | mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
    for name in covered:
        path = Path(target, name)
        if path.is_dir():
            mounts.mount("drupe", str(path), "tmpfs", flags, "mode=0755,nr_inodes=2")
        else:  # a file of such a file system that is mounted alone
            mounts.mount(f"{_ROOT}/empty", str(path), None, mounts.MS_BIND)


def _graft(tree: int, target: str, attributes: int, *, recursive: bool) -> None:
    try:
        mounts.set_attributes(tree, attributes, recursive=recursive)
        mounts.move_mount(tree, target)
    finally:
        os.close(tree)


def drop_privileges(plan: JailPlan) -> None:
    """Step 5: limits, no capabilities, no way to gain any."""
    for name, wanted in plan.limits.items():
        limit = getattr(resource, name)
        _, hard = resource.getrlimit(limit)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(limit, (value, value))
    privileges.drop_capabilities(plan.capabilities)
    privileges.set_no_new_privs()
    privileges.disable_address_randomization()


def take_descriptors(descriptors: Sequence[int], *private: int) -> list[int]:
    """Step 6: ``descriptors`` become 0, 1, 2 …, the private ones follow, all others are closed.

    Returns where the private ones are now; execve() closes those.
    """
    wanted = [*descriptors, *private]
    # All others go first: the wanted ones may lie anywhere, above the limit of numbers too.
    edges = [-1, *sorted(set(wanted))]
    for before, descriptor in itertools.pairwise(edges):
        files.close_range(before + 1, descriptor - 1)
    files.close_from(edges[-1] + 1)
    beside = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, len(wanted)) for fd in wanted]
    for index, descriptor in enumerate(beside):
        os.dup2(descriptor, index, inheritable=index < len(descriptors))
    files.close_from(len(wanted))
    return list(range(len(descriptors), len(wanted)))


def load_filter(plan: JailPlan) -> None:
    """Step 7: from here on only the list.

    A container kernel that handles its guest's signals itself tells which call was refused.
    """
    listed = rules(directories=bool(plan.shares), traced=plan.traced)
    seccomp.load_filter(assemble(listed, otherwise=KILL_PROCESS if plan.traced else TRAP))


def describe(plan: JailPlan) -> Mapping[str, object]:
    """The jail as ``drupe inspect`` prints it."""
    listed = rules(directories=bool(plan.shares), traced=plan.traced)
    return {
        "namespaces": list(NAMESPACES),
        "uid": plan.uid,
        "gid": plan.gid,
        "id_maps": {"uid": plan.id_maps[0], "gid": plan.id_maps[1]},
        "capabilities": list(plan.capabilities),
        "no_new_privs": True,
        "limits": plan.limits,
        "files": {name: str(path) for name, path in plan.files},
        "shares": [
            {"source": str(share.source), "readonly": share.readonly} for share in plan.shares
        ],
        "layer_bytes": plan.layer_bytes,
        "seccomp": {
            "default": "kill" if plan.traced else "trap",
            "allowed": {rule.name: rule.reason for rule in listed},
            "narrowed": [] if plan.traced else [*NARROWED, *(WRITTEN if plan.layer_bytes else ())],
        },
    }
