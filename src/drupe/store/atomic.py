"""Files that are whole or not there: written beside, synced, renamed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from drupe.errors import HostError, StateError


def write_bytes(path: Path, content: bytes, *, mode: int = 0o600, sync: bool = True) -> None:
    """Replaces a file's content in one step; a reader sees the old or the new.

    With ``sync`` that holds over a power failure too, not only over the end of any process.

    Raises:
        HostError: the file cannot be written (a full disk, a missing right).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if sync:
                    os.fdatasync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise HostError(f"failed to write '{path}': {error.strerror}") from error


def write_json(path: Path, value: object, *, sync: bool = True) -> None:
    """Replaces a file by the JSON form of ``value``, in one step; ``sync`` as in write_bytes.

    Raises:
        HostError: the file cannot be written.
    """
    write_bytes(path, json.dumps(value, indent=1).encode() + b"\n", sync=sync)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        FileNotFoundError: there is no such file.
        StateError: it is not a JSON object.
        HostError: it cannot be read.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise HostError(f"failed to read '{path}': {error.strerror}") from error
    except ValueError as error:
        raise StateError(f"failed to read '{path}': not JSON: {error}") from error
    if not isinstance(value, dict):
        raise StateError(f"failed to read '{path}': not a JSON object")
    return value
