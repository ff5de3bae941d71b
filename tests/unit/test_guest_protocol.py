"""The host's end of the guest protocol: the same as the C header; nothing hostile gets through."""

from __future__ import annotations

import contextlib
import re
import struct
from enum import IntEnum, IntFlag
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.errors import GuestError, SpecError
from drupe.guest import protocol
from drupe.guest.protocol import (
    LimitKind,
    MountFlag,
    Parser,
    RestartPolicy,
    Stage,
    StartFlag,
    StatsKind,
    Type,
    decode_error,
    encode,
)
from drupe.guest.session import exit_status, guest_error
from drupe.guest.spec import UNLIMITED, Care, Mount, Process, boot_frames, process_frames

HEADER = Path(__file__).resolve().parents[2] / "guest/include/drupe/protocol.h"

# The header


def header() -> str:
    return re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)


def enum_of(name: str) -> dict[str, int]:
    body = re.search(rf"enum {name} {{(.*?)}};", header(), re.DOTALL)
    assert body is not None
    values: dict[str, int] = {}
    following = 0
    for entry in body[1].replace("\n", " ").split(","):
        if entry.strip():
            key, _, value = (part.strip() for part in entry.partition("="))
            following = int(value, 0) if value else following
            values[key] = following
            following += 1
    return values


def defines() -> dict[str, int]:
    found: dict[str, int] = {}
    for key, value in re.findall(r"#define (DRUPE_\w+)\t+(\S.*)", header().replace("\\\n", " ")):
        number = re.fullmatch(r"\(?(\w+?)u?(?: << (\d+))?\)?", value.strip())
        if number:
            found[key] = int(number[1], 0) << int(number[2] or 0)
    return found


def struct_of(name: str) -> struct.Struct:
    body = re.search(rf"struct {name} {{(.*?)}};", header(), re.DOTALL)
    assert body is not None
    letters = {"uint16_t": "H", "uint32_t": "I", "uint64_t": "Q"}
    return struct.Struct(
        "<" + "".join(letters[kind] for kind in re.findall(r"(uint\d+_t) ", body[1]))
    )


def members(kind: type[IntEnum | IntFlag], prefix: str) -> dict[str, int]:
    return {f"{prefix}{member.name}": int(member) for member in kind}


def test_types_are_the_headers() -> None:
    assert members(Type, "DRUPE_") == enum_of("drupe_type")


def test_limits_are_the_headers() -> None:
    assert members(LimitKind, "DRUPE_LIMIT_") == enum_of("drupe_limit_kind")
    assert members(RestartPolicy, "DRUPE_RESTART_") == enum_of("drupe_restart_policy")
    assert members(StatsKind, "DRUPE_STATS_") == enum_of("drupe_stats_kind")


def test_stages_are_the_headers() -> None:
    assert members(Stage, "DRUPE_STAGE_") == enum_of("drupe_stage")


def test_flags_are_the_headers() -> None:
    for kind, prefix in ((StartFlag, "DRUPE_START_"), (MountFlag, "DRUPE_MOUNT_")):
        theirs = {key: value for key, value in defines().items() if key.startswith(prefix)}
        assert members(kind, prefix) == theirs
        known = re.search(rf"#define {prefix}KNOWN\s+\(([^)]*)\)", header().replace("\\\n", ""))
        assert known is not None
        assert set(re.split(r"[\s|]+", known[1].strip())) == set(theirs)


@pytest.mark.parametrize(
    "name",
    [
        "MAGIC", "VERSION", "FRAME_MAX", "SPEC_MAX", "COUNT_MAX", "GROUPS_MAX", "MOUNTS_MAX",
        "STDIN_WINDOW", "HOSTNAME_MAX", "ERROR_MAX",
    ],
)  # fmt: skip
def test_bounds_are_the_headers(name: str) -> None:
    assert getattr(protocol, name) == defines()[f"DRUPE_{name}"]


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("drupe_frame", protocol._HEADER),
        ("drupe_hello", protocol.HELLO),
        ("drupe_mount", protocol.MOUNT),
        ("drupe_rlimit", protocol.RLIMIT),
        ("drupe_capabilities", protocol.CAPABILITIES),
        ("drupe_capability_sets", protocol.CAPABILITY_SETS),
        ("drupe_umask", protocol.UMASK),
        ("drupe_oom", protocol.OOM),
        ("drupe_limit", protocol.LIMIT),
        ("drupe_restart", protocol.RESTART),
        ("drupe_health", protocol.HEALTH),
        ("drupe_stats", protocol.STATS),
        ("drupe_figures", protocol.FIGURES),
        ("drupe_window", protocol.WINDOW),
        ("drupe_start", protocol.START),
        ("drupe_signal", protocol.SIGNAL),
        ("drupe_stop", protocol.STOP),
        ("drupe_started", protocol.STARTED),
        ("drupe_credit", protocol.CREDIT),
        ("drupe_exited", protocol.EXITED),
        ("drupe_error", protocol.ERROR),
    ],
)
def test_layouts_are_the_headers(name: str, layout: struct.Struct) -> None:
    assert layout.format == struct_of(name).format


