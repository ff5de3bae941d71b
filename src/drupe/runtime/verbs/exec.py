"""``exec``: runs another program in a container."""

from __future__ import annotations

import fcntl
import os
import termios

from drupe.errors import DrupeError, GuestError, SpecError, StateError
from drupe.guest.protocol import StartFlag, Type
from drupe.guest.session import Session, connect
from drupe.guest.spec import process_frames
from drupe.oci.document import Fields, parse_object
from drupe.oci.process import ProcessConfig, ProcessUser, read_process
from drupe.runtime.boot import explained
from drupe.runtime.container import Container
from drupe.runtime.guest import guest_process
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed, switch

OPTIONS: tuple[Option, ...] = (
    Option("console-socket"),
    Option("cwd"),
    Option("env", "e"),
    switch("tty", "t"),
    Option("user", "u"),
    Option("additional-gids", "g"),
    Option("process", "p"),
    switch("detach", "d"),
    Option("pid-file"),
    Option("process-label", ignored=True),
    Option("apparmor", ignored=True),
    switch("no-new-privs"),
    Option("cap", "c"),
    Option("preserve-fds"),
    Option("cgroup", ignored=True),
    switch("ignore-paused", ignored=True),
)

_ANSWER_TIMEOUT_S = 60.0


def main(home: Home, given: Parsed) -> int:
    """Runs it; its exit status, or 0 where it goes on alone."""
    try:
        return _run(home, given)
    except (DrupeError, OSError) as error:
        raise StateError(f"exec failed: {error}") from error


def _run(home: Home, given: Parsed) -> int:
    if not given.rest:
        raise SpecError("at least one argument is needed: the container's id")
    if given.number("preserve-fds"):
        raise SpecError("files of the host cannot be those of another kernel")
    container = home.find(given.rest[0])
    wanted = _process(container, given)
    detached, console = given.flag("detach"), given.text("console-socket")
    if wanted.terminal and detached and not console:
        raise SpecError(
            "cannot allocate tty if drupe-runtime will detach without setting console socket"
        )
    status = container.status()
    if status not in {"created", "running"}:
        raise StateError(f"cannot exec in a {status} container")
    session = _start(container, wanted)
    try:
        if detached:
            return _detach(session, given, console if wanted.terminal else "")
        return _follow(session, given, console, wanted)
    finally:
        session.close()


def _start(container: Container, wanted: ProcessConfig) -> Session:
    try:
        session = Session(connect(container.record.control))
    except OSError as error:
        raise StateError("cannot exec in a stopped container") from error
    try:
        session.send(process_frames(guest_process(wanted, stdin=True), StartFlag(0)))
        session.expect(Type.STARTED, timeout_s=_ANSWER_TIMEOUT_S)
    except GuestError as error:
        session.close()
        raise explained(error, wanted.args[0]) from error
    except BaseException:
        session.close()
        raise
    return session


def _follow(session: Session, given: Parsed, console: str, wanted: ProcessConfig) -> int:
    from drupe.runtime import pump

    if given.text("pid-file"):
        from drupe.runtime.creation import write_pid

        write_pid(given.text("pid-file"), os.getpid())
    if not wanted.terminal:
        return pump.run(session)
    from drupe.runtime.console import make_raw

    if console:
        return pump.run(session, terminal=_console(console))
    if not os.isatty(0):
        return pump.run(session)
    before = termios.tcgetattr(0)
    make_raw(0)
    try:
        session.send_window(*pump.window(0))
        return pump.run(session, terminal=0)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _detach(session: Session, given: Parsed, console: str) -> int:
    """A fork stays: it has the program's streams, is sent its signals, and ends as it does."""
    from drupe import process
    from drupe.runtime import pump

    terminal = _console(console) if console else None

    def stay() -> int:
        if terminal is None:
            return pump.run(session)
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)  # it is told of new sizes
        return pump.run(session, terminal=terminal)

    pid = process.fork_off(stay)
    if given.text("pid-file"):
        from drupe.runtime.creation import write_pid

        write_pid(given.text("pid-file"), pid)
    # The program is the fork's now: the session must not end with this process.
    os._exit(0)


def _console(path: str) -> int:
    from drupe.runtime.console import open_console, send_master

    master, slave = open_console()
    try:
        send_master(master, path)
    finally:
        os.close(master)
    return slave


def _process(container: Container, given: Parsed) -> ProcessConfig:
    """As the file says that --process names, or as the container's main one, with other words."""
    if given.text("process"):
        path = given.text("process")
        with open(path, "rb") as file:  # noqa: PTH123 (a path of the engine's, such as /dev/fd/3)
            what = f"'{path}'"
            wanted = read_process(Fields(parse_object(file.read(), what), what))
        return wanted._replace(terminal=wanted.terminal or given.flag("tty"))
    main = container.config.process
    args = tuple(given.rest[1:])
    if not args:
        raise SpecError("process args cannot be empty")
    sets = main.capabilities
    if sets is not None and given.texts("cap"):
        more = tuple(given.texts("cap"))
        sets = sets._replace(
            bounding=sets.bounding + more,
            effective=sets.effective + more,
            permitted=sets.permitted + more,
        )
    return main._replace(
        args=args,
        env={**main.env, **_env(given)},
        cwd=given.text("cwd") or main.cwd,
        user=_user(given, main),
        terminal=given.flag("tty"),
        capabilities=sets,
        no_new_privileges=main.no_new_privileges or given.flag("no-new-privs"),
    )


def _env(given: Parsed) -> dict[str, str]:
    pairs = (text.partition("=") for text in given.texts("env"))
    return {name: value for name, _, value in pairs if name}


def _user(given: Parsed, main: ProcessConfig) -> ProcessUser:
    user = main.user
    text = given.text("user")
    try:
        if text:
            uid, _, gid = text.partition(":")
            user = user._replace(uid=int(uid), gid=int(gid) if gid else user.gid)
        groups = tuple(int(group) for group in given.texts("additional-gids"))
    except ValueError as error:
        raise SpecError(f"parsing {text or given.texts('additional-gids')} as int") from error
    return user._replace(groups=user.groups + groups)
