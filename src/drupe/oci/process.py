"""A process as the runtime specification describes it. Source: config.md and config-linux.md."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from typing import Any, NamedTuple

from drupe.oci.document import Fields

ID_MOST = 0xFFFF_FFFE
"""Of users and groups: the kernel takes the number above for none."""

_VALUES_MOST = 0xFFFF_FFFF_FFFF_FFFF
_SCORE_MOST = 1000
_WINDOW_MOST = 0xFFFF

_RLIMITS = {
    name: getattr(resource, name)
    for name in (
        "RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_MEMLOCK",
        "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_RSS",
        "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING", "RLIMIT_STACK",
    )
} | {"RLIMIT_LOCKS": 10}  # fmt: skip


class ProcessUser(NamedTuple):
    """Whose process it is.

    Attributes:
        uid, gid: in the container.
        umask: of file modes, or None.
        groups: supplementary ones.
    """

    uid: int = 0
    gid: int = 0
    umask: int | None = None
    groups: tuple[int, ...] = ()


class CapabilitySets(NamedTuple):
    """Names of capabilities, CAP_*, in each of the five sets; unknown ones are among them."""

    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


class ProcessConfig(NamedTuple):
    """A process.

    Attributes:
        args: program and arguments, never empty.
        env: NAME → value.
        cwd: absolute path.
        user: its ids.
        terminal: it has one.
        window: (rows, columns) of that, or None.
        capabilities: None: nothing was said, so it has none.
        rlimits: (Linux's number, soft, hard).
        no_new_privileges: execve() gives it no rights.
        oom_score_adj: -1000 to 1000, or None.
    """

    args: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    user: ProcessUser = ProcessUser()
    terminal: bool = False
    window: tuple[int, int] | None = None
    capabilities: CapabilitySets | None = None
    rlimits: tuple[tuple[int, int, int], ...] = ()
    no_new_privileges: bool = False
    oom_score_adj: int | None = None


def read_process(fields: Fields) -> ProcessConfig:
    """The process that an object describes; what is unknown in it is left out.

    Raises:
        SpecError: something in it cannot be.
    """
    args, cwd = fields.texts("args"), fields.text("cwd")
    if not args or not args[0]:
        raise fields.error("args", args)
    if not cwd.startswith("/"):
        raise fields.error("cwd", cwd)
    score = fields.integer("oomScoreAdj")
    if score is not None and not -_SCORE_MOST <= score <= _SCORE_MOST:
        raise fields.error("oomScoreAdj", score)
    sets = fields.member("capabilities")
    return ProcessConfig(
        args=args,
        env=_env(fields),
        cwd=cwd,
        user=_user(fields.member("user")),
        terminal=fields.flag("terminal"),
        window=_window(fields.member("consoleSize")) if fields.has("consoleSize") else None,
        capabilities=CapabilitySets(*(sets.texts(name) for name in CapabilitySets._fields))
        if fields.has("capabilities")
        else None,
        rlimits=_rlimits(fields),
        no_new_privileges=fields.flag("noNewPrivileges"),
        oom_score_adj=score,
    )


def _env(fields: Fields) -> dict[str, str]:
    env = {}
    for entry in fields.texts("env"):
        name, equals, value = entry.partition("=")
        if not name or not equals:
            raise fields.error("env", entry)
        env[name] = value
    return env


def _user(fields: Fields) -> ProcessUser:
    umask = fields.integer("umask")
    if umask is not None and not 0 <= umask <= 0o777:
        raise fields.error("umask", umask)
    groups = fields.numbers("additionalGids", ID_MOST)
    uid, gid = (fields.number(name, most=ID_MOST) for name in ("uid", "gid"))
    return ProcessUser(uid, gid, umask, groups)


def _window(fields: Fields) -> tuple[int, int]:
    return fields.number("height", most=_WINDOW_MOST), fields.number("width", most=_WINDOW_MOST)


def _rlimits(fields: Fields) -> tuple[tuple[int, int, int], ...]:
    limits: dict[int, tuple[int, int, int]] = {}
    for entry in fields.members("rlimits"):
        kind = entry.text("type")
        number: Any = _RLIMITS.get(kind)
        if number is None or number in limits:
            raise entry.error("type", kind)
        soft, hard = (entry.number(name, most=_VALUES_MOST) for name in ("soft", "hard"))
        if soft > hard:
            raise entry.error("soft", soft)
        limits[number] = (number, soft, hard)
    return tuple(limits.values())