def test_every_struct_of_the_header_has_its_layout() -> None:
    assert len(re.findall(r"^struct drupe_", header(), re.MULTILINE)) == 25


# The parser

FROM_GUEST = sorted(set(protocol._SIZES) - {Type.HELLO})
TO_GUEST = sorted(set(Type) - set(protocol._SIZES))


@st.composite
def frames(draw: st.DrawFn) -> tuple[Type, bytes]:
    kind = draw(st.sampled_from(FROM_GUEST))
    least, most = protocol._SIZES[kind]
    return kind, draw(st.binary(min_size=least, max_size=min(most, 64)))


def head(size: int, kind: int, zero: int = 0) -> bytes:
    return struct.pack("<IHH", size, kind, zero)


def greeted() -> Parser:
    parser = Parser()
    parser.feed(protocol.hello())
    return parser


@given(st.lists(frames(), max_size=8), st.data())
def test_frames_come_out_however_the_stream_is_cut(
    sent: list[tuple[Type, bytes]], data: st.DataObject
) -> None:
    stream = protocol.hello() + b"".join(encode(kind, payload) for kind, payload in sent)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=20)))
    parser = Parser()
    got = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += parser.feed(stream[start:end])
    assert got[0][0] is Type.HELLO
    assert got[1:] == sent


@given(st.lists(st.binary(max_size=40), max_size=10), st.booleans())
def test_garbage_raises_guest_errors_only(pieces: list[bytes], greet: bool) -> None:
    parser = greeted() if greet else Parser()
    try:
        for piece in pieces:
            parser.feed(piece)
    except GuestError:
        return
    assert len(parser._buffer) < protocol.FRAME_MAX + 8


@given(st.lists(frames(), min_size=1, max_size=4), st.data())
def test_one_wrong_byte_raises_guest_errors_only(
    sent: list[tuple[Type, bytes]], data: st.DataObject
) -> None:
    stream = bytearray(protocol.hello() + b"".join(encode(*frame) for frame in sent))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(GuestError):
        for kind, payload in Parser().feed(bytes(stream)):
            least, most = protocol._SIZES[kind]
            assert least <= len(payload) <= most


@pytest.mark.parametrize("kind", [Type.HELLO, *FROM_GUEST])
def test_sizes_are_bounded_before_a_payload_is_awaited(kind: Type) -> None:
    least, most = protocol._SIZES[kind]
    for size in {least - 1, most + 1, 0xFFFF_FFFF} - {-1}:
        parser = Parser() if kind is Type.HELLO else greeted()
        with pytest.raises(GuestError, match=f"broke the protocol: {kind.name} of {size} bytes"):
            parser.feed(head(size, kind))


def test_the_largest_frame_passes() -> None:
    payload = bytes(protocol.FRAME_MAX)
    assert greeted().feed(encode(Type.STDOUT, payload)) == [(Type.STDOUT, payload)]


@given(st.integers(1, 0xFFFF))
def test_the_zero_of_a_frame_is_checked(zero: int) -> None:
    with pytest.raises(GuestError, match="broke the protocol: READY of 0 bytes"):
        greeted().feed(head(0, Type.READY, zero))


@given(st.integers(0, 0xFFFF).filter(lambda number: number not in set(protocol._SIZES)))
def test_unknown_types_break_the_protocol(number: int) -> None:
    with pytest.raises(GuestError, match=f"broke the protocol: frame of type {number}$"):
        greeted().feed(head(0, number))


@pytest.mark.parametrize("kind", TO_GUEST)
def test_the_hosts_own_types_break_the_protocol(kind: Type) -> None:
    with pytest.raises(GuestError, match=f"frame of type {int(kind)}$"):
        greeted().feed(encode(kind))


def test_hello_comes_first() -> None:
    with pytest.raises(GuestError, match="broke the protocol: READY first"):
        Parser().feed(encode(Type.READY) + protocol.hello())


def test_hello_comes_once() -> None:
    with pytest.raises(GuestError, match="broke the protocol: HELLO again"):
        Parser().feed(protocol.hello() * 2)


