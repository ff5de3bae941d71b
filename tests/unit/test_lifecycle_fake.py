"""The life of a container from the first to the last step, on the fake platform."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from drupe.container import lifecycle
from drupe.container.lifecycle import executed, launched
from drupe.container.log import read_log
from drupe.container.record import Record, State
from drupe.container.spec import ContainerSpec
from drupe.container.store import Store
from drupe.errors import BootError, GuestError, HostError, SpecError, StateError, TimedOutError
from drupe.guest.protocol import Type
from drupe.guest.pump import Streams, pump
from drupe.guest.session import Session, connect
from drupe.guest.spec import Process
from drupe.platform.base import MachineFiles, MachineSpec
from tests.conftest import Home
from tests.fakes.platform import FakePlatform
from tests.fakes.specs import make_spec

PATH = {"PATH": "/usr/bin:/bin"}
WAITS = ("sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done")

pytestmark = pytest.mark.usefixtures("no_leaks")

Launch = Callable[..., AbstractContextManager[tuple[Record, Session]]]


@pytest.fixture
def store(private_home: Home) -> Store:
    return Store()


@pytest.fixture
def launch(store: Store, fake_guest: Path) -> Launch:
    def start(
        *args: str,
        name: str | None = None,
        detached: bool = False,
        platform: FakePlatform | None = None,
        on_step: Callable[[str], None] = lambda _: None,
        **changes: Any,
    ) -> AbstractContextManager[tuple[Record, Session]]:
        def make(container_id: str, taken: str) -> ContainerSpec:
            values = {"kernel": str(fake_guest), "args": args, "env": PATH, **changes}
            return make_spec(container_id, taken, **values)

        chosen = platform or FakePlatform()
        return launched(store, name, make, detached=detached, platform=chosen, on_step=on_step)

    return start


def finish(session: Session, stdin: int | None = None) -> tuple[int | None, bytes, bytes]:
    out, err = bytearray(), bytearray()
    status = pump(session, Streams(stdin, out.extend, err.extend))
    return status, bytes(out), bytes(err)


def test_a_program_runs_to_its_end(launch: Launch, store: Store) -> None:
    steps: list[str] = []
    script = "echo out; echo err >&2; exit 5"
    with launch("sh", "-c", script, on_step=steps.append) as (record, session):
        assert finish(session) == (5, b"out\n", b"err\n")
    assert steps == ["machine", "kernel", "mounts", "main"]
    assert lifecycle.wait(record, 10) == 5
    condition = record.condition()
    assert (condition.state, condition.status, condition.pid) == (State.EXITED, 5, None)
    assert condition.ended_ns is not None
    assert {(e.stream, e.text) for e in read_log(record)} == {
        ("stdout", b"out\n"),
        ("stderr", b"err\n"),
    }
    store.remove(record)


def test_a_detached_one_outlives_its_session(launch: Launch, store: Store) -> None:
    with launch(*WAITS, detached=True, name="it") as (record, _):
        pass
    assert record.condition().state is State.RUNNING
    assert store.sweep() == []
    with executed(store.find("it"), Process(("echo", "hello"), PATH)) as session:
        assert finish(session) == (0, b"hello\n", b"")
    condition = lifecycle.stop(record, signal=signal.SIGTERM)
    assert (condition.state, condition.status) == (State.EXITED, 7)
    assert lifecycle.stop(record, signal=signal.SIGTERM) == condition
    store.remove(record)


def test_one_that_goes_at_its_end_is_swept(launch: Launch, store: Store) -> None:
    with launch("true", remove=True) as (record, session):
        assert finish(session)[0] == 0
    lifecycle.wait(record, 10)
    assert store.sweep() == []
    assert not record.directory.exists()


def test_leaving_the_session_ends_what_is_not_detached(launch: Launch, store: Store) -> None:
    with launch(*WAITS) as (record, session):
        assert session.expect(Type.STDOUT, timeout_s=10) == b"ready\n"
    assert lifecycle.wait(record, 15) >= 128
    store.remove(record)


def test_a_signal_reaches_the_main_process(launch: Launch, store: Store) -> None:
    with launch(*WAITS) as (record, session):
        assert session.expect(Type.STDOUT, timeout_s=10) == b"ready\n"
        lifecycle.kill(record, signal.SIGTERM)
        assert finish(session)[0] == 7
    lifecycle.wait(record, 10)
    store.remove(record)


def test_a_stop_that_is_not_heeded_kills(launch: Launch, store: Store) -> None:
    with launch("sleep", "1000", detached=True) as (record, _):
        pass
    condition = lifecycle.stop(record, signal=signal.SIGCONT, grace_s=0.1)
    assert condition.status == 137
    store.remove(record)


def test_a_machine_that_hangs_is_ended_from_outside(
    launch: Launch, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "_POWER_OFF_TIMEOUT_S", 0.3)
    with launch("sleep", "1000", detached=True) as (record, _):
        pass
    process = record.process()
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    condition = lifecycle.stop(record, signal=signal.SIGTERM, grace_s=0.1)
    assert (condition.state, condition.status) == (State.DEAD, 137)
    store.remove(record)


def test_a_killed_machine_is_dead(launch: Launch, store: Store) -> None:
    with launch(*WAITS) as (record, session):
        process = record.process()
        assert process is not None
        process.kill()
        with pytest.raises(GuestError, match="the guest has gone"):
            finish(session)
    assert record.condition().state is State.DEAD
    assert lifecycle.wait(record) == 137
    store.remove(record)


# What is refused


def test_a_program_that_is_not_there_leaves_nothing(launch: Launch, store: Store) -> None:
    with (
        pytest.raises(GuestError, match=r"no-such-program.*: No such file or directory"),
        launch("no-such-program", name="it"),
    ):
        pass
    assert store.list() == []


def test_what_cannot_be_said_leaves_nothing(launch: Launch, store: Store) -> None:
    with pytest.raises(SpecError, match="holds a NUL byte"), launch("a", "b\0c"):
        pass
    assert store.list() == []


def test_a_kernel_that_cannot_be_run_leaves_nothing(launch: Launch, store: Store) -> None:
    with pytest.raises(HostError, match="No such file or directory"), launch("true", kernel="/no"):
        pass
    assert store.list() == []


def test_a_kernel_that_ends_at_once_is_told(launch: Launch, store: Store) -> None:
    with (
        pytest.raises((BootError, GuestError), match=r"failed to .*: "),
        launch("true", kernel="/bin/true"),
    ):
        pass
    assert store.list() == []


def test_a_taken_name_starts_nothing(launch: Launch, store: Store) -> None:
    with launch("true", name="it") as (record, session):
        finish(session)
    lifecycle.wait(record, 10)
    with pytest.raises(SpecError, match="failed to use name 'it'"), launch("true", name="it"):
        pass
    store.remove(record)


def test_nothing_runs_that_is_not_recorded(
    launch: Launch, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(record: Record, pid: int) -> None:
        raise HostError("failed to write 'process.json': No space left on device")

    monkeypatch.setattr(Record, "write_process", refuse)
    with pytest.raises(HostError, match="No space left on device"), launch("true"):
        pass
    assert store.list() == []


def test_whoever_connects_early_does_not_take_the_boot_away(launch: Launch, store: Store) -> None:
    early: list[Session] = []

    class Watched(FakePlatform):
        def start(
            self, spec: MachineSpec, files: MachineFiles, on_pid: Callable[[int], None]
        ) -> int:
            def told(pid: int) -> None:
                on_pid(pid)
                early.append(Session(connect(store._containers / spec.name / "control")))

            return super().start(spec, files, told)

    with launch("true", platform=Watched(), name="it") as (_, session):
        assert finish(session)[0] == 0
    early[0].close()
    store.remove(store.find("it"), force=True)


def test_a_platform_that_refuses_leaves_nothing(launch: Launch, store: Store) -> None:
    class Refusing(FakePlatform):
        def start(
            self, spec: MachineSpec, files: MachineFiles, on_pid: Callable[[int], None]
        ) -> int:
            raise HostError("failed to make a jail: new namespaces")

    with (
        pytest.raises(HostError, match="failed to make a jail"),
        launch("true", platform=Refusing()),
    ):
        pass
    assert store.list() == []


def test_an_ended_container_takes_no_requests(launch: Launch, store: Store) -> None:
    with launch("true", name="it") as (record, session):
        finish(session)
    lifecycle.wait(record, 10)
    message = "failed to reach container 'it': it is exited, not running"
    with pytest.raises(StateError, match=message):
        lifecycle.kill(record, signal.SIGTERM)
    with pytest.raises(StateError, match=message), executed(record, Process(("true",), PATH)):
        pass
    store.remove(record)


def test_waiting_has_its_time(launch: Launch, store: Store) -> None:
    with launch(*WAITS, detached=True, name="it") as (record, _):
        pass
    with pytest.raises(TimedOutError, match="failed to wait for container 'it': not ended"):
        lifecycle.wait(record, 0.05)
    lifecycle.stop(record, signal=signal.SIGKILL)
    store.remove(record)
