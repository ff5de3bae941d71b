"""What can be done to containers that run: exec, signal, stop, wait for the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from drupe.container.holdings import release_ended
from drupe.container.members import tell_left
from drupe.container.pausing import ensure_unpaused
from drupe.container.record import KILLED_STATUS, Condition, Record, Run, State
from drupe.container.store import Store
from drupe.errors import (
    BootError,
    GuestError,
    NotFoundError,
    SpecError,
    StateError,
    TimedOutError,
)
from drupe.guest.protocol import RestartPolicy, StartFlag, Type
from drupe.guest.session import Session, attach_frames, connect, kill_frames, request, stop_frames
from drupe.guest.spec import Process, process_frames

ANSWER_TIMEOUT_S = 30.0
_POWER_OFF_TIMEOUT_S = 10.0
_LAST_WRITES_TIMEOUT_S = 30.0
_CONDITION_POLL_S = 0.05
HEALTHY = "healthy"


def running(record: Record) -> Condition:
    """The condition of a container that must be running.

    Raises:
        StateError: it is not.
    """
    condition = record.condition()
    if condition.state not in {State.RUNNING, State.RESTARTING}:
        raise StateError(
            f"failed to reach container '{record.spec.name}': it is {condition.state}, not running",
            hint="'drupe unpause' has it go on" if condition.state is State.PAUSED else None,
        )
    return condition


@contextmanager
def executed(record: Record, process: Process, *, detached: bool = False) -> Iterator[Session]:
    """Starts another process in a running container; yields its session.

    Raises:
        StateError: the container does not run.
        GuestError: the process could not be started.
    """
    running(record)
    frames = process_frames(process, StartFlag(StartFlag.DETACHED * detached))
    with reachable(record):
        session = Session(connect(record.control))
    try:
        with reachable(record):
            session.send(frames)
            session.expect(Type.STARTED, timeout_s=ANSWER_TIMEOUT_S)
        yield session
    finally:
        session.close()


@contextmanager
def reattached(record: Record) -> Iterator[Session]:
    """Takes up the session of a main process that was detached from; yields it.

    Its end leaves the process alone.

    Raises:
        StateError: the container does not run.
        GuestError: somebody else is attached to it, or it does not read its input.
    """
    running(record)
    with reachable(record):
        session = Session(connect(record.control))
    try:
        with reachable(record):
            session.send(attach_frames())
            session.expect(Type.STARTED, timeout_s=ANSWER_TIMEOUT_S)
        yield session
    finally:
        session.close()


def kill(record: Record, number: int) -> None:
    """Sends a signal to a container's main process.

    Raises:
        StateError: the container does not run.
    """
    running(record)
    with reachable(record):
        request(record.control, kill_frames(number), timeout_s=ANSWER_TIMEOUT_S)


def stop(record: Record, *, signal: int | None = None, grace_s: float | None = None) -> Condition:
    """Ends a container in order: a signal, a time of grace, SIGKILL; returns its last condition.

    What is not said is as the container was told when it was made.

    A container kernel that does not answer is ended from outside.
    """
    process = record.process()
    if process is None or not process.alive():
        release_ended(record)
        return record.condition()
    ensure_unpaused(record)
    stopping = record.spec.stopping
    signal = stopping.signal if signal is None else signal
    grace_s = stopping.grace_s if grace_s is None else grace_s
    deadline = time.monotonic() + grace_s + _POWER_OFF_TIMEOUT_S
    # It may have gone already, or hang: the wait tells.
    with suppress(GuestError, BootError, OSError):
        request(
            record.control,
            stop_frames(signal, int(grace_s * 1000)),
            timeout_s=grace_s + _POWER_OFF_TIMEOUT_S,
        )
    if not process.wait(max(0.5, deadline - time.monotonic())):
        process.kill()
    release_ended(record)
    tell_left(record, record.spec)
    return record.condition()


def wait(record: Record, timeout_s: float | None = None, run: Run | None = None) -> int:
    """Waits until a run of a container, the newest, has ended; returns its exit status.

    Raises:
        StateError: it never ran.
        TimedOutError: it has not ended in time.
    """
    run = run or record.run()
    if run is None:
        raise StateError(f"failed to wait for container '{record.spec.name}': it never ran")
    if not run.process.wait(timeout_s):
        raise TimedOutError(
            f"failed to wait for container '{record.spec.name}': not ended in {timeout_s} s",
            timeout_s or 0.0,
        )
    newest = record.run()
    # Somebody may have started it again meanwhile.
    end = None if newest is None or newest == run else newest.status_offset
    status = record.condition_of(run, end).status
    return KILLED_STATUS if status is None else status


def await_condition(
    record: Record,
    wanted: str,
    timeout_s: float | None = None,
    *,
    called_off: Callable[[], bool] = lambda: False,
) -> None:
    """Waits until a container is ``running`` or ``healthy``, or the wait is called off.

    Raises:
        SpecError: it is asked for something else.
        StateError: it ended before, or has no health checks.
        TimedOutError: it is not so in time.
    """
    name = record.spec.name
    if wanted not in {State.RUNNING, HEALTHY}:
        raise SpecError(
            f"failed to wait for container '{name}': no condition '{wanted}'",
            hint="running, healthy or exited",
        )
    if wanted == HEALTHY and not record.spec.health.command:
        raise StateError(f"failed to wait for container '{name}': it has no health checks")
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while not _is(condition := record.condition(), wanted):
        if condition.ended:
            raise StateError(f"failed to wait for container '{name}': it is {condition.state}")
        if called_off():
            return
        if deadline is not None and time.monotonic() >= deadline:
            raise TimedOutError(
                f"failed to wait for container '{name}': not {wanted} in {timeout_s} s",
                timeout_s or 0.0,
            )
        time.sleep(_CONDITION_POLL_S)


def _is(condition: Condition, wanted: str) -> bool:
    if wanted == HEALTHY:
        return condition.health is not None and condition.health.status == HEALTHY
    return condition.state is State.RUNNING


def finish(store: Store, record: Record, run: Run | None) -> bool:
    """After the main process of a run: waits for the power-off, then removes what is not to stay.

    Only then is all that the container wrote on the host. One that is removed anyway and has
    nothing to write is not waited for but ended. Returns whether it powered off as it should.
    """
    spec, in_order = record.spec, True
    # With a restart policy, the end of the main process may be none of the container's.
    if run is not None and spec.restart.number is RestartPolicy.NO:
        if spec.remove and all(volume.readonly for volume in spec.volumes):
            run.process.kill()
        elif not run.process.wait(_LAST_WRITES_TIMEOUT_S):
            in_order = False
            run.process.kill()
        release_ended(record)
        if not spec.remove:
            tell_left(record, spec)
    if spec.remove:
        # Somebody else has removed it, or started it again.
        with suppress(NotFoundError, StateError):
            store.remove(record)
    return in_order


@contextmanager
def reachable(record: Record) -> Iterator[None]:
    """Says what happened to a container that stopped answering."""
    try:
        yield
    except OSError as error:
        raise StateError(f"failed to reach container '{record.spec.name}': it has ended") from error
    except BootError as error:
        raise BootError(
            f"failed to reach container '{record.spec.name}': {error}",
            console=record.console_tail(),
        ) from error
