"""Pausing, figures, updates and events of containers, on the fake platform."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.container import lifecycle
from drupe.container.events import Event, Watcher, events, parse_time
from drupe.container.figures import figures, tasks
from drupe.container.pausing import pause, unpause
from drupe.container.processes import machine_processes
from drupe.container.record import Record, State
from drupe.container.spec import ContainerSpec
from drupe.container.start import launched
from drupe.container.store import Store
from drupe.container.update import Changes, update
from drupe.errors import GuestError, HostError, SpecError, StateError, TimedOutError
from drupe.guest.figures import Task, parse_task
from drupe.limits import group
from tests.conftest import Home
from tests.fakes.platform import FakePlatform
from tests.fakes.specs import make_spec

pytestmark = pytest.mark.usefixtures("no_leaks")

COUNTS = ("sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done")


@pytest.fixture
def store(private_home: Home, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(group, "find_parents", dict)  # no control group for fakes
    return Store()


@pytest.fixture
def fake(store: Store, fake_guest: Path) -> Iterator[Any]:
    """Starts containers of fake guests, and removes what is left of them."""

    def start(*args: str, name: str = "it", **changes: Any) -> Record:
        def make(container_id: str, taken: str) -> ContainerSpec:
            values = {"kernel": str(fake_guest), "args": args, **changes}
            return make_spec(container_id, taken, **values)

        with launched(store, name, make, detached=True, platform=FakePlatform()) as (record, _):
            return record

    yield start
    for record in store.list():
        store.remove(record, force=True)


def states(record: Record) -> set[str]:
    """Letters of the states of its processes."""
    text = (Path(f"/proc/{p}/stat") for p in machine_processes(record.condition().pid or 0))
    return {path.read_text().rpartition(") ")[2][0] for path in text}


def test_paused_is_what_its_processes_are(fake: Any) -> None:
    record = fake(*COUNTS)
    pause(record)
    assert record.condition().state is State.PAUSED
    deadline = time.monotonic() + 5
    # What was forked while it was looked for has ended by itself.
    while states(record) - {"Z"} != {"T"}:
        assert time.monotonic() < deadline, states(record)
    size = (record.directory / "log").stat().st_size
    with pytest.raises(StateError, match="failed to pause container 'it': it is paused"):
        pause(record)
    with pytest.raises(StateError, match="it is paused, not running") as caught:
        lifecycle.kill(record, signal.SIGTERM)
    assert caught.value.hint == "'drupe unpause' has it go on"
    time.sleep(0.1)
    assert (record.directory / "log").stat().st_size == size
    unpause(record)
    assert record.condition().state is State.RUNNING
    assert "T" not in states(record)
    with pytest.raises(StateError, match="failed to unpause container 'it': it is running"):
        unpause(record)


def test_a_pause_that_died_halfway_is_finished_or_undone(fake: Any) -> None:
    record = fake(*COUNTS)
    os.kill(record.condition().pid, signal.SIGSTOP)
    while record.condition().state is not State.PAUSED:
        pass
    unpause(record)
    assert "T" not in states(record)
    os.kill(machine_processes(record.condition().pid)[1], signal.SIGSTOP)
    pause(record)
    unpause(record)
    assert "T" not in states(record)


def test_stop_and_remove_end_what_is_paused(fake: Any, store: Store) -> None:
    record = fake("sh", "-c", "trap 'exit 4' TERM; while :; do sleep 0.01; done")
    pause(record)
    assert lifecycle.stop(record, grace_s=10).status == 4
    record = fake(*COUNTS, name="other")
    pause(record)
    store.remove(record, force=True)


def test_figures_and_tasks(fake: Any) -> None:
    own = f"sleep 1000.{os.getpid()}"  # the fake kernel's processes are all of this host
    record = fake("sh", "-c", f"{own}; true")
    now = figures(record)
    assert now.host_processes == 3
    assert now.inside.memory_bytes > now.inside.memory_used_bytes > 0
    assert now.memory_bytes > 0
    found = {task.command: task for task in tasks(record)}
    shell, sleep = found[f"sh -c {own}; true"], found[own]
    assert (sleep.parent, sleep.uid, sleep.state) == (shell.pid, os.getuid(), "S")
    lifecycle.stop(record, grace_s=0)
    for ask in (figures, tasks):
        with pytest.raises(StateError, match="it is exited, not running"):
            ask(record)


@given(st.text(max_size=60) | st.from_regex(r"(\d{1,22} ){3}[A-Z] (\d{1,22} ){3}.*"))
def test_any_line_is_a_task_or_breaks_the_protocol(line: str) -> None:
    with contextlib.suppress(GuestError):
        assert parse_task(line).command.isprintable()


def test_a_line_of_a_task() -> None:
    assert parse_task("7 1 1000 S 250 9 3 sleep 5") == Task(7, 1, 1000, "S", 2.5, 12288, "sleep 5")
    with pytest.raises(GuestError, match="broke the protocol: a process told as '7 1'"):
        parse_task("7 1")


def test_an_update_is_kept_and_told(fake: Any, store: Store) -> None:
    record = fake("sh", "-c", "trap 'exit 1' TERM; while :; do sleep 0.01; done")
    update(store, record, Changes(pids_limit=9, restart="always"))
    spec = Record(record.directory).spec
    assert (spec.limits.pids, str(spec.restart)) == (9, "always")
    lifecycle.kill(record, signal.SIGTERM)
    deadline = time.monotonic() + 5
    while not record.condition().restarts:
        assert time.monotonic() < deadline
    update(store, record, Changes(restart="no"))
    with pytest.raises(SpecError, match="failed to use cpus 'x'"):
        update(store, record, Changes(cpus="x"))
    with pytest.raises(HostError, match=r"failed to use --cpus 0\.5: no control group"):
        update(store, record, Changes(cpus="0.5"))
    assert Record(record.directory).spec.limits.cpus == 0


def test_waiting_for_conditions(fake: Any) -> None:
    record = fake("sleep", "1000")
    lifecycle.await_condition(record, "running", 5)
    with pytest.raises(SpecError, match="no condition 'happy'"):
        lifecycle.await_condition(record, "happy")
    with pytest.raises(StateError, match="it has no health checks"):
        lifecycle.await_condition(record, "healthy")
    pause(record)
    with pytest.raises(TimedOutError, match=r"not running in 0\.1 s"):
        lifecycle.await_condition(record, "running", 0.1)
    lifecycle.stop(record, grace_s=0)
    with pytest.raises(StateError, match="failed to wait for container 'it': it is exited"):
        lifecycle.await_condition(record, "running")


def actions(found: list[Event]) -> list[tuple[str, dict[str, str]]]:
    return [(event.action, dict(event.details)) for event in found]


def test_what_happens_is_seen(fake: Any, store: Store) -> None:
    watcher = Watcher(store)
    assert watcher.history() == watcher.poll() == []
    record = fake("sleep", "1000", labels={"a": "b"}, image_name="image")
    first, second = watcher.poll()
    assert (first.action, first.time_ns) == ("create", record.spec.created_ns)
    assert (second.action, second.time_ns) == ("start", record.condition().started_ns)
    assert (second.id, second.name, second.image) == (record.id, "it", "image")
    assert second.labels == {"a": "b"}
    pause(record)
    assert actions(watcher.poll()) == [("pause", {})]
    unpause(record)
    store.rename(record, "that")
    assert actions(watcher.poll()) == [("rename", {"old_name": "it"}), ("unpause", {})]
    lifecycle.stop(record, grace_s=0)
    (end,) = watcher.poll()
    assert (end.action, end.time_ns) == ("die", record.condition().ended_ns)
    assert end.details == {"exit_status": "143"}
    assert [event.action for event in Watcher(store).history()] == ["create", "start", "die"]
    store.remove(Record(record.directory))
    assert actions(watcher.poll()) == [("destroy", {})]
    assert watcher.poll() == []


def test_events_between_two_times(fake: Any, store: Store) -> None:
    record = fake("true")
    lifecycle.wait(record, 10)
    since = record.condition().started_ns
    assert since is not None
    found = [event.action for event in events(store, since_ns=since, until_ns=time.time_ns())]
    assert found == ["start", "die"]


def test_times_are_told_in_several_ways() -> None:
    moment = int(datetime(2026, 11, 26, 3, tzinfo=UTC).timestamp() * 1e9)
    assert parse_time("2026-11-26T03:00:00Z") == moment
    assert parse_time("2026-11-26T04:00:00+01:00") == moment
    assert parse_time(str(moment // 1_000_000_000)) == moment
    assert abs(parse_time("10m") - (time.time_ns() - 600 * 10**9)) < 10**9
    with pytest.raises(SpecError, match="failed to use time 'noon': not a time"):
        parse_time("noon")
