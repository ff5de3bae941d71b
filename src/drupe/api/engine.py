"""The steps that the API takes with the engine; each blocks, and may be taken in any thread."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from drupe.api.options import check_mapping, check_strings
from drupe.container import files, lifecycle, start
from drupe.container.files import Change
from drupe.container.images import ensure_image
from drupe.container.log import Part
from drupe.container.record import Condition, Record, Run
from drupe.container.request import RunRequest, resolve
from drupe.container.service import serving
from drupe.container.spec import ContainerSpec
from drupe.container.store import Store
from drupe.container.visit import reached
from drupe.errors import DrupeError, GuestError, NotFoundError, StateError
from drupe.guest.session import Session
from drupe.guest.spec import Process
from drupe.image.calloff import CallOff
from drupe.image.store import Image

Moment = datetime | float
"""A time: a ``datetime``, or seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A process in a container, and the session that it ends with.

    Attributes:
        record: its container.
        run: the run of that.
        command: what was started.
        session: after STARTED.
        close: ends the session; to be called once, by whoever holds this.
    """

    record: Record
    run: Run | None
    command: tuple[str, ...]
    session: Session
    close: Callable[[], None]


class Launch:
    """The start of one container, which another thread may call off."""

    def __init__(self, store: Store, request: RunRequest, name: str | None) -> None:
        self._store = store
        self._request = request
        self._name = name
        self._id = ""
        self._called_off = threading.Event()
        self._end_pull = CallOff()

    def attached(self) -> Connected:
        """Starts it; its main process ends with the session."""
        self._bring_image()
        stack = contextlib.ExitStack()
        record, session = stack.enter_context(self._launched(detached=False))
        return Connected(record, record.run(), record.spec.args, session, stack.close)

    def detached(self) -> Record:
        """Starts it; its main process goes on by itself."""
        self._bring_image()
        with self._launched(detached=True) as (record, _):
            return record

    def created(self) -> Record:
        """Makes it, and does not start it."""
        self._bring_image()
        return start.create(self._store, self._name, self._make)

    def call_off(self) -> None:
        """Makes the start fail soon, in whatever state it is; nothing of it stays."""
        self._called_off.set()
        self._end_pull()
        with contextlib.suppress(DrupeError):
            if self._id:
                end_machine(self._store.find(self._id))

    def _launched(
        self, *, detached: bool
    ) -> contextlib.AbstractContextManager[tuple[Record, Session]]:
        return start.launched(
            self._store, self._name, self._make, detached=detached, on_step=self._on_step
        )

    def _bring_image(self) -> None:
        if self._request.image is not None:
            ensure_image(self._request.image, self._request.pull, call_off=self._end_pull)

    def _make(self, container_id: str, name: str) -> ContainerSpec:
        self._id = container_id
        self._on_step("made")
        return resolve(self._request, container_id, name)

    def _on_step(self, _: str) -> None:
        if self._called_off.is_set():
            raise StateError("failed to start a container: called off")


def open_store() -> Store:
    """The user's containers, after what dead programs left behind was cleaned up."""
    store = Store()
    store.sweep()
    return store


def find(store: Store, name_or_id: str) -> Record:
    """A container, whole: its name can be asked for."""
    record = store.find(name_or_id)
    _ = record.spec
    return record


def records(store: Store, *, ended: bool) -> list[Record]:
    """Those that run, and those that do not, if asked for."""
    found = []
    for record in store.list():
        with contextlib.suppress(NotFoundError):  # removed meanwhile
            if ended or condition(record).pid is not None:
                _ = record.spec
                found.append(record)
    return found


def condition(record: Record) -> Condition:
    """The state as of now.

    Raises:
        NotFoundError: it was removed.
    """
    now = record.condition()
    # Asked last: whoever removes it takes this file away first.
    if not (record.directory / "config.json").exists():
        raise NotFoundError(f"failed to find container '{record.id[:12]}': gone")
    return now


def wait(record: Record, timeout: float | None, run: Run | None = None) -> int:
    """Waits for the end of a run, the newest; its exit status."""
    try:
        return lifecycle.wait(record, timeout, run)
    except StateError:
        condition(record)  # "gone" is what really is the matter then
        raise


