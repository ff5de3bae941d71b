"""The contract of a platform.

A platform starts a *machine*: one container kernel with its initramfs, memory, root image,
directory shares, and open files: the listening control socket, the status file, the log file, the
console, and the wires of its networks. It knows nothing of containers. The guest protocol runs over
the control socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from drupe.jail.plan import Share


class MachineSpec(NamedTuple):
    """What to start.

    Attributes:
        name: the container's id, 64 hexadecimal digits.
        kernel: the container kernel's file.
        initramfs: a newc archive that holds the guest's init.
        memory_bytes: the guest's memory, a multiple of 1 MiB.
        image: root image file (EROFS), or None.
        shares: host directories, in the order in which ``share_mount`` counts them.
        layer_bytes: size of the writable layer, or 0: none on disk.
        any_owner: where root starts it: files in its shares are open to it whoever owns them.
    """

    name: str
    kernel: Path
    initramfs: Path
    memory_bytes: int
    image: Path | None
    shares: tuple[Share, ...]
    layer_bytes: int = 0
    any_owner: bool = False


class Wire(NamedTuple):
    """The host's end of one Ethernet device of a machine.

    Attributes:
        descriptor: open, and the machine's own alone once it runs.
        framing: ``stream``: a length before each frame, as passt has it; ``packet``: a frame and
            its struct virtio_net_hdr a read or write.
    """

    descriptor: int
    framing: str


class MachineFiles(NamedTuple):
    """Open descriptors that the machine gets; it never sees their paths.

    Attributes:
        control: a listening stream socket.
        status: opened for appending.
        log: opened for appending, or None: no log.
        console: opened for appending: the kernel's messages.
        layer: the writable layer, an ext4 file system, opened for reading and writing, or None.
        wires: its Ethernet devices, in the order in which the guest counts them.
        streams: what its main process reads and writes: input, output, errors, or one terminal.
    """

    control: int
    status: int
    log: int | None
    console: int
    layer: int | None = None
    wires: tuple[Wire, ...] = ()
    streams: tuple[int, ...] = ()


class GuestMount(NamedTuple):
    """How the guest mounts something that the platform offers: arguments of mount(2)."""

    kind: str
    source: str
    options: str


class Finding(NamedTuple):
    """One thing that a platform needs of the host.

    Attributes:
        name: what was looked at.
        ok: whether it is there.
        detail: what was found.
        hint: the way out where it is missing.
    """

    name: str
    ok: bool
    detail: str
    hint: str = ""


class Platform(Protocol):
    """What every platform offers. Implementations hold no state."""

    name: str

    def probe(self) -> list[Finding]:
        """Looks at this host, by trying, not by guessing."""

    def start(self, spec: MachineSpec, files: MachineFiles, on_pid: Callable[[int], None]) -> int:
        """Starts a machine; returns the host process id whose end is the machine's end.

        ``on_pid`` is called with it before anything of the guest runs; if the caller dies before
        ``on_pid`` has returned, nothing stays.

        Raises:
            HostError: this host refused. Nothing is left.
        """

    def image_mount(self) -> GuestMount:
        """How the guest mounts the root image."""

    def layer_mount(self) -> GuestMount:
        """How the guest mounts the writable layer."""

    def share_mount(self, index: int) -> GuestMount:
        """How the guest mounts the share with that index."""

    def describe(self, spec: MachineSpec) -> Mapping[str, object]:
        """What holds the machine: the jail, as ``drupe inspect`` prints it."""
