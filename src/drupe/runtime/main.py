"""``drupe-runtime``: finds the verb, runs it, turns errors into messages and exit codes.

Only the module of the verb that was asked for is imported: an engine calls several for a container.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

from drupe._linux.standard import open_standard_descriptors
from drupe.errors import DrupeError, SpecError
from drupe.runtime import log
from drupe.runtime.home import Home, default_root
from drupe.runtime.options import Option, Parsed, parse, switch

VERBS = {
    "create": "make a container; its program does not run yet",
    "start": "have the program of a container that was created run",
    "run": "create, start, wait and delete",
    "state": "print the state of a container",
    "kill": "send a signal to a container",
    "delete": "remove a container that has stopped",
    "exec": "run another program in a container",
    "list": "list containers",
    "ps": "show the processes of a container",
    "pause": "stop a container where it is",
    "resume": "have a container go on that was paused",
    "events": "show what a container uses",
    "update": "change a container's limits",
    "features": "print what this runtime can do",
    "spec": "write a config.json to begin with",
}

OPTIONS = (
    Option("root"),
    Option("log"),
    Option("log-format"),
    switch("debug"),
    switch("systemd-cgroup"),
    Option("rootless", ignored=True),
    Option("criu", ignored=True),
    Option("cgroup-manager", ignored=True),
    switch("help", "h"),
    switch("version", "v"),
)

EXIT_FAILED = 1
EXIT_EXEC_FAILED = 255
_GARBAGE_THRESHOLD = 100_000


def main() -> None:
    """The entry point; ends the process."""
    gc.set_threshold(_GARBAGE_THRESHOLD)
    open_standard_descriptors()
    verb, debug = "", False
    try:
        before = parse(sys.argv[1:], OPTIONS)
        debug = before.flag("debug")
        verb = before.rest[0] if before.rest else ""
        log.open_log(before.text("log"), before.text("log-format", "text"), debug=debug)
        status = _dispatch(before, verb)
        sys.stdout.flush()
    except BrokenPipeError:
        status = EXIT_FAILED  # whoever read our output has gone
    except (DrupeError, OSError, KeyboardInterrupt) as error:
        status = _report(error, verb)
        if debug:
            raise
    sys.stderr.flush()
    # Nothing is left to do, and taking the interpreter down in order takes 5 ms.
    os._exit(status)


def _dispatch(before: Parsed, verb: str) -> int:
    if before.flag("version"):
        from drupe.runtime.verbs.features import version

        print(version())
        return 0
    if before.flag("help") or not verb or verb in {"help", "h"}:
        _help()
        return 0
    if before.text("log-format", "text") not in {"text", "json"}:
        raise SpecError(f'unknown log-format "{before.text("log-format")}"')
    if verb not in VERBS:
        raise SpecError(f"no such command: {verb}")
    module = importlib.import_module(f"drupe.runtime.verbs.{verb}")
    options: tuple[Option, ...] = module.OPTIONS
    given = parse(before.rest[1:], (*options, switch("help", "h")))
    if given.flag("help"):
        print(f"drupe-runtime {verb}: {VERBS[verb]}")
        for option in options:
            print(f"   --{option.name}{' value' if option.takes_value else ''}")
        return 0
    home = Home(before.text("root") or default_root(), systemd=before.flag("systemd-cgroup"))
    status: int = module.main(home, given)
    return status


def _help() -> None:
    print("drupe-runtime [global options] command [command options] [arguments...]\n")
    for verb, text in VERBS.items():
        print(f"   {verb:<10} {text}")
    print("\nGlobal options:")
    for option in OPTIONS:
        print(f"   --{option.name}{' value' if option.takes_value else ''}")


def _report(error: BaseException, verb: str) -> int:
    text = str(error) or type(error).__name__
    hint = error.hint if isinstance(error, DrupeError) else None
    log.error(text if hint is None else f"{text} ({hint})")
    return EXIT_EXEC_FAILED if verb == "exec" else EXIT_FAILED
