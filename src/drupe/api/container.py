"""``drupe.Container``: a container that goes on by itself."""

from __future__ import annotations

import signal as signals
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self, Unpack, overload

from drupe.api import engine
from drupe.api.control import Control
from drupe.api.engine import Moment
from drupe.api.files import FileSystem
from drupe.api.image import Image
from drupe.api.options import (
    ContainerOptions,
    build_request,
    check_input,
    check_seconds,
    check_signal,
    option_name,
)
from drupe.api.results import CompletedExec, Output, Sink
from drupe.api.stream import ExecStream, check_window
from drupe.api.view import WINDOW
from drupe.container import lifecycle, start
from drupe.container.files import Change
from drupe.container.log import Entry, read_log


class Container(Control):
    """A container, by ``Container.run``, ``create``, ``get`` or ``list_containers``.

    As a context manager, one that was made here is stopped and removed at the end of the block;
    one that was merely looked up is left alone. It may be used from several threads. It holds
    nothing open: the container lives on without it, and after the program.
    """

    @classmethod
    def run(
        cls,
        image: str | None = None,
        command: Sequence[str] = (),
        *,
        remove: bool = False,
        stdin: bool = False,
        tty: bool = False,
        **options: Unpack[ContainerOptions],
    ) -> Container:
        """Starts a container that goes on by itself; returns when its main process runs.

        What is said about threads and ``fork()`` at ``drupe.run`` holds here, too.

        Args:
            image: name of an image; None: a ``rootfs`` is among the options.
            command: the program and its arguments; empty: the image's own.
            remove: once it has ended, the next program that uses drupe removes it.
            stdin: its input stays open for ``reattach``; else it reads /dev/null.
            tty: it gets a terminal.
            options: see ``ContainerOptions``.

        Raises:
            SpecError: something is wrong with the options.
            NotFoundError: there is no such image or kernel.
            HostError: this host lacks something, or refused.
            BootError: the container kernel did not come up.
            GuestError: the command could not be started.
        """
        request = build_request(image, command, options, remove=remove, stdin=stdin, tty=tty)
        name = option_name(options)
        store = engine.open_store()
        return cls(store, engine.Launch(store, request, name).detached(), owned=True)

    @classmethod
    def create(
        cls,
        image: str | None = None,
        command: Sequence[str] = (),
        *,
        remove: bool = False,
        stdin: bool = False,
        tty: bool = False,
        **options: Unpack[ContainerOptions],
    ) -> Container:
        """Makes a container that ``start`` starts; arguments and errors are those of ``run``."""
        request = build_request(image, command, options, remove=remove, stdin=stdin, tty=tty)
        name = option_name(options)
        store = engine.open_store()
        return cls(store, engine.Launch(store, request, name).created(), owned=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._owned:
            engine.stop_and_remove(self._store, self._record)

    def start(self) -> None:
        """Starts the container, unless it runs; one that has ended has its files still.

        Raises:
            NotFoundError: it was removed, or its kernel or image is gone.
            HostError, BootError, GuestError: as of ``run``; the container stays as it was.
        """
        start.ensure_started(self._store, self._record)

    def restart(self, grace: float | None = None, *, signal: int | None = None) -> None:
        """Ends the container in order, if it runs, and starts it again.

        Args:
            grace: seconds between the signal and SIGKILL; default: its ``stop_timeout``.
            signal: to the main process; default: its ``stop_signal``.

        Raises:
            NotFoundError, HostError, BootError, GuestError: as of ``start``.
        """
        check_seconds("grace", grace)
        number = None if signal is None else check_signal(signal)
        start.restart(self._store, self._record, signal=number, grace_s=grace)

    def rename(self, name: str) -> None:
        """Gives the container another name.

        Raises:
            SpecError: another container has it, or it cannot be a name.
            NotFoundError: it was removed.
        """
        self._store.rename(self._record, name)

    @overload
    def exec(
        self,
        command: Sequence[str],
        *,
        stream: Literal[False] = False,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
        user: str | None = None,
        input: bytes | None = None,
        timeout: float | None = None,
        check: bool = False,
        stdout: Sink | None = None,
        stderr: Sink | None = None,
    ) -> CompletedExec: ...

    @overload
    def exec(
        self,
        command: Sequence[str],
        *,
        stream: Literal[True],
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
        user: str | None = None,
        stdin: bool = False,
        tty: bool = False,
        window: tuple[int, int] = WINDOW,
    ) -> ExecStream: ...

    def exec(
        self, command: Sequence[str], *, stream: bool = False, **options: Any
    ) -> CompletedExec | ExecStream:
        """Runs a further command in the container: to its end, or returns it as it runs.

        Args:
            command: the program and its arguments.
            stream: return it as it runs, as an ``ExecStream``.
            options: in both cases ``env``, variables above the container's; ``workdir`` and
                ``user`` (user[:group]), by default the container's.

                Without ``stream``: ``input``, bytes for its standard input (None: it reads
                /dev/null); ``timeout``, seconds that it may take; ``check``: an exit status other
                than 0 is an error; ``stdout`` and ``stderr``, called with each piece of that
                stream, which is then not kept in memory.

                With ``stream``: ``stdin``: it gets what is written to the stream, else it reads
                /dev/null; ``tty``: it gets a terminal, for input and output, of ``window`` rows
                and columns.

        Raises:
            StateError: the container does not run.
            GuestError: the command could not be started (``number`` tells why: ENOENT, EACCES), or
                the container ended under it.
            TimedOutError: it took too long, and was killed; holds the output so far.
            ExitStatusError: ``check``, and it failed; holds the output.
        """
        act = self._exec_stream if stream else self._exec
        return act(command, **options)

    def _exec(
        self,
        command: Sequence[str],
        *,
        input: bytes | None = None,  # noqa: A002 (subprocess.run's name for it)
        timeout: float | None = None,
        check: bool = False,
        stdout: Sink | None = None,
        stderr: Sink | None = None,
        **options: Any,
    ) -> CompletedExec:
        data, output = check_input(input), Output(stdout, stderr)
        check_seconds("timeout", timeout)
        with self._exec_stream(command, stdin=data is not None, **options) as stream:
            status = stream.complete(data, output, timeout)
        result = output.completed(stream.command, status)
        if check:
            result.check()
        return result

    def _exec_stream(
        self,
        command: Sequence[str],
        *,
        stdin: bool = False,
        tty: bool = False,
        window: tuple[int, int] = WINDOW,
        **options: Any,
    ) -> ExecStream:
        check_window(*window)
        terminal = window if tty else None
        connected = engine.exec_process(
            self._record, command, stdin=stdin, terminal=terminal, **options
        )
        return ExecStream(connected, stdin=stdin or tty)

    def reattach(self) -> ExecStream:
        """Takes up the main process, as it runs: what it writes from now on.

        What is written to the stream reaches it where it was started with ``stdin``. Closing the
        stream leaves it running. One caller at a time can have it.

        Raises:
            StateError: the container does not run.
            GuestError: somebody else has it.
        """
        return ExecStream(engine.reattach(self._record), stdin=self._record.spec.stdin)

    @property
    def fs(self) -> FileSystem:
        """Its files."""
        return FileSystem(self._store, self._record)

    def diff(self) -> list[Change]:
        """What the container has changed above its image; mounts and volumes are not looked at.

        Raises:
            StateError: it cannot be reached.
        """
        return engine.diff(self._store, self._record)

    def export(self, sink: Sink) -> None:
        """All files of the container, as a tar; what is mounted below its root is left out.

        Args:
            sink: called with each piece, such as ``file.write``.

        Raises:
            StateError: it cannot be reached.
        """
        engine.export(self._store, self._record, sink)

    def commit(
        self,
        name: str | None = None,
        *,
        changes: Sequence[str] = (),
        author: str = "",
        message: str = "",
    ) -> Image:
        """Makes an image of the container: its own, and above that what ``diff`` tells.

        Args:
            name: what to call it; None: it has only an id.
            changes: instructions of a Dockerfile, such as ``'CMD ["/bin/sh"]'`` or ``"ENV A=1"``.
            author: for its history.
            message: the same.

        Raises:
            SpecError: a change or the name is wrong, or the container runs a directory.
            NotFoundError: its own image is gone.
            StateError: it cannot be reached.
        """
        words = {"author": author, "message": message}
        return Image(engine.commit(self._store, self._record, name, changes, **words))

    def logs(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> Iterator[Entry]:
        """What the main process wrote, line by line.

        Args:
            follow: go on until the container has ended.
            tail: only the last so many entries of what is there already.
            since: nothing from before that time: a ``datetime``, or seconds since the epoch.
            until: nothing from that time on.

        Raises:
            StateError: it keeps no log.
        """
        part = engine.part_of_log(self._record, tail, since, until)
        return read_log(self._record, part, follow=follow)

    def wait(self, timeout: float | None = None) -> int:
        """Waits until the container has ended; returns its exit status.

        Args:
            timeout: seconds.

        Raises:
            StateError: it never ran.
            TimedOutError: it has not ended in time; it goes on.
            NotFoundError: it was removed.
        """
        check_seconds("timeout", timeout)
        return engine.wait(self._record, timeout)

    def stop(self, grace: float | None = None, *, signal: int | None = None) -> int | None:
        """Ends the container in order, if it runs; returns its exit status.

        What it wrote to volumes is on the host afterwards.

        Args:
            grace: seconds between the signal and SIGKILL; default: its ``stop_timeout``.
            signal: to the main process; default: its ``stop_signal``.
        """
        check_seconds("grace", grace)
        number = None if signal is None else check_signal(signal)
        return lifecycle.stop(self._record, signal=number, grace_s=grace).status

    def kill(self, signal: int = signals.SIGKILL) -> None:
        """Sends a signal to the main process.

        Raises:
            StateError: the container does not run.
        """
        lifecycle.kill(self._record, check_signal(signal))

    def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Removes the container, its log, and all that it wrote but to volumes.

        Args:
            force: one that runs is ended, at once.
            volumes: volumes without a name that it has go, too.

        Raises:
            StateError: it runs.
            NotFoundError: it was removed already.
        """
        self._store.remove(self._record, force=force, volumes=volumes)


def get(name_or_id: str) -> Container:
    """A container by name, id, or the beginning of its id.

    Raises:
        NotFoundError: there is none.
        SpecError: several ids begin so.
    """
    store = engine.open_store()
    return Container(store, engine.find(store, name_or_id))


def list_containers(*, all: bool = False) -> list[Container]:  # noqa: A002 (the command's option)
    """The containers of this user, the oldest first.

    Args:
        all: those that do not run, too.
    """
    store = engine.open_store()
    return [Container(store, record) for record in engine.records(store, ended=all)]
