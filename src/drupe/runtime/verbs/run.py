"""``run``: creates a container, starts it, waits for its end and deletes it."""

from __future__ import annotations

import os
import signal

from drupe.errors import SpecError
from drupe.runtime.container import Container
from drupe.runtime.creation import OPTIONS as CREATION
from drupe.runtime.creation import create, read_config, wanted
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed, switch
from drupe.runtime.starting import start
from drupe.runtime.verbs.delete import delete

OPTIONS: tuple[Option, ...] = (
    *CREATION,
    switch("detach", "d"),
    switch("keep"),
    switch("no-subreaper", ignored=True),
)

_LOST_STATUS = 137


def main(home: Home, given: Parsed) -> int:
    """Runs it; its exit status, or 0 with --detach."""
    asked = wanted(given)
    config, data = read_config(asked.bundle)
    console, detached = given.text("console-socket"), given.flag("detach")
    if config.process.terminal and detached and not console:
        raise SpecError(
            "cannot allocate tty if drupe-runtime will detach without setting console socket"
        )
    if not config.process.terminal:
        container = create(home, asked, config, data, (0, 1, 2))
        return _go_on(container, given, master=None)
    from drupe.runtime.console import open_console, send_master

    master, slave = open_console()
    if console:
        send_master(master, console)
    elif os.isatty(0):
        _copy_size(master)
    container = create(home, asked, config, data, (slave,))
    os.close(slave)
    return _go_on(container, given, master=None if console else master)


def _go_on(container: Container, given: Parsed, *, master: int | None) -> int:
    try:
        start(container)
    except BaseException:
        delete(container, force=True)
        raise
    if given.flag("detach"):
        return 0
    status = _wait(container) if master is None else _attend(container, master)
    if not given.flag("keep"):
        delete(container, force=True)
    return status


def _wait(container: Container) -> int:
    """Until the end; signals to this process are the container's."""
    process = container.record.process()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
                   signal.SIGUSR2):  # fmt: skip
        signal.signal(number, lambda got, _: _pass_on(container, got))
    if process is not None:
        process.wait()
    status = container.record.condition().status
    return _LOST_STATUS if status is None else status


def _pass_on(container: Container, number: int) -> None:
    from contextlib import suppress

    from drupe.errors import DrupeError
    from drupe.runtime.verbs.kill import kill

    with suppress(DrupeError):
        kill(container, number)


def _attend(container: Container, master: int) -> int:
    """Moves bytes between this process's terminal and the container's, until the end."""
    import select
    import termios

    from drupe.runtime.console import make_raw

    before = termios.tcgetattr(0) if os.isatty(0) else None
    if before is not None:
        make_raw(0)
        signal.signal(signal.SIGWINCH, lambda *_: _copy_size(master))
    poll = select.poll()
    ways = {0: master, master: 1}
    for source in ways:
        poll.register(source, select.POLLIN)
    try:
        while master in ways:
            for source, _ in poll.poll():
                try:
                    data = os.read(source, 65536)
                except OSError:  # the other end of the terminal is closed
                    data = b""
                if not data:
                    poll.unregister(source)
                    ways.pop(source)
                while data:
                    data = data[os.write(ways[source], data) :]
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
    return _wait(container)


def _copy_size(master: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(master, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))
