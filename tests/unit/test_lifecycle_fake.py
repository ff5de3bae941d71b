"""The life of a container from the first to the last step, on the fake platform."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from drupe.container import lifecycle, start
from drupe.container.lifecycle import executed
from drupe.container.log import read_log
from drupe.container.record import Condition, Record, State
from drupe.container.spec import ContainerSpec
from drupe.container.start import create, ensure_started, launched, restart, started
from drupe.container.store import Store
from drupe.errors import (
    BootError,
    GuestError,
    HostError,
    NotFoundError,
    SpecError,
    StateError,
    TimedOutError,
)
from drupe.guest.protocol import Type
from drupe.guest.pump import Streams, pump
from drupe.guest.session import Session, connect
from drupe.guest.spec import Process
from drupe.platform.base import MachineFiles, MachineSpec
from drupe.store.liveness import STOPPED
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
    # One that was stopped stands for one that hangs: nobody is to make it go on.
    monkeypatch.setattr(lifecycle, "ensure_unpaused", lambda _: None)
    with launch("sleep", "1000", detached=True) as (record, _):
        pass
    process = record.process()
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    while process.letter() != STOPPED:
        time.sleep(0.01)
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

    monkeypatch.setattr(Record, "begin_run", refuse)
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


# Made first, started later, started again


@pytest.fixture
def made(store: Store, fake_guest: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Record]:
    """Makes a container that is not started; what it needs of the disk is taken as it is."""
    monkeypatch.setattr(start, "look_up_again", lambda spec: spec)

    def make(*args: str, name: str | None = None, **changes: Any) -> Record:
        values = {"kernel": str(fake_guest), "args": args, "env": PATH, **changes}
        return create(store, name, lambda i, n: make_spec(i, n, **values))

    return make


FAKE = FakePlatform()


def test_a_container_is_made_and_waits(made: Callable[..., Record], store: Store) -> None:
    record = made("true", name="it", remove=True)
    assert record.condition() == Condition(State.CREATED)
    assert store.sweep() == []
    assert store.find("it").condition().state is State.CREATED
    with pytest.raises(StateError, match="failed to wait for container 'it': it never ran"):
        lifecycle.wait(record)
    with pytest.raises(StateError, match="it is created, not running"):
        lifecycle.kill(record, signal.SIGTERM)
    store.remove(record)


def test_each_run_has_its_own_status_and_all_share_the_log(
    made: Callable[..., Record], store: Store, tmp_path: Path
) -> None:
    counter = tmp_path / "counter"
    script = f'n=$(cat {counter} || echo 3); echo "run $n"; echo $((n+1)) >{counter}; exit $n'
    record = made("sh", "-c", script, name="it")
    for status in (3, 4, 5):
        with started(store, record, platform=FAKE) as session:
            assert record.condition().started_ns is not None
            assert finish(session)[0] == status
        assert lifecycle.wait(record, 10) == status
        condition = record.condition()
        assert (condition.state, condition.status) == (State.EXITED, status)
    logged = [entry.text for entry in read_log(record) if entry.stream == "stdout"]
    assert logged == [b"run 3\n", b"run 4\n", b"run 5\n"]
    store.remove(record)


def test_starting_what_runs_changes_nothing(made: Callable[..., Record], store: Store) -> None:
    record = made(*WAITS, name="it")
    ensure_started(store, record, platform=FAKE)
    run = record.run()
    ensure_started(store, record, platform=FAKE)
    assert record.run() == run
    with (
        pytest.raises(StateError, match="failed to start container 'it': it is running"),
        started(store, record, platform=FAKE),
    ):
        pass
    assert record.run() == run
    store.remove(record, force=True)


def test_a_start_that_fails_leaves_all_as_it_was(
    made: Callable[..., Record], store: Store, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    record = made(str(program), name="it")
    with pytest.raises(GuestError, match="No such file or directory"):
        ensure_started(store, record, platform=FAKE)
    assert record.condition() == Condition(State.CREATED)
    assert store.sweep() == []
    program.write_text("#!/bin/sh\nexit 4\n")
    program.chmod(0o755)
    ensure_started(store, record, platform=FAKE)
    assert lifecycle.wait(record, 10) == 4
    before = record.condition()
    program.unlink()
    with pytest.raises(GuestError, match="No such file or directory"):
        ensure_started(store, record, platform=FAKE)
    assert record.condition() == before
    store.remove(record)


def test_a_restart_ends_what_runs_and_starts_it(made: Callable[..., Record], store: Store) -> None:
    record = made(*WAITS, name="it")
    restart(store, record, signal=signal.SIGTERM, platform=FAKE)
    first = record.run()
    restart(store, record, signal=signal.SIGTERM, platform=FAKE)
    second = record.run()
    assert first is not None
    assert second is not None
    assert not first.process.alive()
    assert second.process.alive()
    end = second.status_offset
    assert record.condition_of(first, end).state in {State.EXITED, State.DEAD}
    assert record.condition().state is State.RUNNING
    assert lifecycle.wait(record, run=first) in {7, 143}
    store.remove(record, force=True)


def test_several_at_once_agree(made: Callable[..., Record], store: Store) -> None:
    """Starts, restarts and stops at once."""
    record = made(*WAITS, name="it")

    def act(number: int) -> None:
        mine = store.find("it")
        if number % 3 == 0:
            ensure_started(store, mine, platform=FAKE)
        elif number % 3 == 1:
            restart(store, mine, signal=signal.SIGTERM, grace_s=1.0, platform=FAKE)
        else:
            lifecycle.stop(mine, signal=signal.SIGTERM, grace_s=1.0)

    with ThreadPoolExecutor(6) as pool:
        results = [pool.submit(act, number) for number in range(12)]
    for result in results:
        error = result.exception()
        # Whoever was stopped while it started is told so.
        assert error is None or isinstance(error, GuestError | BootError), error
    ensure_started(store, record, platform=FAKE)
    assert record.condition().state is State.RUNNING
    store.remove(record, force=True)


def test_what_goes_at_its_end_goes_after_that_only(
    made: Callable[..., Record], store: Store
) -> None:
    record = made("true", name="it", remove=True)
    assert store.sweep() == []
    ensure_started(store, record, platform=FAKE)
    lifecycle.wait(record, 10)
    assert store.sweep() == []
    assert store.list() == []


def test_a_container_is_renamed(made: Callable[..., Record], store: Store) -> None:
    record, other = made("true", name="it"), made("true", name="other")
    store.rename(record, "that")
    assert store.find("that").id == record.id
    assert store.find("that").spec.name == "that"
    with pytest.raises(NotFoundError, match="failed to find container 'it'"):
        store.find("it")
    with pytest.raises(SpecError, match=r"failed to use name 'other': container .* has it"):
        store.rename(record, "other")
    with pytest.raises(SpecError, match="failed to use name '-x': not a container name"):
        store.rename(record, "-x")
    assert store.find("that").id == record.id
    store.remove(other)
    store.rename(record, "other")
    store.remove(store.find("other"))
    assert made("true", name="that").spec.name == "that"
    store.remove(store.find("that"))


@pytest.mark.parametrize("killed_at", ["write_spec", "unlink"])
def test_a_rename_that_is_killed_has_happened_or_not(
    made: Callable[..., Record], store: Store, killed_at: str
) -> None:
    """Whichever name it has then, the other one is free."""
    record = made("true", name="it")
    child = os.fork()
    if child == 0:
        owner = Path if killed_at == "unlink" else Record
        setattr(owner, killed_at, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        store.rename(record, "that")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    has, free = ("that", "it") if killed_at == "unlink" else ("it", "that")
    assert store.find(has).id == record.id
    with pytest.raises(NotFoundError):
        store.find(free)
    store.remove(made("true", name=free))
    store.remove(store.find(has))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": "/no/linux"}, "failed to start container 'it': its kernel '/no/linux' is gone"),
        ({"image": "/no/root"}, "failed to start container 'it': its image '/no/root' is gone"),
        ({"rootfs": "/no/root"}, "failed to start container 'it': its root '/no/root' is gone"),
    ],
)
def test_what_is_gone_is_named(change: dict[str, str], message: str) -> None:
    spec = make_spec("0" * 64, "it", **{"kernel": "/", "image": None, **change})
    with pytest.raises(NotFoundError, match=message) as caught:
        start.look_up_again(spec)
    assert caught.value.hint is not None
