"""Files, links and directories that are whole or not there: made beside, then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def new_directory(final: Path) -> Iterator[Path]:
    """Yields a directory to fill, mode 0755, that becomes ``final`` at the end of the block.

    What stood there, a broken one, goes. After an error nothing has changed.

    Raises:
        HostError: the disk refused, in the block too.
    """
    import shutil

    temporary = final.with_name(f".{final.name}.{os.getpid()}")
    old = final.with_name(f".{final.name}.{os.getpid()}.old")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(mode=0o755)
        yield temporary
        if final.exists():
            final.rename(old)
        temporary.rename(final)
    except OSError as error:
        raise HostError(f"failed to make '{final}': {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def replace_link(link: Path, target: Path) -> None:
    """Makes ``link`` a relative symbolic link to ``target``, in one step.

    Raises:
        HostError: the disk refused.
    """
    relative = Path(os.path.relpath(target, link.parent))
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        if link.is_symlink() and link.readlink() == relative:
            return
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(relative)
        temporary.replace(link)
    except OSError as error:
        raise HostError(f"failed to link '{link}': {error.strerror}") from error
