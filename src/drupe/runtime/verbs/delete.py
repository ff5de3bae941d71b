"""``delete``: removes a container that has stopped."""

from __future__ import annotations

import signal
from typing import Any

from drupe.errors import DrupeError, StateError
from drupe.oci.bundle import Hook
from drupe.runtime.container import Container
from drupe.runtime.home import Home
from drupe.runtime.hooks import run_hooks_on
from drupe.runtime.options import Option, Parsed, switch
from drupe.runtime.words import one

OPTIONS: tuple[Option, ...] = (switch("force", "f"),)

_POWER_OFF_TIMEOUT_S = 10.0


def main(home: Home, given: Parsed) -> int:
    """Removes it; with --force, whatever state it is in, and whether it is there or not."""
    force = given.flag("force")
    try:
        container = home.find(one(given))
    except StateError:
        if force:
            return 0
        raise
    delete(container, force=force)
    return 0


def delete(container: Container, *, force: bool) -> None:
    """Removes a container, and runs its poststop hooks.

    Raises:
        StateError: it has not stopped.
    """
    with container.held():
        status = container.status() if container.is_whole else "stopped"
        if status != "stopped":
            if not force:
                raise StateError(
                    f"cannot delete container {container.id} that is not stopped: {status}\n"
                )
            _end(container)
        hooks: tuple[Hook, ...] = ()
        state: dict[str, Any] = {}
        try:
            hooks = container.config.hooks.poststop
            state = container.state("stopped") if hooks else {}
        except (DrupeError, OSError):
            pass  # it did not get so far, or its files are spoilt
        container.remove()
    run_hooks_on("poststop", hooks, state)


def _end(container: Container) -> None:
    """In order, so that all that was written is on the host, if that can be had."""
    from drupe.runtime.verbs.kill import kill

    process = container.record.process()
    try:
        kill(container, signal.SIGKILL)
    except DrupeError:
        return
    if process is not None:
        process.wait(_POWER_OFF_TIMEOUT_S)
