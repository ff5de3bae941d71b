"""``create``: makes a container; its program does not run yet."""

from __future__ import annotations

import os

from drupe.errors import SpecError
from drupe.runtime.creation import OPTIONS as CREATION
from drupe.runtime.creation import create, read_config, wanted
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed

OPTIONS: tuple[Option, ...] = CREATION


def main(home: Home, given: Parsed) -> int:
    """Makes it, with this process's standard streams, or a terminal of its own, as its own."""
    asked = wanted(given)
    config, data = read_config(asked.bundle)
    socket_path = given.text("console-socket")
    if config.process.terminal and not socket_path:
        raise SpecError(
            "cannot allocate tty if drupe-runtime will detach without setting console socket"
        )
    if socket_path and not config.process.terminal:
        raise SpecError(
            "cannot use console socket if drupe-runtime will not detach or allocate tty"
        )
    if not config.process.terminal:
        create(home, asked, config, data, (0, 1, 2))
        return 0
    from drupe.runtime.console import open_console, send_master

    master, slave = open_console()
    try:
        send_master(master, socket_path)
        create(home, asked, config, data, (slave,))
    finally:
        os.close(master)
        os.close(slave)
    return 0
