"""From a bundle's root and mounts to what the jail lets in and what the guest mounts."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from drupe.errors import SpecError
from drupe.guest.spec import Mount
from drupe.jail.mountinfo import kernel_mounts
from drupe.jail.plan import Share
from drupe.oci.bundle import BundleConfig, BundleMount
from drupe.platform.base import Platform
from drupe.runtime import log

OWN = {
    "/proc": "proc",
    "/sys": "sysfs",
    "/dev": "tmpfs",
    "/dev/pts": "devpts",
    "/dev/mqueue": "mqueue",
    "/sys/fs/cgroup": "cgroup",
}
"""What the guest's init mounts in every container."""

_SHM = "/dev/shm"  # noqa: S108 (a path in the container)

_GUEST_KINDS = {
    "proc": "proc",
    "sysfs": "sysfs",
    "tmpfs": "tmpfs",
    "devpts": "devpts",
    "mqueue": "mqueue",
    "cgroup": "cgroup2",
    "cgroup2": "cgroup2",
}
"""Types of config.json → file systems of the guest's kernel that need nothing of the host."""

_DATA = {"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "ptmxmode", "newinstance", "max"}
"""Options that are the file system's own."""


class Layout(NamedTuple):
    """How a container's file systems come about.

    Attributes:
        shares: what the jail lets in, the root first.
        mounts: what the guest mounts, the root first, in order.
        shm_bytes: size of /dev/shm; 0: half of the memory.
    """

    shares: tuple[Share, ...]
    mounts: tuple[Mount, ...]
    shm_bytes: int


class _Options(NamedTuple):
    """A mount's options: what the guest's mount(2) has flags for, and what is data."""

    readonly: bool
    guarded: bool
    noexec: bool
    seed: bool
    data: str


def root_of(config: BundleConfig, bundle: Path) -> Path:
    """The root's directory, absolute.

    Raises:
        SpecError: there is none.
    """
    root = Path(os.path.realpath(bundle / config.root))
    if not root.is_dir():
        raise SpecError(f"invalid rootfs: '{bundle / config.root}' is not a directory")
    return root


def lay_out(config: BundleConfig, bundle: Path, platform: Platform) -> Layout:
    """What there is to share and to mount; nothing is done yet.

    Raises:
        SpecError: a mount cannot be had.
    """
    shares = [Share(root_of(config, bundle), config.readonly)]
    first = platform.share_mount(0)
    mounts = [Mount(first.kind, first.source, "/", first.options, readonly=config.readonly)]
    shm_bytes = 0
    for wanted in config.mounts:
        options = _options(wanted)
        if wanted.target == "/":
            raise SpecError("invalid mount: a mount at '/' would cover the root")
        if wanted.target == _SHM:
            # Memory that two kernels share is none that their programs could share.
            shm_bytes = _shm_bytes(wanted, options, bundle)
        elif _is_bind(wanted):
            source = _source(wanted, bundle)
            if source is not None:
                file = not source.is_dir()
                place = platform.share_mount(len(shares))
                shares.append(Share(source, options.readonly, file))
                mounts.append(_mount(wanted.target, place.kind, place.source, options, file=file))
        elif OWN.get(wanted.target) == wanted.kind or wanted.target in {"/proc", "/dev"}:
            if options.readonly:
                mounts.append(Mount("none", "", wanted.target, frozen=True))
        elif wanted.kind in _GUEST_KINDS:
            mounts.append(_mount(wanted.target, _GUEST_KINDS[wanted.kind], wanted.kind, options))
        else:
            raise SpecError(
                f"failed to mount '{wanted.source}' on '{wanted.target}': no file system "
                f"'{wanted.kind}' can be had",
                hint=f"bind, {', '.join(sorted(_GUEST_KINDS))}",
            )
    mounts += [Mount("none", "", path, masked=True) for path in config.linux.masked]
    mounts += [Mount("none", "", path, frozen=True) for path in config.linux.readonly]
    return Layout(tuple(shares), tuple(mounts), shm_bytes)


def _is_bind(wanted: BundleMount) -> bool:
    return wanted.kind in {"bind", "rbind"} or bool({"bind", "rbind"} & set(wanted.options))


def _source(wanted: BundleMount, bundle: Path) -> Path | None:
    """What a bind mount shows; None: it is the guest's kernel's affair."""
    source = Path(os.path.realpath(bundle / wanted.source))
    try:
        mode = source.stat().st_mode
    except OSError as error:
        raise SpecError(
            f"failed to mount '{wanted.source}' on '{wanted.target}': {error.strerror}"
        ) from error
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        log.debug(f"device '{source}' is not the container kernel's: left out")
        return None
    if kernel_mounts(source) == ["."]:
        if wanted.target in OWN or wanted.target.startswith(("/proc/", "/sys/")):
            log.debug(f"'{source}' belongs to the host's kernel: left out")
            return None
        raise SpecError(
            f"failed to mount '{wanted.source}' on '{wanted.target}': it belongs to the host's "
            "kernel",
            hint="a container has /proc, /sys and /dev of its own kernel",
        )
    return source


def _mount(target: str, kind: str, source: str, options: _Options, *, file: bool = False) -> Mount:
    return Mount(
        kind,
        source,
        target,
        "" if kind == "hostshare" else options.data,
        readonly=options.readonly,
        guarded=options.guarded,
        noexec=options.noexec,
        file=file,
        seed=options.seed and not options.readonly,
    )


def _options(wanted: BundleMount) -> _Options:
    """The later of two that contradict each other counts, as for mount(8)."""
    on = {"ro": False, "nosuid": False, "nodev": False, "noexec": False}
    data: Sequence[str] = [o for o in wanted.options if o.partition("=")[0] in _DATA]
    for option in wanted.options:
        plain = {"rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec"}.get(option)
        if plain is not None:
            on[plain] = False
        name = option[1:] if option in {"rro", "rnosuid", "rnodev", "rnoexec"} else option
        if name in on:
            on[name] = True
        if option in {"idmap", "ridmap"}:
            raise SpecError(f"failed to mount on '{wanted.target}': no option '{option}' here")
    return _Options(
        on["ro"],
        on["nosuid"] and on["nodev"],
        on["noexec"],
        "tmpcopyup" in wanted.options,
        ",".join(data),
    )


def _shm_bytes(wanted: BundleMount, options: _Options, bundle: Path) -> int:
    if _is_bind(wanted):
        found = os.statvfs(bundle / wanted.source)
        return found.f_blocks * found.f_frsize
    for part in options.data.split(","):
        name, _, value = part.partition("=")
        if name == "size":
            factor = {"k": 10, "m": 20, "g": 30}.get(value[-1:].lower(), 0)
            digits = value[:-1] if factor else value
            if not digits.isascii() or not digits.isdigit():
                raise SpecError(f"failed to mount on '{wanted.target}': size '{value}'")
            return int(digits) << factor
    return 0
