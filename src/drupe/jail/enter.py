"""Going into the jail: the steps, in the one order that works. Runs in a child that then execs.

The child comes from two forks: the first leaves the host's namespaces, and its child, process 1
of the new pid namespace, becomes the container kernel. Whatever ends that process ends everything
in the namespace with it.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path

from drupe._linux import files, mounts, namespaces, privileges, seccomp
from drupe.jail.bpf import assemble
from drupe.jail.plan import JailPlan, Share
from drupe.jail.policy import rules

NAMESPACES = {
    "user": namespaces.CLONE_NEWUSER,
    "mount": namespaces.CLONE_NEWNS,
    "pid": namespaces.CLONE_NEWPID,
    "net": namespaces.CLONE_NEWNET,
    "ipc": namespaces.CLONE_NEWIPC,
    "uts": namespaces.CLONE_NEWUTS,
    "cgroup": namespaces.CLONE_NEWCGROUP,
}


def leave_host() -> None:
    """Step 1, in the first fork: new namespaces of every kind. The parent maps ids next."""
    flags = 0
    for flag in NAMESPACES.values():
        flags |= flag
    namespaces.unshare(flags)


def open_sources(plan: JailPlan) -> tuple[list[int], list[int]]:
    """Step 2, with the caller's rights; returns descriptors of the files and of the shares.

    In the new mount namespace: mounts of the old one cannot be cloned.
    """
    opened = [os.open(path, os.O_PATH | os.O_CLOEXEC) for _, path in plan.files]
    shares = [
        os.open(share.source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for share in plan.shares
    ]
    return opened, shares


def take_ids(*, may_set_groups: bool) -> None:
    """Step 3: become user and group 0 of the user namespace, with no other groups."""
    if may_set_groups:
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.umask(0o022)


def build_root(plan: JailPlan, opened: Sequence[int], shares: Sequence[int]) -> None:
    """Step 4: a root that holds the container's files and shares and nothing else.

    It is mounted over /proc, a directory that any user can reach on any host, and becomes ``/`` at
    once: nothing is left of the host's tree, /proc included.
    """
    mounts.mount("none", "/", None, mounts.MS_REC | mounts.MS_PRIVATE)
    root = "/proc"
    mounts.mount(
        "drupe",
        root,
        "tmpfs",
        mounts.MS_NOSUID | mounts.MS_NODEV,
        f"mode=0755,size={plan.root_bytes},nr_inodes=4096",
    )
    Path(root, "run").mkdir(0o700)
    readonly = mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV
    for (name, _), descriptor in zip(plan.files, opened, strict=True):
        target = f"{root}/{name}"
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o400))
        _graft(descriptor, target, readonly | mounts.MOUNT_ATTR_NOEXEC, recursive=False)
    Path(root, "shares").mkdir(0o755)
    for index, (share, descriptor) in enumerate(zip(plan.shares, shares, strict=True)):
        target = f"{root}/shares/{index}"
        Path(target).mkdir(0o755)
        _share(share, descriptor, target)
    mounts.pivot_root(root)


def _share(share: Share, descriptor: int, target: str) -> None:
    # Not noexec: the guest asks the host, by access(), what may be executed.
    attributes = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV
    if share.readonly:
        attributes |= mounts.MOUNT_ATTR_RDONLY
    _graft(descriptor, target, attributes, recursive=True)
    for name in share.hidden:
        path = Path(target, name)
        if path.is_dir() and not path.is_symlink():
            flags = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC
            mounts.mount("drupe", str(path), "tmpfs", flags, "mode=0755,size=0,nr_inodes=2")


def _graft(descriptor: int, target: str, attributes: int, *, recursive: bool) -> None:
    tree = mounts.open_tree(descriptor, recursive=recursive)
    try:
        mounts.set_attributes(tree, attributes, recursive=recursive)
        mounts.move_mount(tree, target)
    finally:
        os.close(tree)


def take_descriptors(descriptors: Sequence[int], *private: int) -> list[int]:
    """Step 6: ``descriptors`` become 0, 1, 2 …, the private ones follow, all others are closed.

    Returns where the private ones are now; execve() closes those.
    """
    wanted = [*descriptors, *private]
    high = max([*wanted, len(wanted)]) + 1
    for index, descriptor in enumerate(wanted):
        os.dup2(descriptor, high + index)
    for index in range(len(wanted)):
        os.dup2(high + index, index, inheritable=index < len(descriptors))
    files.close_from(len(wanted))
    return list(range(len(descriptors), len(wanted)))


def drop_privileges(plan: JailPlan) -> None:
    """Step 5: limits, no capabilities, no way to gain any, then the filter: the last step."""
    for name, wanted in plan.limits.items():
        limit = getattr(resource, name)
        _, hard = resource.getrlimit(limit)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(limit, (value, value))
    privileges.drop_capabilities()
    privileges.set_no_new_privs()
    privileges.disable_address_randomization()


def load_filter(plan: JailPlan) -> None:
    """Step 7: from here on only the list."""
    seccomp.load_filter(assemble(rules(directories=bool(plan.shares))))


def describe(plan: JailPlan) -> Mapping[str, object]:
    """The jail as ``drupe inspect`` prints it."""
    listed = rules(directories=bool(plan.shares))
    return {
        "namespaces": list(NAMESPACES),
        "uid": plan.uid,
        "gid": plan.gid,
        "id_maps": {"uid": plan.id_maps[0], "gid": plan.id_maps[1]},
        "capabilities": [],
        "no_new_privs": True,
        "limits": plan.limits,
        "files": {name: str(path) for name, path in plan.files},
        "shares": [
            {"source": str(share.source), "readonly": share.readonly} for share in plan.shares
        ],
        "seccomp": {
            "default": "kill",
            "allowed": {rule.name: rule.reason for rule in listed},
        },
    }
