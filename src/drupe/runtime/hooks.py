"""Hooks: programs of the host at the points of a container's life, and one in the container."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from drupe.errors import CommandError, HostError, TimedOutError
from drupe.oci.bundle import Hook
from drupe.runtime import log


def run_hooks(point: str, hooks: Sequence[Hook], state: dict[str, Any]) -> None:
    """Runs them in order, in the bundle's directory, with the state on standard input.

    Raises:
        HostError: one failed; those after it did not run.
    """
    for number, hook in enumerate(hooks):
        _run(point, number, hook, state)


def run_hooks_on(point: str, hooks: Sequence[Hook], state: dict[str, Any]) -> None:
    """The same; one that fails is told in the log, and the next one runs."""
    for number, hook in enumerate(hooks):
        try:
            _run(point, number, hook, state)
        except HostError as error:
            log.warning(str(error))


def environment(hook: Hook) -> dict[str, str]:
    """A hook's environment; it has nothing of the runtime's."""
    pairs = (entry.partition("=") for entry in hook.env)
    return {name: value for name, _, value in pairs if name}


def _run(point: str, number: int, hook: Hook, state: dict[str, Any]) -> None:
    from pathlib import Path

    from drupe import process

    said = f"error running {point} hook #{number}"
    try:
        process.run(
            hook.args or (hook.path,),
            program=hook.path,
            cwd=Path(state["bundle"]),
            env=environment(hook),
            input_bytes=json.dumps(state).encode(),
            timeout_s=hook.timeout_s,
        )
    except CommandError as error:
        tail = error.stderr.strip()
        raise HostError(f"{said}: exit status {error.status}, stderr: {tail}") from error
    except (HostError, TimedOutError) as error:
        raise HostError(f"{said}: {error}") from error
    except OSError as error:
        raise HostError(f"{said}: '{hook.path}': {error.strerror}") from error
