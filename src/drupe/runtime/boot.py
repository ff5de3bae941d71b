"""A container's machine: booted, its main process held; then let go."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from drupe.container.machine import BOOT_TIMEOUT_S, begin_machine
from drupe.errors import BootError, GuestError, StateError
from drupe.guest.protocol import LimitKind, StartFlag, Type
from drupe.guest.session import Session, connect, release_frames
from drupe.guest.spec import boot_frames, process_frames
from drupe.kbuild.kernels import find_initramfs
from drupe.oci.bundle import BundleConfig
from drupe.platform.base import MachineFiles, MachineSpec, Platform
from drupe.runtime.container import Container
from drupe.runtime.guest import guest_process
from drupe.runtime.layout import Layout
from drupe.runtime.network import Joined

_ANSWER_TIMEOUT_S = 60.0
_HELD = StartFlag.MAIN | StartFlag.DETACHED | StartFlag.HELD | StartFlag.FILES


def boot(
    container: Container,
    config: BundleConfig,
    layout: Layout,
    platform: Platform,
    kernel: Path,
    streams: Sequence[int],
    network: Joined,
    on_machine: Callable[[int], None],
) -> int:
    """Boots a container as far as its main process, which does not run yet; the host process.

    Everything is known to the guest then. ``on_machine`` is called with the machine's process once
    its namespaces are there and before the guest is told anything.

    Raises:
        HostError: this host refused.
        BootError: the kernel did not come up.
        GuestError: something was refused in the guest.
    """
    facts = container.facts
    pids = config.linux.resources.pids or 0
    limits = {LimitKind.SHM: layout.shm_bytes, LimitKind.PIDS: max(0, pids)}
    frames = boot_frames(
        config.hostname or socket.gethostname()[:64],
        layout.mounts,
        sysctls={name.replace(".", "/"): value for name, value in config.linux.sysctls.items()},
        limits={kind: most for kind, most in limits.items() if most},
        domainname=config.domainname,
        further=network.frames,
    ) + process_frames(guest_process(config.process), _HELD)
    machine = MachineSpec(
        name=facts.machine,
        kernel=kernel,
        initramfs=find_initramfs(),
        memory_bytes=facts.memory_bytes,
        image=None,
        shares=layout.shares,
        any_owner=True,
    )
    files = MachineFiles(-1, -1, None, -1, wires=network.wires, streams=tuple(streams))
    record = container.record
    session, pid = begin_machine(record, machine, platform, record.begin_run, files, log=False)
    try:
        on_machine(pid)
        session.send(frames)
        session.await_greeting(timeout_s=BOOT_TIMEOUT_S)
        session.expect(Type.READY, timeout_s=BOOT_TIMEOUT_S)
        session.expect(Type.STARTED, timeout_s=_ANSWER_TIMEOUT_S)
    except BootError as error:
        raise _with_console(container, error) from error
    except GuestError as error:
        if not error.stage:
            raise _with_console(container, error) from error
        raise explained(error, config.process.args[0]) from error
    finally:
        session.close()
    return pid


def release(container: Container, program: str) -> None:
    """Has the main process execute its program.

    Raises:
        StateError: it is not held any more.
        GuestError: the program cannot be executed.
    """
    try:
        session = Session(connect(container.record.control))
    except OSError as error:
        raise StateError("cannot start a container that has stopped") from error
    try:
        session.send(release_frames())
        session.expect(Type.STARTED, timeout_s=_ANSWER_TIMEOUT_S)
    except GuestError as error:
        raise explained(error, program) from error
    finally:
        session.close()


def explained(error: GuestError, program: str) -> GuestError:
    """The error in the words that engines know, where a program cannot be executed."""
    import errno

    from drupe.guest.protocol import Stage

    if error.stage != Stage.EXEC:
        return error
    if error.number == errno.ENOENT:
        missing = "no such file or directory" if "/" in program else None
        cause = missing or "executable file not found in $PATH"
    else:
        cause = os.strerror(error.number).lower()
    return GuestError(
        f'unable to start container process: exec: "{program}": {cause}',
        number=error.number,
        stage=error.stage,
    )


def _with_console(container: Container, error: BootError | GuestError) -> BootError:
    console = container.record.console_tail()
    panic = [line for line in console.splitlines() if "Kernel panic" in line]
    cause = panic[-1].removeprefix("<0>") if panic else str(error)
    return BootError(f"failed to boot the container kernel: {cause}", console=console)
