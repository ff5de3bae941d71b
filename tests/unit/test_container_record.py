"""The state of a container as its files and its process tell it; its log."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drupe.container.log import Entry, Part, parse_line, read_log, read_logs, stamp
from drupe.container.record import KILLED_STATUS, Condition, Record, Run, State
from drupe.errors import NotFoundError, StateError
from drupe.store.liveness import ProcessId
from drupe.store.schema import encode
from tests.fakes.specs import make_spec

SHARED_DIRECTORY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
ENDED = "running\nexited 3 0 12.000000034\n"


@pytest.fixture
def record(tmp_path: Path) -> Record:
    directory = tmp_path / ("0" * 64)
    directory.mkdir()
    return Record(directory)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


def status(record: Record, text: str) -> None:
    (record.directory / "status").write_text(text)


def write_process(record: Record, process: ProcessId) -> None:
    run = Run(process, started_ns=0, status_offset=0, console_offset=0)
    (record.directory / "process.json").write_text(json.dumps(encode(run)))


def now(record: Record) -> Condition:
    """The condition, whenever it began."""
    return record.condition()._replace(started_ns=None)


# The state


def test_created_before_there_is_a_machine(record: Record) -> None:
    assert record.condition() == Condition(State.CREATED)


def test_created_while_it_boots(record: Record, sleeper: subprocess.Popen[bytes]) -> None:
    record.begin_run(sleeper.pid)
    assert now(record) == Condition(State.CREATED, pid=sleeper.pid)
    status(record, "")
    assert now(record) == Condition(State.CREATED, pid=sleeper.pid)


@pytest.mark.parametrize("text", ["running\n", ENDED])
def test_running_until_the_machine_ends(
    record: Record, sleeper: subprocess.Popen[bytes], text: str
) -> None:
    record.begin_run(sleeper.pid)
    status(record, text)
    assert now(record) == Condition(State.RUNNING, pid=sleeper.pid)


@pytest.mark.parametrize("reaped", [False, True])
def test_exited(record: Record, sleeper: subprocess.Popen[bytes], reaped: bool) -> None:
    record.begin_run(sleeper.pid)
    status(record, ENDED)
    sleeper.kill()
    if reaped:
        sleeper.wait()
    else:
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert now(record) == Condition(State.EXITED, status=3, ended_ns=12_000_000_034)


@pytest.mark.parametrize(
    "text",
    [
        "", "running\n", "running\nexit", "exited 3 0 12.0\n", "exited 3 0\n", "exited -1 0 1.0\n",
        "exited 3 0 12.000000034\nmore\n", "exited 1000 0 12.000000034\n", "\xff\xfe",
    ],
)  # fmt: skip
def test_dead_without_a_last_word(
    record: Record, sleeper: subprocess.Popen[bytes], text: str
) -> None:
    record.begin_run(sleeper.pid)
    status(record, text)
    sleeper.kill()
    sleeper.wait()
    assert now(record) == Condition(State.DEAD, status=KILLED_STATUS)


def gone() -> ProcessId:
    """A process that runs, under an identity that it does not have."""
    return ProcessId.of(os.getpid())._replace(start_time=1)


@given(st.integers(0, 255), st.integers(0, 64), st.integers(0, 10**11), st.integers(0, 999_999_999))
@SHARED_DIRECTORY
def test_the_last_word_is_read(record: Record, code: int, number: int, s: int, ns: int) -> None:
    write_process(record, gone())
    status(record, f"running\nexited {code} {number} {s}.{ns:09}\n")
    wanted = 128 + number if number else code
    assert now(record) == Condition(State.EXITED, status=wanted, ended_ns=s * 10**9 + ns)


@given(st.binary(max_size=200) | st.text("exited 0123456789.\n", max_size=60).map(str.encode))
@SHARED_DIRECTORY
def test_whatever_the_guest_writes_the_state_is_one(record: Record, data: bytes) -> None:
    write_process(record, gone())
    (record.directory / "status").write_bytes(data)
    condition = record.condition()
    assert condition.state in {State.EXITED, State.DEAD}
    assert condition.status is not None
    assert 0 <= condition.status <= 255


@pytest.mark.parametrize(
    "line", ["exited 256 0 1.000000000", "exited 999 0 1.000000000", "exited 0 65 1.000000000"]
)
def test_a_status_that_cannot_be_is_no_last_word(record: Record, line: str) -> None:
    write_process(record, gone())
    status(record, line + "\n")
    assert record.condition().state is State.DEAD


def test_a_reused_process_id_is_not_the_machine(
    record: Record, sleeper: subprocess.Popen[bytes]
) -> None:
    process = ProcessId.of(sleeper.pid)
    for wrong in (
        process._replace(start_time=process.start_time + 1),
        process._replace(start_time=process.start_time - 1),
        process._replace(boot_id="another"),
    ):
        write_process(record, wrong)
        status(record, ENDED)
        assert record.condition().state is State.EXITED
        assert not wrong.alive()
        assert wrong.wait(0)
        wrong.kill()
    assert sleeper.poll() is None


def test_only_the_end_of_a_long_status_is_read(record: Record) -> None:
    write_process(record, gone())
    status(record, "running\n" * 100_000 + "exited 1 0 5.000000000\n")
    assert record.condition().status == 1


def test_a_link_is_not_followed(record: Record, tmp_path: Path) -> None:
    write_process(record, gone())
    (tmp_path / "secret").write_text(ENDED)
    (record.directory / "console").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        record.console_tail()


def test_a_console_is_made_printable(record: Record) -> None:
    assert record.console_tail() == ""
    (record.directory / "console").write_bytes(b"x" * 20_000 + b"\nKernel\x1b[1m panic\r\n\xff\n\n")
    assert record.console_tail().endswith("x\nKernel[1m panic\n\N{REPLACEMENT CHARACTER}")
    assert len(record.console_tail()) <= 16_384


# Processes


def test_waiting_sees_the_end(sleeper: subprocess.Popen[bytes]) -> None:
    process = ProcessId.of(sleeper.pid)
    assert process.alive()
    began = time.monotonic()
    assert not process.wait(0.05)
    assert time.monotonic() - began >= 0.05
    threading.Timer(0.05, sleeper.kill).start()
    assert process.wait(10)
    assert not process.alive()


def test_killing_waits_for_the_end(sleeper: subprocess.Popen[bytes]) -> None:
    process = ProcessId.of(sleeper.pid)
    process.kill()
    assert not process.alive()
    process.kill()
    assert sleeper.wait(0) == -9


def test_a_process_that_is_not_there_has_no_identity(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(ProcessLookupError):
        ProcessId.of(sleeper.pid)


def test_a_name_full_of_brackets_does_not_confuse(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([program, "1000"])
    try:
        identity = ProcessId.of(process.pid)
        assert identity.start_time > ProcessId.of(1).start_time
        assert identity.alive()
    finally:
        process.kill()
        process.wait()


# What is spoilt


def test_a_container_that_is_gone_is_told(record: Record) -> None:
    with pytest.raises(NotFoundError, match="failed to find container '000000000000': gone"):
        assert record.spec


@pytest.mark.parametrize("key", ["pid", "start_time", "boot_id"])
def test_a_process_without_its_parts_is_told(record: Record, key: str) -> None:
    write_process(record, gone())
    value = json.loads((record.directory / "process.json").read_text())
    del value["process"][key]
    (record.directory / "process.json").write_text(json.dumps(value))
    message = (
        rf"failed to read the newest run of container '000000000000': missing keys \['{key}'\]"
    )
    with pytest.raises(StateError, match=message):
        record.condition()


def test_what_an_earlier_run_said_does_not_count(
    record: Record, sleeper: subprocess.Popen[bytes]
) -> None:
    write_process(record, gone())
    status(record, ENDED)
    (record.directory / "console").write_text("of the first")
    first = record.run()
    before = record.condition()
    record.begin_run(sleeper.pid)
    assert now(record) == Condition(State.CREATED, pid=sleeper.pid)
    assert record.console_tail() == ""
    with (record.directory / "console").open("a") as console:
        console.write("of the second")
    assert record.console_tail() == "of the second"
    with (record.directory / "status").open("a") as file:
        file.write("running\n")
    assert record.condition().state is State.RUNNING
    assert first is not None
    assert record.condition_of(first, end=len(ENDED)) == before
    sleeper.kill()
    sleeper.wait()
    assert record.condition().state is State.DEAD
    record.undo_run(first)
    assert record.condition() == before
    record.undo_run(None)
    assert record.condition() == Condition(State.CREATED)


def test_a_specification_is_kept(record: Record) -> None:
    spec = make_spec(record.id, "it")
    record.write_spec(spec)
    assert Record(record.directory).spec == spec


# The log

TIME = "2016-10-06T00:17:09.669794202Z"
entries = st.lists(
    st.builds(
        Entry,
        st.just(TIME),
        st.sampled_from(["stdout", "stderr"]),
        st.binary(max_size=30).map(lambda text: text.replace(b"\n", b"")),
        st.booleans(),
    ).map(lambda entry: entry if entry.partial else entry._replace(text=entry.text + b"\n")),
    max_size=10,
)


def line_of(entry: Entry) -> bytes:
    tag = "P" if entry.partial else "F"
    return f"{entry.time} {entry.stream} {tag} ".encode() + entry.text.rstrip(b"\n") + b"\n"


@given(entries, st.none() | st.integers(0, 12), st.binary(max_size=20))
@SHARED_DIRECTORY
def test_a_log_is_read(
    record: Record, wanted: list[Entry], tail: int | None, unfinished: bytes
) -> None:
    text = b"".join(map(line_of, wanted)) + unfinished.replace(b"\n", b"")
    (record.directory / "log").write_bytes(text)
    kept = wanted if tail is None else wanted[max(0, len(wanted) - tail) :]
    assert list(read_log(record, Part(tail))) == kept


@given(st.binary(max_size=80).filter(lambda line: b"\n" not in line))
def test_a_line_is_in_the_format_or_none(line: bytes) -> None:
    entry = parse_line(line)
    if entry is not None:
        assert line_of(entry) == line + b"\n"
        assert entry.time == "" or entry.time.isprintable()


@pytest.mark.parametrize(
    "line",
    [b"", b"a b c", b"t stdin F x", b"t stdout X x", b"\x1b[2J stdout F x", b"\xff stdout F x"],
)
def test_another_line_is_passed_over(line: bytes) -> None:
    assert parse_line(line) is None


def test_a_container_without_a_log_has_no_entries(record: Record) -> None:
    assert list(read_log(record)) == []
    assert list(read_log(record, Part(3), follow=True)) == []


def test_a_part_of_a_log(record: Record) -> None:
    times = [stamp(ns) for ns in (1, 1_000_000_000, 1_500_000_000, 60_000_000_000)]
    assert times == sorted(times)
    text = "".join(f"{time} stdout F {index}\n" for index, time in enumerate(times))
    (record.directory / "log").write_text(text)

    def numbers(part: Part) -> str:
        return b"".join(entry.text for entry in read_log(record, part)).decode().replace("\n", "")

    assert numbers(Part.of(since_ns=1_000_000_000)) == "123"
    assert numbers(Part.of(until_ns=1_500_000_000)) == "01"
    assert numbers(Part.of(1, 1_000_000_000, 60_000_000_000)) == "2"
    # What it may yet write is not of that part.
    assert list(read_log(record, Part.of(until_ns=1), follow=True)) == []


def test_several_logs_come_by_time(record: Record, tmp_path: Path) -> None:
    other = Record(tmp_path / "other")
    other.directory.mkdir()
    for one, seconds in ((record, (1, 4)), (other, (2, 3))):
        lines = (f"{stamp(s * 1_000_000_000)} stdout F {s}\n" for s in seconds)
        (one.directory / "log").write_text("".join(lines))
    found = [(one, entry.text) for one, entry in read_logs([record, other])]
    assert found == [(record, b"1\n"), (other, b"2\n"), (other, b"3\n"), (record, b"4\n")]


def test_a_line_without_an_end_takes_no_memory(record: Record) -> None:
    good = f"{TIME} stdout F good\n".encode()
    (record.directory / "log").write_bytes(good + b"x" * 5_000_000 + b"\n" + good)
    assert [entry.text for entry in read_log(record)] == [b"good\n", b"good\n"]


def test_following_ends_with_the_container(
    record: Record, sleeper: subprocess.Popen[bytes]
) -> None:
    record.begin_run(sleeper.pid)
    log = record.directory / "log"
    log.write_text(f"{TIME} stdout F one\n")

    def go_on() -> None:
        with log.open("a") as file:
            file.write(f"{TIME} stderr F two\n")
        sleeper.kill()

    found = []
    for entry in read_log(record, follow=True):
        found.append(entry.text)
        if entry.text == b"one\n":
            threading.Timer(0.05, go_on).start()
    assert found == [b"one\n", b"two\n"]


def test_a_machine_whose_main_process_has_ended_is_waited_for(
    record: Record, sleeper: subprocess.Popen[bytes]
) -> None:
    record.begin_run(sleeper.pid)
    status(record, "running\n")
    assert record.settled_condition().state is State.RUNNING
    status(record, ENDED)
    threading.Timer(0.1, sleeper.kill).start()
    assert record.settled_condition().state is State.EXITED
