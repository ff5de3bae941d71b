"""Fuzzes what the host parses of a hostile guest: frames, error texts, log lines, status lines.

With atheris installed (pip install atheris) it is guided by coverage; without, random mutations of
valid input. Any exception but GuestError is a finding, as is a frame that breaks its own bounds.
"""

from __future__ import annotations

import datetime as dt
import random
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from unittest import mock

from drupe.container import files
from drupe.container.log import parse_line
from drupe.container.record import Record
from drupe.container.status import parse_status
from drupe.errors import GuestError
from drupe.guest import figures, protocol

_SEEDS = [
    protocol.hello() + protocol.encode(protocol.Type.READY),
    protocol.hello() + protocol.encode(protocol.Type.STDOUT, b"out") * 3,
    protocol.hello() + protocol.encode(protocol.Type.EXITED, protocol.EXITED.pack(1, 0)),
    protocol.hello() + protocol.encode(protocol.Type.STDIN_CREDIT, protocol.CREDIT.pack(99)),
    protocol.hello() + protocol.encode(protocol.Type.ERROR, protocol.ERROR.pack(2, 4) + b"text"),
    b"2016-10-06T00:17:09.669794202Z stdout F text",
    b"running 3 unhealthy it says no",
    b"exited 1 0 1475712345.000000009 2",
    b"7 1 1000 S 250 1 300 sleep 1000",
    b"33188 0 0 1234 1475712345 9 1 0\0/etc/passwd\0\0",
    b"A /added\0C /changed\0D /removed\0",
]


def one_input(data: bytes) -> None:
    """Feeds one input to each parser, in pieces as it would come."""
    parser = protocol.Parser()
    try:
        for start in range(0, len(data), 7):
            for kind, payload in parser.feed(data[start : start + 7]):
                if len(payload) > protocol.FRAME_MAX:
                    raise AssertionError(f"a frame of {len(payload)} bytes")
                if kind is protocol.Type.ERROR:
                    _, _, text = protocol.decode_error(payload)
                    if not all(c.isprintable() for c in text):
                        raise AssertionError(f"unprintable: {text!r}")
    except GuestError:
        pass
    _texts(data)
    entry = parse_line(data)
    if entry is not None and not entry.time.isprintable():
        raise AssertionError(f"unprintable: {entry.time!r}")


def _texts(data: bytes) -> None:
    """What the guest says of its processes, its files and its end."""
    text = data.decode("utf-8", "replace")
    said = parse_status(text)
    if said is not None and said.ended_ns is not None:
        dt.datetime.fromtimestamp(said.ended_ns // 1_000_000_000, dt.UTC)
    if said is not None and said.health is not None and not said.health.output.isprintable():
        raise AssertionError(f"unprintable: {said.health.output!r}")
    try:
        task = figures.parse_task(text)
        if not (task.command + task.state).isprintable():
            raise AssertionError(f"unprintable: {task!r}")
    except GuestError:
        pass
    record = Record(Path("/nowhere"))
    with mock.patch.object(files, "answer", return_value=data):
        with suppress(GuestError):
            for found in files.list_directory(record, "/"):
                assert sum((found.is_dir, found.is_file, found.is_link)) < 2
        with suppress(GuestError):
            list(files.changes(record))


def mutate(seed: bytes, chance: random.Random) -> bytes:
    """A few random changes to a valid input."""
    data = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[place:place] = chance.randbytes(chance.randint(1, 9))
            case 1:
                del data[place : place + chance.randint(1, 9)]
            case 2:
                data[place : place + 4] = struct.pack("<I", chance.choice([0, 1, 2**31, 2**32 - 1]))
            case _:
                data[place : place + 1] = bytes([chance.randrange(256)])
    return bytes(data)


def main() -> None:
    """Runs for a number of seconds (default 60), or for ever under atheris."""
    try:
        import atheris
    except ImportError:
        seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
        chance, count, end = random.Random(), 0, time.monotonic() + seconds
        while time.monotonic() < end:
            one_input(mutate(chance.choice(_SEEDS), chance))
            count += 1
        sys.stdout.write(f"{count} inputs, nothing found\n")
        return
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
