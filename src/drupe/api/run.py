"""``drupe.run``: a command in a container of its own, to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from drupe.api import engine
from drupe.api.options import (
    ContainerOptions,
    build_request,
    check_input,
    check_seconds,
    option_name,
)
from drupe.api.results import CompletedRun, Output, Sink
from drupe.api.stream import ExecStream
from drupe.container.record import Record
from drupe.container.request import RunRequest


def run(
    image: str | None = None,
    command: Sequence[str] = (),
    *,
    remove: bool = True,
    input: bytes | None = None,  # noqa: A002 (subprocess.run's name for it)
    timeout: float | None = None,
    check: bool = False,
    stdout: Sink | None = None,
    stderr: Sink | None = None,
    **options: Unpack[ContainerOptions],
) -> CompletedRun:
    """Runs a command in a new container, to its end, as ``subprocess.run`` does on the host.

    An error, KeyboardInterrupt included, ends the container; it is removed if ``remove`` says so.
    May be called in several threads at once. A container's kernel is started by ``os.fork()``, from
    whatever thread; the child runs nothing of yours but what you gave ``os.register_at_fork``.

    Args:
        image: name of an image; None: a ``rootfs`` is among the options.
        command: the program and its arguments; empty: the image's own.
        remove: the container goes at the end; else it stays, with its log.
        input: bytes for its standard input; None: it reads /dev/null.
        timeout: seconds that the command may take. The start is not counted: that has bounds of
            its own.
        check: an exit status other than 0 is an error.
        stdout: called with each piece of standard output, which is then not kept in memory. An
            exception from there ends the container.
        stderr: the same for standard error.
        options: see ``ContainerOptions``.

    Raises:
        SpecError: something is wrong with the options.
        NotFoundError: there is no such image or kernel.
        HostError: this host lacks something, or refused.
        BootError: the container kernel did not come up.
        GuestError: the command could not be started (``number`` tells why: ENOENT, EACCES), or the
            container kernel ended under it.
        TimedOutError: it took too long, and was ended; holds the output so far.
        ExitStatusError: ``check``, and it failed; holds the output.
    """
    wanted = Wanted.of(
        image, command, options, remove=remove, data=check_input(input), timeout=timeout
    )
    output = Output(stdout, stderr)
    store = engine.open_store()
    started = engine.Launch(store, wanted.request, wanted.name).attached()
    try:
        with ExecStream(started, stdin=wanted.request.stdin) as stream:
            status = stream.complete(wanted.data, output, wanted.timeout)
    except BaseException:
        engine.discard(store, started)
        raise
    engine.finish(store, started)
    return completed(started.record, output, status, check=check)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The arguments of ``run``, checked."""

    request: RunRequest
    name: str | None
    data: bytes | None
    timeout: float | None

    @classmethod
    def of(
        cls,
        image: str | None,
        command: Sequence[str],
        options: ContainerOptions,
        *,
        remove: bool,
        data: bytes | None,
        timeout: float | None,
    ) -> Wanted:
        """Checks them; errors as ``run`` documents them."""
        request = build_request(
            image, command, options, stdin=data is not None, remove=remove, log=not remove
        )
        return cls(request, option_name(options), data, check_seconds("timeout", timeout))


def completed(record: Record, output: Output, status: int, *, check: bool) -> CompletedRun:
    """The result of ``run``; raises ExitStatusError if asked to ``check``."""
    spec = record.spec
    result = CompletedRun(spec.args, status, output.stdout, output.stderr, record.id, spec.name)
    if check:
        result.check()
    return result