@pytest.mark.parametrize(("magic", "version"), [(protocol.MAGIC, 1), (1, protocol.VERSION)])
def test_another_version_is_named(magic: int, version: int) -> None:
    payload = protocol.HELLO.pack(magic, version, 0)
    with pytest.raises(GuestError, match=f"speaks version {version}, not 2") as caught:
        Parser().feed(encode(Type.HELLO, payload))
    assert caught.value.hint == "build the guest's init again: 'drupe kernel build'"


@given(st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF), st.binary(max_size=99))
def test_errors_are_made_printable(number: int, stage: int, text: bytes) -> None:
    got = decode_error(protocol.ERROR.pack(number, stage) + text)
    assert got[:2] == (number, stage)
    assert got[2] == "" or got[2].isprintable()
    assert guest_error(protocol.ERROR.pack(number, stage) + text).stage == stage


def test_an_error_names_its_cause_once() -> None:
    payload = protocol.ERROR.pack(2, Stage.EXEC)
    plain = guest_error(payload + b"failed to run 'x'")
    assert str(plain) == "failed to run 'x': No such file or directory"
    assert (plain.number, plain.stage) == (2, Stage.EXEC)
    told = guest_error(payload + b"failed to run 'x': No such file or directory")
    assert str(told) == str(plain)
    hostile = guest_error(payload + b"\x1b[2J\xff")
    assert str(hostile) == "?[2J\ufffd: No such file or directory"


@given(st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF))
def test_an_exit_status_is_one_or_breaks_the_protocol(code: int, number: int) -> None:
    payload = protocol.EXITED.pack(code, number)
    if code <= 255 and number <= 64:
        assert exit_status(payload) == (128 + number if number else code)
    else:
        with pytest.raises(GuestError, match="broke the protocol: exit status"):
            exit_status(payload)


# What is asked of a guest


def cut(stream: bytes) -> list[tuple[Type, bytes]]:
    """What the guest reads from the host."""
    found = []
    while stream:
        size, kind, zero = struct.unpack_from("<IHH", stream)
        assert zero == 0
        assert size <= protocol.FRAME_MAX
        found.append((Type(kind), stream[8 : 8 + size]))
        stream = stream[8 + size :]
    return found


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def test_a_frame_has_its_bound() -> None:
    assert len(encode(Type.STDIN, bytes(protocol.FRAME_MAX))) == protocol.FRAME_MAX + 8
    with pytest.raises(SpecError, match="failed to send STDIN to the guest: 131073 bytes"):
        encode(Type.STDIN, bytes(protocol.FRAME_MAX + 1))


@given(st.text("abc.", min_size=1, max_size=64), st.lists(st.tuples(texts, texts), max_size=5))
def test_boot_frames_say_every_mount(hostname: str, extra: list[tuple[str, str]]) -> None:
    volumes = (Mount("hostshare", a, f"/{b}", "o", readonly=True) for a, b in extra)
    mounts = (Mount("erofs", "/dev/x", "/", overlay=True), *volumes)
    sent = cut(boot_frames(hostname, mounts))
    assert sent[0] == (Type.HOSTNAME, hostname.encode())
    assert sent[-1] == (Type.BOOT, b"")
    for mount, (kind, payload) in zip(mounts, sent[1:-1], strict=True):
        assert kind is Type.MOUNT
        (flags,) = protocol.MOUNT.unpack_from(payload)
        assert flags == mount.readonly * 1 + mount.overlay * 2
        words = [mount.kind, mount.source, mount.target, mount.options, ""]
        assert payload[4:].decode().split("\0") == words


ROOT = Mount("erofs", "/dev/x", "/")


def test_boot_frames_say_settings_and_limits() -> None:
    frames = boot_frames("a", (ROOT,), sysctls={"a/b": "1 2"}, limits={LimitKind.PIDS: 7})
    assert cut(frames)[2:] == [
        (Type.SYSCTL, b"a/b\0" + b"1 2"),
        (Type.LIMIT, protocol.LIMIT.pack(1, 0, 7)),
        (Type.BOOT, b""),
    ]


def test_boot_frames_say_what_the_init_does_for_the_main_process() -> None:
    care = Care(RestartPolicy.ON_FAILURE, 3, ("a", "b c"), (1, 2, 3, 4), 5)
    assert cut(boot_frames("a", (ROOT,), care=care))[2:] == [
        (Type.RESTART, protocol.RESTART.pack(1, 3)),
        (Type.HEALTH, protocol.HEALTH.pack(1, 2, 3, 4, 5, 0) + b"a\0b c\0"),
        (Type.BOOT, b""),
    ]


