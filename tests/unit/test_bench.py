"""The benchmarks' own logic: answers parsed, figures summed up and judged, rounds over sides."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench import micro, shell
from bench.apps import parse_redis, parse_wrk
from bench.compare import Comparison, Figure, Rounds, WrongError, choose, relations
from bench.conversation import BrokenError, Conversation
from bench.footprint import Footprint, footprint, parse_pss, with_descendants
from bench.goals import NANOSECONDS, RATE, Goal, ahead, show, spread
from bench.material import steps
from bench.sides import NATIVE, PINNED, RIVAL, Side
from drupe.platform.registry import NAMES

PLATFORM = NAMES[0]

# Answers


def test_a_figure_is_parsed() -> None:
    assert micro.parse_figure("stat 12.500 1000", "stat") == (12.5, 1000)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "not a figure: ''"),
        ("stat 1.0", "not a figure"),
        ("stat fast 3", "not a figure"),
        ("open 1.0 3", "not an answer to 'stat'"),
        ("stat 1.0 0", "not an answer to 'stat'"),
        ("stat -1.0 3", "not an answer to 'stat'"),
        ("! stat open: No such file or directory", "open: No such file or directory"),
    ],
)
def test_what_is_no_figure_is_refused(line: str, message: str) -> None:
    with pytest.raises(WrongError, match=message):
        micro.parse_figure(line, "stat")


def test_the_names_of_figures_are_parsed() -> None:
    assert micro.parse_names("figures stat read") == ["stat", "read"]
    for line in ("", "figures", "stat read"):
        with pytest.raises(WrongError, match="not a list of figures"):
            micro.parse_names(line)


REDIS = """OK
"test","rps","avg_latency_ms"
"SET","1234.50","0.1"
length 64
# Commandstats
cmdstat_set:calls=160,usec=300,usec_per_call=1.9,rejected_calls=0,failed_calls=0
"""


def test_what_redis_says_is_parsed() -> None:
    assert parse_redis(REDIS, "set", 160) == 1234.5


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "no figure"),
        (REDIS.replace("1234.50", "0.00"), "no figure"),
        (REDIS.replace("calls=160", "calls=159"), "did not do 160 times set"),
        (REDIS.replace("failed_calls=0", "failed_calls=1"), "did not do"),
        (REDIS.replace("length 64", "length 3"), "does not hold 64 bytes"),
    ],
)
def test_a_wrong_answer_of_redis_is_none(output: str, message: str) -> None:
    with pytest.raises(WrongError, match=message):
        parse_redis(output, "set", 160)


WRK = "  100 requests in 1.00s, 1MB read\nRequests/sec:    100.25\nTransfer/sec:      1.00MB\n"


def test_what_wrk_says_is_parsed() -> None:
    assert parse_wrk(WRK) == 100.25
    for bad in ("Non-2xx or 3xx responses: 4\n", "Socket errors: connect 0, read 1\n"):
        with pytest.raises(WrongError, match="not served"):
            parse_wrk(bad + WRK)
    with pytest.raises(WrongError, match="no figure"):
        parse_wrk("unable to connect\n")


def test_the_compiled_functions_keep_32_bits() -> None:
    value = 1
    for step in steps():
        value = step.apply(value)
        assert 0 <= value < 1 << 32


# Goals


def test_costs_have_an_upper_bound_and_throughputs_a_lower_one() -> None:
    assert Goal(0.4).met(0.4, NANOSECONDS)
    assert not Goal(0.4).met(0.41, NANOSECONDS)
    assert Goal(0.75).met(0.75, RATE)
    assert not Goal(0.75).met(0.7, RATE)
    assert Goal(0.75, pinned_only=True).text(RATE) == ">= 0.75 pinned"


def test_ahead_is_above_one() -> None:
    assert ahead(10, 20, NANOSECONDS) == 2
    assert ahead(10, 20, RATE) == 0.5


def test_spread() -> None:
    assert spread([5.0]) == 0
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(1 / 3)
    assert spread([0.0, 0.0]) == 0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.234, NANOSECONDS, "1.23 ns"),
        (999.0, NANOSECONDS, "999 ns"),
        (12_340.0, NANOSECONDS, "12.3 us"),
        (2.5e9, NANOSECONDS, "2.50 s"),
        (0.5, RATE, "0.50 /s"),
        (123_456.0, RATE, "123 k/s"),
    ],
)
def test_figures_are_shown_with_three_digits(value: float, unit: str, text: str) -> None:
    assert show(value, unit) == text


def side(name: str, base: str = NATIVE, script: str = "") -> Side:
    return Side(name, base, lambda _: ["sh", "-c", script])


SIDES = [
    side(NATIVE),
    side(NATIVE + PINNED, NATIVE + PINNED),
    side(RIVAL),
    side(PLATFORM),
    side(PLATFORM + PINNED, NATIVE + PINNED),
]


def test_relations_are_to_the_side_with_as_many_processors() -> None:
    medians = {NATIVE: 10, NATIVE + PINNED: 20, RIVAL: 60, PLATFORM: 30, PLATFORM + PINNED: 15}
    result = Comparison({"pipe": {name: [float(value)] * 3 for name, value in medians.items()}})
    figure = Figure("pipe", goal=Goal(1.0, pinned_only=True))
    assert relations(figure, SIDES, result) == {
        RIVAL: {"ratio": 6},
        PLATFORM: {"ratio": 3, RIVAL: 2},
        PLATFORM + PINNED: {"ratio": 0.75, "met": True, RIVAL: 4},
    }


def test_what_was_not_measured_is_in_no_relation() -> None:
    result = Comparison({"pipe": {PLATFORM: [1.0], RIVAL: [1.0]}})
    assert relations(Figure("pipe", goal=Goal(1.0)), SIDES, result) == {}


def test_names_are_chosen_by_parts_of_them() -> None:
    parser = argparse.ArgumentParser()
    names = ["fork-wait", "fork-exec-wait", "thread"]
    assert choose(parser, "figures", names, []) == names
    assert choose(parser, "figures", names, ["exec", "thread"]) == names[1:]
    with pytest.raises(SystemExit):
        choose(parser, "figures", names, ["fork", "pipe"])


# Rounds

ECHO = 'echo ready; while read -r word; do echo "$word"; done'


def ready(conversation: Conversation) -> None:
    assert conversation.line() == "ready"


def measure(conversation: Conversation, part: str) -> Mapping[str, float]:
    conversation.say(f"{part}\n")
    answer = conversation.line()
    if answer != part:
        raise WrongError(answer)
    return {part: 1.0}


def test_rounds_keep_the_first_apart() -> None:
    rounds = Rounds([side("a", script=ECHO), side("b", script=ECHO)], measure, ready)
    result = rounds.run(["one", "two"], 3, 60)
    assert result.failures == []
    assert result.warm_up == {name: {"a": [1.0], "b": [1.0]} for name in ("one", "two")}
    assert result.samples == {name: {"a": [1.0] * 3, "b": [1.0] * 3} for name in ("one", "two")}
    assert len(result.loads) == 4


def test_rounds_end_with_the_time_but_there_is_one() -> None:
    result = Rounds([side("a", script=ECHO)], measure, ready).run(["one"], 3, 0)
    assert result.samples == {"one": {"a": [1.0]}}


def test_a_failure_is_told_once_and_keeps_nobody_else() -> None:
    wrong = ECHO.replace('echo "$word"', "echo ${word#o}")
    rounds = Rounds([side("a", script=ECHO), side("b", script=wrong)], measure, ready)
    result = rounds.run(["one", "two"], 2, 60)
    assert result.failures == ["b: one: ne"]
    assert result.samples == {"one": {"a": [1.0] * 2}, "two": {"a": [1.0] * 2, "b": [1.0] * 2}}


def test_a_side_that_breaks_is_started_again() -> None:
    script = ECHO.replace("do ", "do [ $word != one ] || exit 3; ")
    result = Rounds([side("a", script=script)], measure, ready).run(["one", "two"], 2, 60)
    assert result.failures == ["a: one: it has ended"]
    assert result.samples == {"two": {"a": [1.0] * 2}}


def test_a_side_that_does_not_start_is_named() -> None:
    result = Rounds([side("a", script="echo no >&2; exit 1")], measure, ready).run(["one"], 1, 60)
    assert result.failures == ["a: failed to start: it has ended; no"]


# Conversations


def test_no_answer_breaks_a_conversation() -> None:
    conversation = Conversation("a", ["cat"], timeout_s=0.1)
    try:
        with pytest.raises(BrokenError, match="no answer in 0 s"):
            conversation.line()
    finally:
        conversation.close()


def test_scripts_are_run_to_their_first_failure() -> None:
    conversation = Conversation("a", shell.ARGS)
    try:
        shell.wait_for(conversation)
        seconds, output = shell.run(conversation, "echo one\nread -r line || echo two >&2")
        assert output == "one\ntwo"
        assert seconds > 0
        with pytest.raises(WrongError, match=r"status 3: one$"):
            shell.run(conversation, "echo one\n(exit 3)\necho two")
        assert shell.run(conversation, "echo three")[1] == "three"
    finally:
        conversation.close()


def runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"  # ended, for whoever inherits it to notice


def test_programs_left_behind_end_with_the_conversation() -> None:
    conversation = Conversation("a", ["sh", "-c", "sleep 1000 & echo $!; read -r line"])
    pid = int(conversation.line())
    assert runs(pid)
    conversation.close()
    limit = time.monotonic() + 10
    while runs(pid) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not runs(pid)


# Memory

SMAPS = """\
10000000-10001000 r--p 00000000 fe:00 123                        /kernels/linux
Size:                  4 kB
Pss:                   2 kB
Pss_Dirty:             0 kB
60000000-70000000 rw-s 00000000 00:4a 8                          /#8 (deleted)
Pss:                4000 kB
7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0                  [stack]
Pss:                   8 kB
"""


def test_shares_are_summed_up_without_some_files() -> None:
    assert parse_pss(SMAPS, []) == 4010 * 1024
    assert parse_pss(SMAPS, [(0, 0x4A, 8)]) == 10 * 1024


def test_a_process_and_its_file_in_memory_are_measured() -> None:
    size = 8 << 20
    program = (
        "import mmap, os, sys\n"
        f"fd = os.memfd_create('x'); os.truncate(fd, {size})\n"
        f"m = mmap.mmap(fd, {size}); m[:{size}] = b'x' * {size}\n"
        "print('up', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-ISc", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        found = footprint([process.pid])
        assert process.pid in with_descendants([os.getpid()])
        assert found.processes == 1
        assert found.files_bytes == size
        assert 0 < found.pss_bytes < size * 4
        assert found.memory_bytes > size
        process.communicate()
    assert footprint([process.pid]) == Footprint()
