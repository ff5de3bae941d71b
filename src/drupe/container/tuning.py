"""Settings of the container's kernel: sysctls, and the size of its shared memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from drupe.container.sizes import parse_size
from drupe.errors import SpecError

_NAME = r"[a-zA-Z0-9_-]+([./][a-zA-Z0-9_-]+)+"
_VALUE_MOST = 255


class Tuning(NamedTuple):
    """What the guest's init sets before the main process.

    Attributes:
        sysctls: path below /proc/sys → value.
        shm_bytes: size of /dev/shm; 0: half of the memory.
    """

    sysctls: dict[str, str] = {}  # noqa: RUF012 (never changed, as all of a record)
    shm_bytes: int = 0


def parse_sysctls(wanted: Mapping[str, str]) -> dict[str, str]:
    """Names such as ``net.ipv4.ip_forward``, with dots or slashes, as paths.

    Raises:
        SpecError: a name that cannot be one, or a value without end.
    """
    settings = {}
    for name, value in wanted.items():
        if not re.fullmatch(_NAME, name) or len(name) > _VALUE_MOST:
            raise SpecError(
                f"failed to use sysctl '{name}': not a name",
                hint="NAME=VALUE, such as net.ipv4.ip_forward=1",
            )
        if not value or len(value.encode()) > _VALUE_MOST or "\0" in value:
            raise SpecError(f"failed to use sysctl '{name}': its value has 1 to 255 bytes")
        # As sysctl(8) does: whichever separator comes first is the separator.
        slashes = "/" in name and name.find("/") < (name + ".").find(".")
        settings[name if slashes else name.replace(".", "/")] = value
    return settings


def parse_shm_size(text: str) -> int:
    """Bytes of /dev/shm, in docker's notation.

    Raises:
        SpecError: not a size, or none at all.
    """
    size = parse_size("shared memory", text)
    if size == 0:
        raise SpecError("failed to use shared memory '0': at least 1 byte, please")
    return size
