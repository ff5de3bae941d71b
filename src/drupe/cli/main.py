"""``drupe``: finds the verb, runs it, turns errors into messages and exit codes.

Only the module of the verb that was asked for is imported: start-up time is part of the product.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from drupe._linux.standard import open_standard_descriptors
from drupe.cli.aliases import shortened

if TYPE_CHECKING:
    from drupe.errors import DrupeError

TOPICS = {
    "Containers": {
        "run": "run a program in a new container",
        "create": "make a container without starting it",
        "start": "start containers that were created or have ended",
        "ps": "list containers",
        "stop": "end containers in order",
        "restart": "end containers in order and start them again",
        "kill": "send a signal to containers",
        "pause": "stop containers where they are",
        "unpause": "have containers go on that were paused",
        "update": "change limits and restart policies of containers",
        "reattach": "take up a container's main process that was detached from",
        "wait": "wait until containers have ended, print their exit status; or are healthy",
        "rename": "give a container another name",
        "rm": "remove containers",
        "container": "remove all containers that do not run; other verbs by long names",
    },
    "What goes on in a container": {
        "exec": "run another program in a running container",
        "cp": "copy files between a container and this host",
        "diff": "show what a container has changed above its image",
        "export": "write all files of a container as a tar",
        "commit": "make an image of a container",
        "logs": "show what a container's main process wrote",
        "port": "show which ports of the host lead to a container",
        "stats": "show what containers use",
        "top": "show the processes in a container",
        "events": "show what happens to containers",
        "inspect": "show everything about containers, their jail included",
    },
    "Images": {
        "build": "make an image of a Dockerfile, with buildah or podman",
        "pull": "bring images from a registry",
        "push": "send an image to a registry",
        "images": "list images",
        "tag": "give an image another name",
        "rmi": "remove images",
        "load": "read images from an archive",
        "save": "write images to an archive",
        "import": "make an image of the files of a root",
        "history": "show how an image was made",
        "image": "show everything about images, remove unused ones; other verbs by long names",
        "login": "tell a registry who you are",
        "logout": "forget who you are at a registry",
    },
    "Networks and volumes": {
        "network": "make, list, show and remove networks that containers share",
        "volume": "make, list, show and remove volumes",
    },
    "This host": {
        "kernel": "list, build, show and remove container kernels",
        "info": "show what drupe has and uses on this host",
        "system": "look at this host: what it offers and lacks, what lies on its disk",
        "completion": "print what makes a shell complete drupe's words",
        "version": "show versions",
    },
}
"""Topic → verb → what ``drupe --help`` says of it; the module is ``drupe.cli.<verb>``."""

VERBS = {verb: text for verbs in TOPICS.values() for verb, text in verbs.items()}

_GARBAGE_THRESHOLD = 100_000

EXIT_ENGINE = 125
EXIT_NOT_INVOKED = 126
EXIT_NOT_FOUND = 127
EXIT_INTERRUPTED = 130


def main() -> None:
    """The entry point; ends the process."""
    # Imports make much that stays: looking for garbage in between takes a tenth of their time.
    gc.set_threshold(_GARBAGE_THRESHOLD)
    open_standard_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names need not be UTF-8
    arguments = sys.argv[1:]
    debug = arguments[:1] == ["--debug"]
    try:
        _mind_interrupts()
        status = _dispatch(arguments[1:] if debug else arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    except BrokenPipeError:
        status = EXIT_ENGINE  # whoever read our output has gone
    except Exception as error:
        from drupe.errors import DrupeError

        if debug or not isinstance(error, DrupeError | OSError):
            raise
        with suppress(OSError):
            if sys.stdout is not None:
                sys.stdout.flush()  # what was done before it failed
        status = _report(error)
    if sys.stderr is not None:
        sys.stderr.flush()
    # Nothing is left to do, and taking the interpreter down in order takes 5 ms.
    os._exit(status)


def _mind_interrupts() -> None:
    """Ctrl-C is an exception from here on, unless the caller ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] == ["help"] and len(arguments) > 1:
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        from drupe.cli.help import overview

        print(overview(TOPICS))
        return 0 if arguments else EXIT_ENGINE
    if arguments[0] == "__complete" and len(arguments) > 2:
        from drupe.cli.complete import answer

        for line in answer(arguments[1], arguments[2:], VERBS):
            print(line)
        return 0
    arguments = shortened(arguments)
    verb = "version" if arguments[0] in {"-v", "--version"} else arguments[0]
    if verb not in VERBS:
        from drupe.cli.absent import verb_hint
        from drupe.errors import SpecError

        raise SpecError(f"failed to run '{verb}': no such verb", hint=verb_hint(verb, VERBS))
    from drupe.cli.parser import parse

    module = importlib.import_module(f"drupe.cli.{verb}")
    status: int = module.main(parse(verb, VERBS[verb], module, arguments[1:]))
    return status


def _report(error: DrupeError | OSError) -> int:
    from drupe.errors import BootError, DrupeError, GuestError

    if isinstance(error, DrupeError):
        print(f"drupe: {error}", file=sys.stderr)
    else:
        what = f"'{error.filename}'" if error.filename else "standard output or another file"
        print(f"drupe: failed to use {what}: {error.strerror or error}", file=sys.stderr)
    if isinstance(error, BootError) and error.console:
        print("drupe: the end of its console:", file=sys.stderr)
        for line in error.console.splitlines()[-12:]:
            print(f"  {line}", file=sys.stderr)
    if isinstance(error, DrupeError) and error.hint:
        print(f"drupe: hint: {error.hint}", file=sys.stderr)
    if isinstance(error, GuestError):
        import errno

        from drupe.guest.protocol import Stage

        if error.stage == Stage.EXEC:
            return EXIT_NOT_FOUND if error.number == errno.ENOENT else EXIT_NOT_INVOKED
    return EXIT_ENGINE
