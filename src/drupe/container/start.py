"""The start of a container: of a new one, of one that was made before, of one that has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

from drupe.container import layer, lifecycle
from drupe.container.holdings import release
from drupe.container.images import confirm_image
from drupe.container.machine import Step, await_boot, boot_error, send_frames, start_machine
from drupe.container.members import tell_members
from drupe.container.record import Record
from drupe.container.spec import ContainerSpec
from drupe.container.storage import DISK
from drupe.container.store import Store
from drupe.errors import BootError, NotFoundError, StateError
from drupe.guest.protocol import StartFlag, Type
from drupe.guest.session import Session
from drupe.guest.spec import Process, process_frames
from drupe.platform.base import Platform
from drupe.platform.registry import find_platform

WINDOW = (24, 80)
"""Rows and columns of a terminal whose size nobody told."""

Make = Callable[[str, str], ContainerSpec]
"""Makes the specification of a container with this id and this name."""


def create(store: Store, name: str | None, make: Make) -> Record:
    """Makes a container that is not started yet.

    Raises:
        SpecError, NotFoundError: ``make`` said so, or the name is taken.
        HostError: the disk refused.
    """
    with store.creating(name, make) as record:
        confirm_image(record.spec)
        _make_places(record)
        return record


@contextmanager
def launched(
    store: Store,
    name: str | None,
    make: Make,
    *,
    detached: bool,
    window: tuple[int, int] | None = None,
    platform: Platform | None = None,
    on_step: Step = lambda _: None,
) -> Iterator[tuple[Record, Session]]:
    """Makes a container and starts it; yields the session that its main process belongs to.

    An error until the main process runs leaves nothing behind.

    Raises:
        SpecError, HostError, BootError, GuestError: see the steps.
    """
    with ExitStack() as stack:
        with store.creating(name, make) as record:
            stack.enter_context(record.attended())
            confirm_image(record.spec)
            _make_places(record)
            main = main_process(record.spec, window, stdin=record.spec.stdin)
            session = _start(record, record.spec, main, detached, platform, on_step)
            stack.callback(session.close)
        yield record, session


@contextmanager
def started(
    store: Store,
    record: Record,
    *,
    stdin: bool = False,
    window: tuple[int, int] | None = None,
    platform: Platform | None = None,
) -> Iterator[Session]:
    """Starts a container that does not run; yields the session that its main process belongs to.

    A start that fails leaves the container as it was.

    Raises:
        StateError: it runs.
        NotFoundError: its kernel, its image or itself is gone.
        SpecError, HostError, BootError, GuestError: see the steps.
    """
    with ExitStack() as stack:
        with store.held(record):
            if record.settled_condition().pid is not None:
                raise StateError(
                    f"failed to start container '{record.spec.name}': it is running",
                    hint="'drupe exec' runs a further command in it",
                )
            stack.enter_context(record.attended())
            session = _start_again(record, False, stdin, window, platform)
            stack.callback(session.close)
        yield session


def ensure_started(
    store: Store,
    record: Record,
    *,
    window: tuple[int, int] | None = None,
    platform: Platform | None = None,
) -> None:
    """Starts a container in the background, unless it runs; errors as of ``started``."""
    with store.held(record):
        if record.settled_condition().pid is None:
            _start_again(record, True, False, window, platform).close()


def restart(
    store: Store,
    record: Record,
    *,
    signal: int | None = None,
    grace_s: float | None = None,
    platform: Platform | None = None,
) -> None:
    """Ends a container in order, as ``stop``, if it runs, and starts it in the background.

    Nobody else starts or removes it in between. Errors as of ``started``.
    """
    with store.held(record):
        lifecycle.stop(record, signal=signal, grace_s=grace_s)
        _start_again(record, True, False, None, platform).close()


def _make_places(record: Record) -> None:
    """Makes what it writes to: its volumes, now that it is on record as their user; its layer."""
    _make_volumes(record.spec)
    if record.spec.storage.layer == DISK:
        layer.make(record.directory / layer.NAME, record.spec.storage.size_bytes)


def _make_volumes(spec: ContainerSpec) -> None:
    wanted = {volume.name: volume.anonymous for volume in spec.volumes if volume.name}
    if wanted:
        from drupe.container.volumes import obtain

        for name, anonymous in wanted.items():
            obtain(name, anonymous=anonymous)


def main_process(spec: ContainerSpec, window: tuple[int, int] | None, *, stdin: bool) -> Process:
    """A container's main process, in the guest's words."""
    process = Process(
        args=spec.args,
        env=spec.env,
        cwd=spec.cwd,
        user=spec.user,
        groups=spec.groups,
        terminal=(window or WINDOW) if spec.terminal else None,
        stdin=stdin,
    )
    return spec.settings.apply(process)


def _start_again(
    record: Record,
    detached: bool,
    stdin: bool,
    window: tuple[int, int] | None,
    platform: Platform | None,
) -> Session:
    """Starts a container that is there; the caller holds its lock."""
    spec = look_up_again(record.read_spec())
    before = record.run()
    try:
        main = main_process(spec, window, stdin=stdin and spec.stdin)
        return _start(record, spec, main, detached, platform)
    except BaseException:
        process = record.process()
        if process is not None:
            process.kill()
        release(record)
        record.undo_run(before)
        raise


def look_up_again(spec: ContainerSpec) -> ContainerSpec:
    """The specification for a start that may come long after the container was made.

    Its init is the newest one, which speaks the language of this drupe.

    Raises:
        NotFoundError: what it needs is gone; says how to get it again.
    """
    from drupe.kbuild.kernels import find_initramfs

    said = f"failed to start container '{spec.name}'"
    if not Path(spec.kernel).exists():
        raise NotFoundError(
            f"{said}: its kernel '{spec.kernel}' is gone",
            hint="'drupe kernel build' builds it again where its source has not changed; "
            "or make a new container",
        )
    if spec.image is not None and not Path(spec.image).exists():
        raise NotFoundError(
            f"{said}: its image '{spec.image}' is gone",
            hint=f"get image '{spec.image_name}' again, or make a new container",
        )
    _make_volumes(spec)  # an empty one takes the place of one that is gone
    for what, path in (("root", spec.rootfs), *(("volume", v.source) for v in spec.volumes)):
        if path is not None and not Path(path).exists():
            raise NotFoundError(
                f"{said}: its {what} '{path}' is gone",
                hint="put it back, or make a new container",
            )
    return spec._replace(initramfs=str(find_initramfs()))


def _start(
    record: Record,
    spec: ContainerSpec,
    main: Process,
    detached: bool,
    platform: Platform | None,
    on_step: Step = lambda _: None,
) -> Session:
    """Boots the machine, starts the main process; an error leaves the machine to the caller."""
    flags = StartFlag.MAIN
    flags |= StartFlag.DETACHED * detached | StartFlag.LOG * spec.log
    frames = process_frames(main, flags)
    with _first_use(spec):
        session = start_machine(record, spec, platform or find_platform(spec.platform), on_step)
        try:
            send_frames(record, session, frames)
            await_boot(record, session, on_step)
        except BaseException:
            session.close()
            raise
    try:
        _await_main(record, session)
        tell_members(record, spec)
        on_step("main")
    except BaseException:
        session.close()
        raise
    return session


def _first_use(spec: ContainerSpec) -> AbstractContextManager[None]:
    seeded = [volume.name for volume in spec.volumes if volume.name and volume.seeded]
    if not seeded:
        return nullcontext()
    from drupe.container.volumes import first_use

    return first_use(seeded)


def _await_main(record: Record, session: Session) -> None:
    try:
        session.expect(Type.STARTED, timeout_s=lifecycle.ANSWER_TIMEOUT_S)
    except BootError as error:
        raise boot_error(record, str(error)) from error
