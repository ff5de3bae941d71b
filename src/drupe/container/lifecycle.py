"""What can be done to containers: run, exec, signal, stop, wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from drupe.container.machine import Step, await_boot, boot_error, start_machine
from drupe.container.record import Condition, Record, State
from drupe.container.spec import ContainerSpec
from drupe.container.store import Store
from drupe.errors import BootError, GuestError, StateError, TimedOutError
from drupe.guest.protocol import StartFlag, Type
from drupe.guest.session import Session, connect, kill_frames, request, stop_frames
from drupe.guest.spec import Process, process_frames
from drupe.platform.base import Platform
from drupe.platform.registry import find_platform

_ANSWER_TIMEOUT_S = 30.0
_POWER_OFF_TIMEOUT_S = 10.0


def main_process(spec: ContainerSpec, terminal: tuple[int, int] | None) -> Process:
    """A container's main process, in the guest's words."""
    process = Process(
        args=spec.args,
        env=spec.env,
        cwd=spec.cwd,
        user=spec.user,
        groups=spec.groups,
        terminal=terminal,
        stdin=spec.stdin,
    )
    return spec.settings.apply(process)


@contextmanager
def launched(
    store: Store,
    name: str | None,
    make: Callable[[str, str], ContainerSpec],
    *,
    detached: bool,
    window: tuple[int, int] | None = None,
    platform: Platform | None = None,
    on_step: Step = lambda _: None,
) -> Iterator[tuple[Record, Session]]:
    """Makes a container, boots it and starts its main process; yields the session that did.

    An error until the main process runs leaves nothing behind.

    Raises:
        SpecError, HostError, BootError, GuestError: see the steps.
    """
    with ExitStack() as held, store.creating(name, make) as record:
        held.enter_context(record.attended())
        spec = record.spec
        flags = StartFlag.MAIN
        flags |= StartFlag.DETACHED * detached | StartFlag.LOG * spec.log
        frames = process_frames(main_process(spec, window), flags)
        session = start_machine(record, platform or find_platform(spec.platform), on_step)
        try:
            session.send(frames)
            await_boot(record, session, on_step)
            _started(record, session)
            on_step("main")
        except BaseException:
            session.close()
            raise
        attended = held.pop_all()
    with attended:
        try:
            yield record, session
        finally:
            session.close()


def _started(record: Record, session: Session) -> None:
    try:
        session.expect(Type.STARTED, timeout_s=_ANSWER_TIMEOUT_S)
    except BootError as error:
        raise boot_error(record, str(error)) from error


def running(record: Record) -> Condition:
    """The condition of a container that must be running.

    Raises:
        StateError: it is not.
    """
    condition = record.condition()
    if condition.state is not State.RUNNING:
        raise StateError(
            f"failed to reach container '{record.spec.name}': it is {condition.state}, not running"
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
    with _reachable(record):
        session = Session(connect(record.control))
    try:
        with _reachable(record):
            session.send(frames)
            session.expect(Type.STARTED, timeout_s=_ANSWER_TIMEOUT_S)
        yield session
    finally:
        session.close()


def kill(record: Record, number: int) -> None:
    """Sends a signal to a container's main process.

    Raises:
        StateError: the container does not run.
    """
    running(record)
    with _reachable(record):
        request(record.control, kill_frames(number), timeout_s=_ANSWER_TIMEOUT_S)


def stop(record: Record, *, signal: int | None = None, grace_s: float | None = None) -> Condition:
    """Ends a container in order: a signal, a time of grace, SIGKILL; returns its last condition.

    What is not said is as the container was told when it was made.

    A container kernel that does not answer is ended from outside.
    """
    process = record.process()
    if process is None or not process.alive():
        return record.condition()
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
    return record.condition()


def wait(record: Record, timeout_s: float | None = None) -> int:
    """Waits until a container has ended; returns its exit status.

    Raises:
        StateError: it never ran.
        TimedOutError: it has not ended in time.
    """
    process = record.process()
    if process is not None and not process.wait(timeout_s):
        raise TimedOutError(
            f"failed to wait for container '{record.spec.name}': not ended in {timeout_s} s",
            timeout_s or 0.0,
        )
    status = record.condition().status
    if status is None:
        raise StateError(f"failed to wait for container '{record.spec.name}': it never ran")
    return status


@contextmanager
def _reachable(record: Record) -> Iterator[None]:
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
