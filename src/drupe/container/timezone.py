"""A container's time zone: the rules of a zone of this host, as the container's /etc/localtime."""

from __future__ import annotations

import re
from pathlib import Path

from drupe.errors import HostError, SpecError
from drupe.guest.files import File

LOCAL = "local"
_ZONES = Path("/usr/share/zoneinfo")
_LOCAL = Path("/etc/localtime")
_TARGET = "/etc/localtime"
_MAGIC = b"TZif"
_BYTES_MOST = 1 << 16


def check_timezone(name: str) -> str:
    """Returns the name of a time zone that this host knows: Area/City, or ``local``.

    Raises:
        SpecError: there is none of that name.
        HostError: this host's rules cannot be read.
    """
    _rules(name)
    return name


def timezone_files(name: str) -> tuple[File, ...]:
    """What is to appear in a container with that time zone; without one, nothing.

    Raises:
        SpecError, HostError: as ``check_timezone``.
    """
    return (File(_TARGET, _rules(name)),) if name else ()


def _rules(name: str) -> bytes:
    if name == LOCAL:
        path = _LOCAL
    elif re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,3}", name):
        path = _ZONES / name
    else:
        raise _unknown(name)
    try:
        rules = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise _unknown(name) from error
    except OSError as error:
        raise HostError(f"failed to read '{path}': {error.strerror}") from error
    if not rules.startswith(_MAGIC) or len(rules) > _BYTES_MOST:
        raise _unknown(name)
    return rules


def _unknown(name: str) -> SpecError:
    return SpecError(
        f"failed to use time zone '{name}': this host knows none of that name",
        hint=f"Area/City, such as Europe/Berlin, of those below {_ZONES} (package tzdata); or "
        "'local' for this host's own",
    )
