"""From a container's specification to a machine that has booted it, or nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from drupe.container import layer
from drupe.container.bounds import confine, confine_network, make_groups, place
from drupe.container.connection import connected
from drupe.container.processes import NETWORK
from drupe.container.record import Record
from drupe.container.spec import ContainerSpec
from drupe.container.storage import DISK
from drupe.container.timezone import timezone_files
from drupe.errors import BootError, GuestError, HostError
from drupe.guest.files import file_frames
from drupe.guest.protocol import LimitKind, Type
from drupe.guest.session import Session, connect, short_name
from drupe.guest.spec import Care, Mount, boot_frames
from drupe.jail.plan import Share
from drupe.platform.base import MachineFiles, MachineSpec, Platform, Wire

BOOT_TIMEOUT_S = 60.0

Step = Callable[[str], None]
"""Is told what a start has reached, for measurements: machine, kernel, mounts, main."""


def machine_spec(spec: ContainerSpec) -> MachineSpec:
    """What the platform is to start for a container."""
    shares = []
    if spec.rootfs is not None:
        shares.append(Share(Path(spec.rootfs), readonly=True))
    shares += [Share(Path(volume.source), volume.readonly, volume.file) for volume in spec.volumes]
    return MachineSpec(
        name=spec.id,
        kernel=Path(spec.kernel),
        initramfs=Path(spec.initramfs),
        memory_bytes=spec.memory_bytes,
        image=None if spec.image is None else Path(spec.image),
        shares=tuple(shares),
        layer_bytes=spec.storage.size_bytes,
    )


def guest_mounts(spec: ContainerSpec, platform: Platform) -> tuple[Mount, ...]:
    """The container's mounts, in the guest's words."""
    if spec.rootfs is not None:
        root, first = platform.share_mount(0), 1
    else:
        root, first = platform.image_mount(), 0
    storage = spec.storage
    mounts = [
        Mount(root.kind, root.source, "/", root.options, readonly=storage.readonly, overlay=True)
    ]
    if storage.layer == DISK:
        disk = platform.layer_mount()
        mounts.append(Mount(disk.kind, disk.source, "/", disk.options, layer=True))
    return (*mounts, *sorted(_below(spec, platform, first), key=lambda m: m.target.count("/")))


def _below(spec: ContainerSpec, platform: Platform, first: int) -> Iterator[Mount]:
    """What is mounted below the root; one that lies in another one is to be mounted after it."""
    for index, volume in enumerate(spec.volumes, first):
        share = platform.share_mount(index)
        yield Mount(
            share.kind,
            share.source,
            volume.target,
            share.options,
            readonly=volume.readonly,
            guarded=volume.guarded,
            noexec=volume.noexec,
            file=volume.file,
            seed=volume.seeded and not volume.readonly,
        )
    for one in spec.storage.tmpfs:
        yield Mount(
            "tmpfs",
            "tmpfs",
            one.target,
            one.options,
            readonly=one.readonly,
            guarded=True,
            noexec=not one.executable,
        )


def guest_care(spec: ContainerSpec) -> Care:
    """What the guest's init does for the main process, in its words."""
    checks = spec.health
    times_s = (
        checks.interval_s,
        checks.timeout_s,
        checks.start_period_s,
        checks.start_interval_s,
    )
    interval, timeout, period, start_interval = (round(seconds * 1000) for seconds in times_s)
    return Care(
        spec.restart.number,
        spec.restart.attempts,
        checks.command,
        (interval, timeout, period, start_interval),
        checks.retries,
    )


def _limits(spec: ContainerSpec) -> dict[LimitKind, int]:
    limits = {LimitKind.SHM: spec.tuning.shm_bytes, LimitKind.PIDS: spec.limits.pids}
    return {kind: most for kind, most in limits.items() if most}


