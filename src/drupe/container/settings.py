"""What a container's processes may do and get: limits, capabilities, masks."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterable
from typing import NamedTuple

from drupe.errors import SpecError
from drupe.guest.spec import UNLIMITED, Process

CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
    "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
    "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
    "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
    "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
    "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
)  # fmt: skip
"""Linux's capabilities, in the order of their numbers. Source: linux/capability.h."""

ULIMITS = {
    name: getattr(resource, f"RLIMIT_{name.upper()}")
    for name in (
        "as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc",
        "rss", "rtprio", "rttime", "sigpending", "stack",
    )
} | {"locks": 10}  # fmt: skip
"""Names of docker's ``--ulimit`` → Linux's numbers."""

DEVICES = (
    "/dev/fuse", "/dev/net/tun", "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
    "/dev/urandom", "/dev/tty",
)  # fmt: skip
"""What the guest's init makes in each container; its own kernel has the drivers."""

_ALL = "ALL"
_UNCONFINED = {
    "seccomp=unconfined", "apparmor=unconfined", "label=disable", "systempaths=unconfined",
}  # fmt: skip
"""Ways to ask for what is so anyway: the guest's kernel has none of these walls."""


def check_device(text: str) -> None:
    """What ``--device`` asks for must be there anyway, under the same name.

    Raises:
        SpecError: it is a device of the host's, or shall be elsewhere.
    """
    source, _, rest = text.partition(":")
    if source not in DEVICES or (rest.startswith("/") and rest.partition(":")[0] != source):
        raise SpecError(
            f"failed to use device '{text}': a container's kernel has no drivers for its host's",
            hint=f"there are {', '.join(DEVICES)}; mknod makes others that its own kernel has",
        )


class Settings(NamedTuple):
    """What all processes of a container get.

    Attributes:
        rlimits: (resource number, soft, hard), as in ``drupe.guest.spec``.
        capabilities: names of those that they may have, or None: all.
        no_new_privileges: execve() gives no rights.
        umask: of the main process and of others; None: 022.
        oom_score_adj: -1000 to 1000; None: 0.
    """

    rlimits: tuple[tuple[int, int, int], ...] = ()
    capabilities: tuple[str, ...] | None = None
    no_new_privileges: bool = False
    umask: int | None = None
    oom_score_adj: int | None = None

    def apply(self, process: Process, *, privileged: bool = False) -> Process:
        """The process with these; ``privileged``: it may all the same have any capability."""
        kept = None if privileged or self.capabilities is None else _mask(self.capabilities)
        return process._replace(
            rlimits=self.rlimits,
            capabilities=kept,
            no_new_privileges=self.no_new_privileges and not privileged,
            umask=self.umask,
            oom_score_adj=self.oom_score_adj,
        )


def parse_ulimits(texts: Iterable[str]) -> tuple[tuple[int, int, int], ...]:
    """NAME=SOFT[:HARD], -1 for no limit; the last of a name counts.

    Raises:
        SpecError: not of that form, no such name, or the soft limit is above the hard one.
    """
    limits = {}
    for text in texts:
        match = re.fullmatch(r"([a-z]+)=(-1|\d{1,18})(?::(-1|\d{1,18}))?", text)
        if match is None or match[1] not in ULIMITS:
            raise SpecError(
                f"failed to use ulimit '{text}': not NAME=SOFT[:HARD]",
                hint=f"numbers, or -1 for no limit; NAME is one of {', '.join(sorted(ULIMITS))}",
            )
        soft, hard = (
            UNLIMITED if number == "-1" else int(number)
            for number in (match[2], match[3] or match[2])
        )
        if soft > hard:
            raise SpecError(f"failed to use ulimit '{text}': the soft limit is above the hard one")
        number = ULIMITS[match[1]]
        limits[number] = (number, soft, hard)
    return tuple(limits.values())


def parse_capabilities(
    add: Iterable[str], drop: Iterable[str], *, privileged: bool = False
) -> tuple[str, ...] | None:
    """The capabilities that are kept, or None: all of them, which is where drupe begins.

    Raises:
        SpecError: no such capability.
    """
    added, dropped = set(map(_capability, add)), set(map(_capability, drop))
    if privileged or not dropped:
        return None
    kept = set() if _ALL in dropped and _ALL not in added else set(CAPABILITIES)
    kept = kept - dropped | added - {_ALL}
    return tuple(name for name in CAPABILITIES if name in kept)


def _capability(text: str) -> str:
    name = text.upper().removeprefix("CAP_")
    if name != _ALL and name not in CAPABILITIES:
        raise SpecError(
            f"failed to use capability '{text}': no such capability",
            hint="a name such as NET_ADMIN or CAP_NET_ADMIN, or ALL",
        )
    return name


def _mask(names: Iterable[str]) -> int:
    return sum(1 << CAPABILITIES.index(name) for name in names)


def parse_security_options(texts: Iterable[str]) -> bool:
    """Whether ``no-new-privileges`` is among them.

    Raises:
        SpecError: an option asks for a wall that the guest's kernel does not have.
    """
    found = False
    for text in texts:
        name, _, value = text.replace(":", "=", 1).partition("=")
        if name == "no-new-privileges" and value in {"", "true", "false"}:
            found = value != "false"
        elif f"{name}={value}" not in _UNCONFINED:
            raise SpecError(
                f"failed to use security option '{text}': not one of drupe's",
                hint="no-new-privileges; the container's kernel has no profiles to load, its jail "
                "is the same for all",
            )
    return found


def parse_umask(text: str) -> int:
    """A mask of file modes, octal.

    Raises:
        SpecError: not one.
    """
    if not re.fullmatch(r"0?[0-7]{1,3}", text):
        raise SpecError(f"failed to use umask '{text}': not an octal number up to 777")
    return int(text, 8)


def check_oom_score(score: int) -> int:
    """A bias of the guest's OOM killer.

    Raises:
        SpecError: out of bounds.
    """
    if not -1000 <= score <= 1000:
        raise SpecError(f"failed to use OOM score {score}: -1000 to 1000, please")
    return score