def part_of_log(
    record: Record, tail: int | None, since: Moment | None, until: Moment | None
) -> Part:
    """What is wanted of a container's log.

    Raises:
        StateError: it keeps none.
        ValueError: ``tail`` makes no sense.
    """
    if tail is not None and tail < 0:
        raise ValueError(f"the last {tail} entries")
    condition(record)
    if not record.spec.log:
        raise StateError(f"failed to read the log of container '{record.spec.name}': it keeps none")
    return Part.of(tail, _nanoseconds(since), _nanoseconds(until))


def _nanoseconds(moment: Moment | None) -> int | None:
    if moment is None:
        return None
    seconds = moment if isinstance(moment, int | float) else moment.timestamp()
    return int(seconds * 1e9)


def exec_process(
    record: Record,
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    workdir: str | None = None,
    user: str | None = None,
    stdin: bool = False,
    terminal: tuple[int, int] | None = None,
) -> Connected:
    """Starts a further process in a container.

    Raises:
        StateError: the container does not run.
        GuestError: the process could not be started.
    """
    args = check_strings("command", command)
    spec = record.spec
    process = Process(
        args=args,
        env={**spec.env, **check_mapping("env", env)},
        cwd=workdir or spec.cwd,
        user=spec.user if user is None else user,
        groups=spec.groups,
        terminal=terminal,
        stdin=stdin or terminal is not None,
    )
    stack = contextlib.ExitStack()
    session = stack.enter_context(lifecycle.executed(record, spec.settings.apply(process)))
    return Connected(record, record.run(), args, session, stack.close)


def reattach(record: Record) -> Connected:
    """Takes up a container's main process; the end of the session leaves it alone.

    Raises:
        StateError: the container does not run.
        GuestError: somebody else is attached to it.
    """
    stack = contextlib.ExitStack()
    session = stack.enter_context(lifecycle.reattached(record))
    return Connected(record, record.run(), record.spec.args, session, stack.close)


def diff(store: Store, record: Record) -> list[Change]:
    """What a container has changed."""
    with reached(store, record) as there:
        return list(files.changes(there))


def export(store: Store, record: Record, sink: Callable[[bytes], object]) -> None:
    """Passes a tar of all files on."""
    with reached(store, record) as there, serving(there, "export") as service:
        for piece in service.pieces():
            sink(piece)


def commit(
    store: Store,
    record: Record,
    name: str | None,
    changes: Sequence[str],
    *,
    author: str,
    message: str,
) -> Image:
    """Makes an image of a container."""
    from drupe.container.committing import commit_container
    from drupe.oci.reference import parse_reference

    reference = None if name is None else parse_reference(name)
    words = check_strings("changes", changes)
    with reached(store, record) as there:
        return commit_container(there, reference, changes=words, author=author, message=message)


def finish(store: Store, connected: Connected) -> None:
    """After the main process: ``lifecycle.finish``."""
    lifecycle.finish(store, connected.record, connected.run)


def discard(store: Store, connected: Connected) -> None:
    """Ends a container at once, but in order; then as ``finish``."""
    lifecycle.stop(connected.record, signal=signal.SIGKILL, grace_s=0.0)
    finish(store, connected)


def remove(store: Store, record: Record) -> None:
    """Ends and removes a container, if somebody else has not."""
    with contextlib.suppress(NotFoundError):
        store.remove(record, force=True)


def stop_and_remove(store: Store, record: Record) -> None:
    """Ends a container in order, then removes it."""
    try:
        lifecycle.stop(record)
    finally:
        remove(store, record)


def end_machine(record: Record) -> None:
    """Ends a container's kernel from outside."""
    process = record.process()
    if process is not None:
        process.kill()


def lost(record: Record, error: DrupeError) -> DrupeError:
    """The error for a session that broke off: of the container, if that has ended."""
    process = record.process()
    if not isinstance(error, GuestError) or (process is not None and not process.wait(1.0)):
        return error
    lines = record.console_tail().splitlines()
    return GuestError(
        f"failed to follow container '{record.spec.name}': its kernel ended: {error}",
        hint=f"the last line of its console: {lines[-1]}" if lines else None,
    )
