"""Messages in the shape that engines read: to a file, as text or JSON, and errors to stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress

_file = ""
_json = False
_debug = False


def open_log(path: str, form: str, *, debug: bool) -> None:
    """Says where messages go; ``form`` is text or json. Without a path: standard error."""
    global _file, _json, _debug
    _file, _json, _debug = path, form == "json", debug


def debug(text: str) -> None:
    """A message for whoever looks for a defect."""
    if _debug:
        _write("debug", text)


def warning(text: str) -> None:
    """A message about what was left out or went wrong without harm."""
    _write("warning", text)


def error(text: str) -> None:
    """Why the command failed: to the log and, where that is a file, to standard error, too."""
    _write("error", text)
    if _file:
        print(text, file=sys.stderr)


def _write(level: str, text: str) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if _json:
        line = json.dumps({"level": level, "msg": text, "time": now}, separators=(",", ":"))
    else:
        line = f'time="{now}" level={level} msg={json.dumps(text)}'
    with suppress(OSError):  # a log that cannot be written must not end a container
        if not _file:
            print(line, file=sys.stderr)
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(_file, flags, 0o644)
        try:
            os.write(descriptor, line.encode(errors="backslashreplace") + b"\n")
        finally:
            os.close(descriptor)
