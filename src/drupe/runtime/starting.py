"""``start``, which ``run`` goes on with, too: the hooks around it, and the release."""

from __future__ import annotations

import json
import select
import time

from drupe.errors import BootError, GuestError, HostError, StateError
from drupe.guest.protocol import StartFlag, Type
from drupe.guest.session import Session, connect, exit_status, guest_error
from drupe.guest.spec import Process, process_frames
from drupe.oci.bundle import Hook
from drupe.runtime.boot import release
from drupe.runtime.container import Container
from drupe.runtime.hooks import environment, run_hooks_on

_ERRORS = {
    "stopped": "cannot start a container that has stopped",
    "running": "cannot start an already running container",
    "paused": "cannot start an already running container",
    "creating": "cannot start a container that is still being created",
}
_ANSWER_TIMEOUT_S = 30.0
_STDERR_BYTES = 8192


def start(container: Container) -> None:
    """Has a container's program run.

    Raises:
        StateError: it runs, or has stopped.
        GuestError: the program cannot be executed.
        HostError: a hook failed; the container was stopped.
    """
    with container.held():
        status = container.status()
        if status != "created":
            raise StateError(_ERRORS[status])
        config = container.config
        state = container.state("created")
        for number, hook in enumerate(config.hooks.start_container):
            try:
                _run_inside(container, hook, json.dumps(state).encode())
            except (BootError, GuestError, HostError) as error:
                container.end()
                raise HostError(f"error running startContainer hook #{number}: {error}") from error
        release(container, config.process.args[0])
    if config.hooks.poststart:
        run_hooks_on("poststart", config.hooks.poststart, container.state("running"))


def _run_inside(container: Container, hook: Hook, state: bytes) -> None:
    """A hook that is a program of the container, and runs in it."""
    process = Process((hook.path, *hook.args[1:]), environment(hook), stdin=True)
    session = Session(connect(container.record.control))
    try:
        session.send(process_frames(process, StartFlag(0)))
        session.expect(Type.STARTED, timeout_s=_ANSWER_TIMEOUT_S)
        session.send_input(state)
        session.end_input()
        status, said = _await_end(session, hook.timeout_s)
    finally:
        session.close()
    if status != 0:
        raise HostError(f"exit status {status}, stderr: {said}")


def _await_end(session: Session, timeout_s: float | None) -> tuple[int, str]:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    poll, said = select.poll(), b""
    poll.register(session, select.POLLIN)
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        if not session.buffered and not poll.poll(left):
            raise HostError(f"not ended in {timeout_s} s")
        frames = session.receive()
        if frames is None:
            raise HostError("the container has ended")
        for kind, payload in frames:
            if kind is Type.STDERR:
                said = (said + payload)[-_STDERR_BYTES:]
            elif kind is Type.EXITED:
                return exit_status(payload), said.decode(errors="replace").strip()
            elif kind is Type.ERROR:
                raise guest_error(payload)
