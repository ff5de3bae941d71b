"""From what a user asks of ``run`` to a container's specification: everything looked up, once."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from drupe.container.spec import (
    MEMORY_DEFAULT_BYTES,
    ContainerSpec,
    Volume,
    check_hostname,
    parse_volume,
)
from drupe.errors import HostError, SpecError
from drupe.image.find import find_image
from drupe.image.store import Image
from drupe.jail.mountinfo import kernel_mounts
from drupe.kbuild.kernels import find_initramfs, find_kernel
from drupe.platform.registry import default_platform, find_platform

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class RunRequest(NamedTuple):
    """What ``run`` was asked for; unset fields take the image's or drupe's defaults.

    Attributes:
        image: name of an image, or None with ``rootfs``.
        args: the command; empty: the image's.
        rootfs: a directory to run instead of an image.
        entrypoint: a program that gets the command as its arguments.
        env: NAME → value, above the image's.
        cwd: directory of the main process.
        user: user[:group] of the main process.
        groups: supplementary groups of the main process.
        hostname: default: the beginning of the id.
        volumes: HOST:GUEST[:ro].
        memory_bytes: the guest's memory.
        platform: what runs the kernel; default: ``default_platform()``.
        kernel: a profile, the beginning of a kernel's id, or a path.
        terminal: the main process gets a PTY.
        stdin: the main process gets input.
        remove: the container goes when it ends.
        labels: the user's own notes.
        log: output is kept for ``logs``.
    """

    image: str | None = None
    args: tuple[str, ...] = ()
    rootfs: str | None = None
    entrypoint: str | None = None
    env: Mapping[str, str] = MappingProxyType({})
    cwd: str | None = None
    user: str = ""
    groups: tuple[str, ...] = ()
    hostname: str | None = None
    volumes: tuple[str, ...] = ()
    memory_bytes: int = MEMORY_DEFAULT_BYTES
    platform: str | None = None
    kernel: str = "general"
    terminal: bool = False
    stdin: bool = False
    remove: bool = False
    labels: Mapping[str, str] = MappingProxyType({})
    log: bool = True


def resolve(wanted: RunRequest, container_id: str, name: str) -> ContainerSpec:
    """Looks everything up and checks it.

    Raises:
        SpecError: something is wrong with the request.
        NotFoundError: there is no such image or kernel.
    """
    platform = find_platform(wanted.platform or default_platform()).name
    image, rootfs = _root(wanted)
    args = wanted.args or (() if image is None or wanted.entrypoint else image.args)
    if wanted.entrypoint:
        args = (wanted.entrypoint, *args)
    if not args:
        raise SpecError(
            "failed to run a container: no command given", hint="name one after the image"
        )
    defaults = {} if image is None else image.env
    return ContainerSpec(
        id=container_id,
        name=name,
        platform=platform,
        kernel=str(find_kernel(wanted.kernel).linux),
        initramfs=str(find_initramfs()),
        memory_bytes=wanted.memory_bytes,
        image=None if image is None else str(image.root),
        image_name="" if image is None else image.name,
        rootfs=rootfs,
        hostname=check_hostname(wanted.hostname or container_id[:12]),
        volumes=_volumes(wanted.volumes),
        args=args,
        env={"PATH": _PATH, **defaults, **wanted.env},
        cwd=wanted.cwd or ("/" if image is None else image.cwd),
        user=wanted.user,
        groups=wanted.groups,
        terminal=wanted.terminal,
        stdin=wanted.stdin,
        remove=wanted.remove,
        labels=dict(wanted.labels),
        log=wanted.log,
        created_ns=time.time_ns(),
    )


def _root(wanted: RunRequest) -> tuple[Image | None, str | None]:
    if wanted.rootfs is None:
        if wanted.image is None:
            raise SpecError(
                "failed to run a container: no image given",
                hint="name an image ('busybox'), or a directory with --rootfs",
            )
        return find_image(wanted.image), None
    return None, _directory("root", wanted.rootfs)


def _volumes(texts: tuple[str, ...]) -> tuple[Volume, ...]:
    volumes = []
    for text in texts:
        volume = parse_volume(text)
        source = _directory("volume", volume.source)
        if not volume.readonly and not os.access(source, os.W_OK):
            raise SpecError(
                f"failed to use volume '{text}': '{source}' is not writable for you",
                hint="add ':ro'",
            )
        volumes.append(Volume(source, volume.target, volume.readonly))
    targets = [volume.target for volume in volumes]
    for target in targets:
        if targets.count(target) > 1:
            raise SpecError(f"failed to use volumes: two have the target '{target}'")
    # A mount point below another volume must be mounted after it.
    return tuple(sorted(volumes, key=lambda volume: volume.target.count("/")))


def _directory(what: str, path: str) -> str:
    """An existing, readable directory, absolute and without symbolic links."""
    try:
        resolved = Path(path).resolve(strict=True)
    except OSError as error:
        cause = error.strerror or error
        raise SpecError(f"failed to use {what} '{path}': {cause}") from error
    except RuntimeError as error:
        raise SpecError(f"failed to use {what} '{path}': symbolic links in a circle") from error
    if not resolved.is_dir():
        raise SpecError(
            f"failed to use {what} '{path}': not a directory",
            hint="only directories can be shared with a container",
        )
    if kernel_mounts(resolved) == ["."]:
        raise SpecError(
            f"failed to use {what} '{path}': it belongs to the host's kernel",
            hint="a container has /proc, /sys and /dev of its own kernel",
        )
    if not os.access(resolved, os.R_OK | os.X_OK):
        raise HostError(
            f"failed to use {what} '{path}': not readable for you",
            hint="make it readable, or run as its owner",
        )
    return str(resolved)
