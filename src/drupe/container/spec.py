"""What a container is made of: checked once, then kept as JSON beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from drupe.container.binding import Volume
from drupe.container.life import Checks, Restart
from drupe.container.limits import Limits
from drupe.container.settings import Settings
from drupe.container.sizes import parse_size
from drupe.container.stopping import Stopping
from drupe.container.storage import Storage
from drupe.container.tuning import Tuning
from drupe.errors import SpecError
from drupe.net.config import Network

MEMORY_DEFAULT_BYTES = 512 << 20
MEMORY_LEAST_BYTES = 32 << 20
MEMORY_MOST_BYTES = 1 << 40

_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}"
_HOSTNAME = r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?"
_VARIABLE = r"[^=\0]+"


class ContainerSpec(NamedTuple):
    """A container, as ``run`` describes it.

    Attributes:
        id: 64 hexadecimal digits.
        name: unique among a user's containers.
        platform: what runs its kernel.
        kernel: path of the container kernel's file.
        initramfs: path of the guest's init, packed.
        memory_bytes: the guest's memory.
        image: path of the root image file, or None.
        image_name: what the user called it; empty for a directory root.
        rootfs: path of the root directory, or None.
        hostname: in the container.
        volumes: directories and files of the host let in.
        args: the main process.
        env: its environment.
        cwd: its directory.
        user: its user[:group].
        groups: its supplementary groups.
        terminal: it gets a PTY.
        stdin: it gets input.
        remove: the container goes when it ends.
        labels: the user's own notes.
        log: output is kept.
        created_ns: time of creation, since the epoch.
        settings: what its processes may and get.
        tuning: settings of its kernel.
        timezone: Area/City, or local; empty: as the root has it.
        stopping: what ``stop`` does where nobody says otherwise.
        image_id: 64 hexadecimal digits; empty for a directory root.
        limits: what it may use beside memory.
        restart: whether its main process is started again.
        health: its health checks.
        storage: where what it writes goes.
        network: how it is connected.
    """

    id: str
    name: str
    platform: str
    kernel: str
    initramfs: str
    memory_bytes: int
    image: str | None
    image_name: str
    rootfs: str | None
    hostname: str
    volumes: tuple[Volume, ...]
    args: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    user: str
    groups: tuple[str, ...]
    terminal: bool
    stdin: bool
    remove: bool
    labels: dict[str, str]
    log: bool = True
    created_ns: int = 0
    settings: Settings = Settings()
    tuning: Tuning = Tuning()
    timezone: str = ""
    stopping: Stopping = Stopping()
    image_id: str = ""
    limits: Limits = Limits()
    restart: Restart = Restart()
    health: Checks = Checks()
    storage: Storage = Storage()
    network: Network = Network()


def check_name(name: str) -> str:
    """Returns a container's name.

    Raises:
        SpecError: it cannot be one.
    """
    if not re.fullmatch(_NAME, name):
        raise SpecError(
            f"failed to use name '{name}': not a container name",
            hint="letters, digits, '_', '.', '-', beginning with a letter or digit, 63 at most",
        )
    return name


def check_hostname(name: str) -> str:
    """Returns a host name.

    Raises:
        SpecError: it cannot be one.
    """
    if not re.fullmatch(_HOSTNAME, name):
        raise SpecError(
            f"failed to use host name '{name}': not a host name",
            hint="letters, digits, '-' and '.', 64 at most",
        )
    return name


def parse_memory(text: str) -> int:
    """Bytes of memory, in docker's notation.

    Raises:
        SpecError: not a size, or out of bounds.
    """
    size = parse_size("memory", text)
    if not MEMORY_LEAST_BYTES <= size <= MEMORY_MOST_BYTES:
        raise SpecError(
            f"failed to use memory '{text}': {size} bytes",
            hint=f"at least {MEMORY_LEAST_BYTES >> 20}m, at most {MEMORY_MOST_BYTES >> 30}g",
        )
    return (size + (1 << 20) - 1) >> 20 << 20


def parse_variable(text: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    """NAME=value, or NAME: taken from ``environment``, None where it is not there.

    Raises:
        SpecError: no name.
    """
    name, equals, value = text.partition("=")
    if not re.fullmatch(_VARIABLE, name):
        raise SpecError(f"failed to use variable '{text}': no name", hint="NAME=value or NAME")
    if equals:
        return name, value
    return (name, environment[name]) if name in environment else None