def test_process_frames_say_rights() -> None:
    process = Process(("a",), capabilities=5, umask=0o77, oom_score_adj=-1000)
    assert cut(process_frames(process, StartFlag(0)))[2:-1] == [
        (Type.CAPABILITIES, protocol.CAPABILITIES.pack(5, 0, 0)),
        (Type.UMASK, protocol.UMASK.pack(0o77)),
        (Type.OOM, protocol.OOM.pack(0)),
    ]
    process = Process(("a",), no_new_privileges=True)
    assert cut(process_frames(process, StartFlag(0)))[2:-1] == [
        (Type.CAPABILITIES, protocol.CAPABILITIES.pack(UNLIMITED, 1, 0)),
    ]


@pytest.mark.parametrize(
    ("hostname", "mounts", "message"),
    [
        ("", (ROOT,), "failed to use host name ''"),
        ("a" * 65, (ROOT,), "failed to use host name 'a"),
        ("a\0b", (ROOT,), "failed to send host name to the guest: it holds a NUL byte"),
        ("a", (), "failed to mount: 1 to 256 mounts, the first at '/'"),
        ("a", (Mount("x", "x", "/x"),), "failed to mount: 1 to 256 mounts, the first at '/'"),
        ("a", (ROOT,) * 257, "failed to mount: 1 to 256 mounts"),
        ("a", (Mount("x", "a\0b", "/"),), "failed to send mount at / to the guest: .* NUL byte"),
    ],
)
def test_a_wrong_boot_is_refused(hostname: str, mounts: tuple[Mount, ...], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        boot_frames(hostname, mounts)


@given(
    st.lists(texts, max_size=5),
    st.dictionaries(texts.filter(bool), texts, max_size=5),
    st.lists(texts, max_size=3),
    st.booleans(),
)
def test_process_frames_say_everything(
    args: list[str], env: dict[str, str], groups: list[str], stdin: bool
) -> None:
    process = Process(
        args=("prog", *args),
        env=env,
        cwd="/here",
        user="me:us",
        groups=tuple(groups),
        rlimits=((7, 10, UNLIMITED),),
        terminal=(24, 80),
        stdin=stdin,
    )
    sent = cut(process_frames(process, StartFlag.MAIN | StartFlag.LOG))

    def said(wanted: Type) -> list[bytes]:
        return [payload for kind, payload in sent if kind is wanted]

    assert said(Type.ARG) == [arg.encode() for arg in process.args]
    assert said(Type.ENV) == [f"{key}={value}".encode() for key, value in env.items()]
    assert said(Type.GROUP) == [group.encode() for group in groups]
    assert (said(Type.CWD), said(Type.USER)) == ([b"/here"], [b"me:us"])
    assert said(Type.RLIMIT) == [struct.pack("<IIQQ", 7, 0, 10, 0xFFFF_FFFF_FFFF_FFFF)]
    assert said(Type.TERMINAL) == [struct.pack("<HH", 24, 80)]
    flags = StartFlag.MAIN | StartFlag.LOG | StartFlag.STDIN * stdin
    assert sent[-1] == (Type.START, struct.pack("<I", flags))


def test_bytes_that_are_no_text_come_through() -> None:
    raw = b"\xff\xfe"
    process = Process(args=("x", raw.decode("utf-8", "surrogateescape")))
    assert (Type.ARG, raw) in cut(process_frames(process, StartFlag(0)))


BIG = protocol.FRAME_MAX


@pytest.mark.parametrize(
    ("process", "message"),
    [
        (Process(args=()), "failed to start a process: no command given"),
        (Process(args=("",)), "failed to start a process: no command given"),
        (Process(args=("x", "a\0b")), "failed to send argument to the guest: .* NUL byte"),
        (Process(args=("x",), env={"A": "\0"}), "environment variable A .* NUL byte"),
        (Process(args=("x",), cwd="/\0"), "failed to send directory .* NUL byte"),
        (Process(args=("x",), user="\0"), "failed to send user .* NUL byte"),
        (Process(args=("x",), groups=("\0",)), "failed to send group .* NUL byte"),
        (Process(args=("x",), cwd="here"), "failed to use directory 'here': not an absolute path"),
        (Process(args=("x",), cwd=""), "failed to use directory '': not an absolute path"),
        (Process(args=("x", "a" * BIG)), f"an argument or variable of {BIG} bytes"),
        (Process(args=("x",), env={"A": "a" * BIG}), f"an argument or variable of {BIG + 2} bytes"),
        (Process(args=("x",) * 65_537), "arguments and environment"),
        (Process(args=("x",), env={str(i): "" for i in range(65_537)}), "arguments and environ"),
        (Process(args=("x", *("a" * (BIG - 1),) * 17)), "at most 2097152 fit"),
        (Process(args=("x",), groups=("1",) * 1025), "failed to set groups: 1025, at most 1024"),
    ],
    ids=range(15),
)
def test_a_wrong_process_is_refused(process: Process, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        process_frames(process, StartFlag.MAIN)
