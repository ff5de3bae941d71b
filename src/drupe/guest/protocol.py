"""Frames of the guest protocol: numbers, layouts, bounds. No I/O.

The one definition is guest/include/drupe/protocol.h, which also tells the life of a session; a
test compares this module with it.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag

from drupe.errors import GuestError, SpecError

MAGIC = 0x5055_5244
VERSION = 2
FRAME_MAX = 131_072
SPEC_MAX = 2 << 20
COUNT_MAX = 65_536
GROUPS_MAX = 1024
MOUNTS_MAX = 256
FILES_MAX = 32
INTERFACES_MAX = 8
ADDRESSES_MAX = 32
ROUTES_MAX = 64
INTERFACE_NAME_MAX = 15
STDIN_WINDOW = 262_144
HOSTNAME_MAX = 64
ERROR_MAX = 4096
CREDIT_MAX = 1 << 20
"""What the guest may grant at once; more is a lie. This bound is the host's own."""


class Type(IntEnum):
    """``enum drupe_type``."""

    HELLO = 1
    HOSTNAME = 16
    MOUNT = 17
    BOOT = 18
    INTERFACE = 19
    ADDRESS = 20
    ROUTE = 21
    FILE = 22
    RESTART = 23
    HEALTH = 24
    LIMIT = 25
    SYSCTL = 26
    DOMAINNAME = 27
    ARG = 32
    ENV = 33
    CWD = 34
    USER = 35
    GROUP = 36
    RLIMIT = 37
    TERMINAL = 38
    START = 39
    CAPABILITIES = 40
    UMASK = 41
    OOM = 42
    CAPABILITY_SETS = 43
    STDIN = 48
    STDIN_EOF = 49
    SIGNAL = 50
    WINDOW = 51
    DETACH = 52
    KILL = 64
    STOP = 65
    FILE_UPDATE = 66
    STATS = 67
    ATTACH = 70
    RELEASE = 71
    KILL_ALL = 72
    READY = 128
    STARTED = 129
    STDOUT = 130
    STDERR = 131
    STDIN_CREDIT = 132
    EXITED = 133
    DONE = 134
    ERROR = 135
    FIGURES = 136


class MountFlag(IntFlag):
    """Flags of MOUNT."""

    READONLY = 1 << 0
    OVERLAY = 1 << 1
    LAYER = 1 << 2
    GUARDED = 1 << 3
    FILE = 1 << 4
    NOEXEC = 1 << 5
    SEED = 1 << 6
    MASKED = 1 << 7
    FROZEN = 1 << 8


class StartFlag(IntFlag):
    """Flags of START."""

    MAIN = 1 << 0
    STDIN = 1 << 1
    DETACHED = 1 << 2
    LOG = 1 << 3
    HELPER = 1 << 4
    HELD = 1 << 5
    FILES = 1 << 6


class Stage(IntEnum):
    """``enum drupe_stage``: where in the guest an error came about."""

    PROTOCOL = 1
    BOOT = 2
    PROCESS = 3
    EXEC = 4
    REQUEST = 5


class LimitKind(IntEnum):
    """``enum drupe_limit_kind``."""

    PIDS = 1
    SHM = 2


class RestartPolicy(IntEnum):
    """``enum drupe_restart_policy``."""

    NO = 0
    ON_FAILURE = 1
    ALWAYS = 2


class StatsKind(IntEnum):
    """``enum drupe_stats_kind``."""

    FIGURES = 1
    PROCESSES = 2


_HEADER = struct.Struct("<IHH")
HELLO = struct.Struct("<IHH")
MOUNT = struct.Struct("<I")
INTERFACE = struct.Struct("<II6sH")
ADDRESS = struct.Struct("<IBBH16s")
ROUTE = struct.Struct("<IBBHI16s16s")
FILE = struct.Struct("<I")
RLIMIT = struct.Struct("<IIQQ")
CAPABILITIES = struct.Struct("<QII")
CAPABILITY_SETS = struct.Struct("<QQQQQ")
UMASK = struct.Struct("<I")
OOM = struct.Struct("<I")
LIMIT = struct.Struct("<IIQ")
RESTART = struct.Struct("<II")
HEALTH = struct.Struct("<IIIIII")
STATS = struct.Struct("<I")
FIGURES = struct.Struct("<QQQQQQQ")
WINDOW = struct.Struct("<HH")
START = struct.Struct("<I")
SIGNAL = struct.Struct("<I")
STOP = struct.Struct("<II")
STARTED = struct.Struct("<II")
CREDIT = struct.Struct("<I")
EXITED = struct.Struct("<II")
ERROR = struct.Struct("<II")

