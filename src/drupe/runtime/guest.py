"""A process of the specification in the guest's words."""

from __future__ import annotations

from collections.abc import Iterable

from drupe.container.settings import CAPABILITIES
from drupe.guest.spec import Process
from drupe.oci.process import CapabilitySets, ProcessConfig

WINDOW = (24, 80)
"""Rows and columns of a terminal whose size nobody told."""

_BITS = {f"CAP_{name}": 1 << number for number, name in enumerate(CAPABILITIES)}


def guest_process(config: ProcessConfig, *, stdin: bool = False) -> Process:
    """The process, as the guest's init starts it."""
    user = config.user
    sets = config.capabilities or CapabilitySets()
    return Process(
        args=config.args,
        env=config.env,
        cwd=config.cwd,
        user=f"{user.uid}:{user.gid}",
        groups=tuple(map(str, user.groups)),
        rlimits=config.rlimits,
        capability_sets=(
            _mask(sets.bounding),
            _mask(sets.effective) & _mask(sets.permitted),
            _mask(sets.permitted),
            _mask(sets.inheritable),
            _mask(sets.ambient),
        ),
        no_new_privileges=config.no_new_privileges,
        umask=user.umask,
        oom_score_adj=config.oom_score_adj,
        terminal=(config.window or WINDOW) if config.terminal else None,
        stdin=stdin,
    )


def _mask(names: Iterable[str]) -> int:
    """Bits of the names that Linux knows; others are left out, as by other runtimes."""
    return sum({_BITS.get(name.upper(), 0) for name in names})