def start_machine(
    record: Record, spec: ContainerSpec, platform: Platform, on_step: Step = lambda _: None
) -> Session:
    """Starts a container's machine; returns the first session, which has sent the boot frames.

    The guest's answer, READY, is still to be awaited. ``on_step`` is told what was reached, for
    measurements.

    Raises:
        HostError: this host refused.
        SpecError: the specification cannot be said in the protocol.
    """
    groups = make_groups(record, spec)
    with connected(spec, record.path(NETWORK)) as connection:
        frames = boot_frames(
            spec.hostname,
            guest_mounts(spec, platform),
            sysctls=spec.tuning.sysctls,
            limits=_limits(spec),
            care=guest_care(spec),
            further=connection.frames + file_frames(timezone_files(spec.timezone)),
        )
        session, pid = _start(record, spec, platform, connection.wires)
        try:
            on_step("machine")
            confine(groups, pid)
            send_frames(record, session, frames)
            connection.wait_ready()
            confine_network(groups, record)
        except BaseException:
            session.close()
            raise
    return session


def _start(
    record: Record, spec: ContainerSpec, platform: Platform, wires: tuple[Wire, ...]
) -> tuple[Session, int]:
    def begin(pid: int) -> None:
        record.begin_run(pid)
        place(spec, pid)

    disk = None
    try:
        if spec.storage.layer == DISK:
            disk = layer.open_layer(record.directory / layer.NAME)
        further = MachineFiles(-1, -1, None, -1, disk, wires)
        return begin_machine(record, machine_spec(spec), platform, begin, further, log=spec.log)
    finally:
        if disk is not None:
            os.close(disk)


def begin_machine(
    record: Record,
    spec: MachineSpec,
    platform: Platform,
    begin: Callable[[int], None],
    further: MachineFiles,
    *,
    log: bool,
) -> tuple[Session, int]:
    """Starts a machine with the files of its record and ``further`` ones.

    Returns its first session and its process, which ``begin`` was told of before it began.

    Raises:
        HostError: this host refused.
    """
    listener = _listen(record.control)
    opened = []
    try:
        for name in ("status", "console") + (("log",) if log else ()):
            opened.append(_append(record.path(name)))  # noqa: PERF401 (one may fail)
        files = further._replace(
            control=listener.fileno(),
            status=opened[0],
            console=opened[1],
            log=opened[2] if log else None,
        )
        # Before anybody can know of the machine: the guest boots for its first connection only.
        session = Session(connect(record.control))
        try:
            pid = platform.start(spec, files, begin)
        except BaseException:
            session.close()
            raise
        return session, pid
    finally:
        listener.close()
        for descriptor in opened:
            os.close(descriptor)


def send_frames(record: Record, session: Session, frames: bytes) -> None:
    """Sends frames to a guest that has not said anything yet.

    Raises:
        BootError: its kernel has ended.
    """
    try:
        session.send(frames)
    except GuestError as error:
        raise boot_error(record, str(error)) from error


def await_boot(record: Record, session: Session, on_step: Step = lambda _: None) -> None:
    """Waits until the guest is ready; ``on_step`` is told when its kernel and init are up.

    Raises:
        BootError: its kernel did not come up; holds the console's tail.
        GuestError: a mount or the like failed in the guest.
    """
    try:
        session.await_greeting(timeout_s=BOOT_TIMEOUT_S)
        on_step("kernel")
        session.expect(Type.READY, timeout_s=BOOT_TIMEOUT_S)
        on_step("mounts")
    except BootError as error:
        raise boot_error(record, str(error)) from error
    except GuestError as error:
        if error.stage:
            raise
        raise boot_error(record, str(error)) from error


def boot_error(record: Record, cause: str) -> BootError:
    """The error for a container kernel that ended, or never began, to speak."""
    console = record.console_tail()
    panic = [line for line in console.splitlines() if "Kernel panic" in line]
    if panic:
        cause = panic[-1].removeprefix("<0>")
    return BootError(
        f"failed to boot container '{record.spec.name}' on '{record.spec.kernel}': {cause}",
        console=console,
        hint="'drupe system check' tells what this host lacks; 'drupe kernel ls' lists kernels",
    )


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        path.unlink(missing_ok=True)  # of an earlier run
        with short_name(path) as name:
            listener.bind(name)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise HostError(f"failed to listen on '{path}': {error.strerror}") from error
    return listener


def _append(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise HostError(f"failed to open '{path}': {error.strerror}") from error