_SIZES: dict[Type, tuple[int, int]] = {
    Type.HELLO: (HELLO.size, HELLO.size),
    Type.READY: (0, 0),
    Type.STARTED: (STARTED.size, STARTED.size),
    Type.STDOUT: (1, FRAME_MAX),
    Type.STDERR: (1, FRAME_MAX),
    Type.STDIN_CREDIT: (CREDIT.size, CREDIT.size),
    Type.EXITED: (EXITED.size, EXITED.size),
    Type.DONE: (0, 0),
    Type.ERROR: (ERROR.size, ERROR.size + ERROR_MAX),
    Type.FIGURES: (0, FRAME_MAX),
}
"""What a guest may send: (least, most) bytes of payload."""


def encode(kind: Type, payload: bytes = b"") -> bytes:
    """One frame to the guest.

    Raises:
        SpecError: the payload is larger than a frame may be.
    """
    if len(payload) > FRAME_MAX:
        raise SpecError(
            f"failed to send {kind.name} to the guest: {len(payload)} bytes, "
            f"at most {FRAME_MAX} fit"
        )
    return _HEADER.pack(len(payload), kind, 0) + payload


def hello() -> bytes:
    """The first frame of a session."""
    return encode(Type.HELLO, HELLO.pack(MAGIC, VERSION, 0))


class Parser:
    """Cuts what a guest sends into frames; keeps at most one frame that is not whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._greeted = False

    def feed(self, received: bytes) -> list[tuple[Type, bytes]]:
        """Takes bytes as they come; returns the frames that they complete.

        Raises:
            GuestError: they break the protocol; nothing of this session can be used further.
        """
        self._buffer += received
        frames: list[tuple[Type, bytes]] = []
        offset = 0
        while len(self._buffer) - offset >= _HEADER.size:
            size, number, zero = _HEADER.unpack_from(self._buffer, offset)
            kind = self._check(size, number, zero)
            start = offset + _HEADER.size
            if len(self._buffer) - start < size:
                break
            payload = bytes(self._buffer[start : start + size])
            self._greet(kind, payload)
            frames.append((kind, payload))
            offset = start + size
        del self._buffer[:offset]
        return frames

    def _check(self, size: int, number: int, zero: int) -> Type:
        try:
            kind = Type(number)
            least, most = _SIZES[kind]
        except (ValueError, KeyError):
            raise broken(f"frame of type {number}") from None
        if zero != 0 or not least <= size <= most:
            raise broken(f"{kind.name} of {size} bytes")
        return kind

    def _greet(self, kind: Type, payload: bytes) -> None:
        if self._greeted == (kind is Type.HELLO):
            raise broken(f"{kind.name} {'again' if self._greeted else 'first'}")
        if kind is Type.HELLO:
            magic, version, _ = HELLO.unpack(payload)
            if magic != MAGIC or version != VERSION:
                raise GuestError(
                    f"failed to talk to the guest: it speaks version {version}, not {VERSION}",
                    hint="build the guest's init again: 'drupe kernel build'",
                )
            self._greeted = True


def broken(what: str) -> GuestError:
    """The error for a guest that breaks the protocol."""
    return GuestError(
        f"failed to talk to the guest: it broke the protocol: {what}", stage=Stage.PROTOCOL
    )


def decode_error(payload: bytes) -> tuple[int, int, str]:
    """(errno, stage, text) of an ERROR frame; the text is made printable."""
    number, stage = ERROR.unpack_from(payload)
    text = payload[ERROR.size :].decode("utf-8", "replace")
    return number, stage, "".join(c if c.isprintable() else "?" for c in text)
