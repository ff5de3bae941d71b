"""The store of containers: whole or not there, whoever dies in between."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.container import store as store_module
from drupe.container.record import Record, State
from drupe.container.store import Store
from drupe.errors import HostError, NotFoundError, SpecError, StateError
from drupe.store.liveness import ProcessId
from tests.fakes.specs import make_spec


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a machine."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


def make(
    store: Store, name: str | None = "it", *, status: str = "", remove: bool = False
) -> Record:
    """A container that has ended, unless ``status`` says otherwise."""
    with store.creating(name, lambda i, n: make_spec(i, n, remove=remove)) as record:
        ended = subprocess.Popen(["sleep", "1000"])
        record.begin_run(ended.pid)
        ended.kill()
        ended.wait()
        (record.directory / "status").write_text(status or "running\nexited 0 0 1.000000000\n")
    return record


def contents(store: Store) -> list[str]:
    """Everything on disk but the lock of the makers."""
    found = [str(path.relative_to(store._home)) for path in store._home.rglob("*")]
    return sorted(path for path in found if path not in {"containers", "names", "lock"})


# Making


def test_a_container_is_made(store: Store) -> None:
    record = make(store)
    assert store.find("it").id == record.id
    assert [found.id for found in store.list()] == [record.id]
    assert record.directory.stat().st_mode & 0o777 == 0o700
    assert (record.directory / "config.json").stat().st_mode & 0o777 == 0o600
    assert Record(record.directory).spec == record.spec


def test_names_are_made_up(store: Store) -> None:
    names = {make(store, None).spec.name for _ in range(5)}
    assert len(names) == 5
    assert all(store.find(name).spec.name == name for name in names)


def test_a_taken_name_is_refused_and_nothing_is_left(store: Store) -> None:
    record = make(store)
    before = contents(store)
    message = f"failed to use name 'it': container {record.id[:12]} has it"
    with pytest.raises(SpecError, match=message) as caught:
        make(store)
    assert caught.value.hint == "'drupe rm it' frees it; or use another --name"
    assert contents(store) == before


def test_a_name_that_a_dead_command_left_is_free(store: Store) -> None:
    store.prepare()
    (store._names / "it").symlink_to("../containers/" + "0" * 64)
    assert make(store).spec.name == "it"


@pytest.mark.parametrize("error", [SpecError("no"), KeyboardInterrupt()])
def test_an_error_in_making_leaves_nothing(store: Store, error: BaseException) -> None:
    def fail(container_id: str, name: str) -> None:
        raise error

    with pytest.raises(type(error)), store.creating("it", fail):  # type: ignore[arg-type]
        pass
    assert contents(store) == []


def test_an_error_in_the_block_ends_the_machine_and_leaves_nothing(
    store: Store, sleeper: subprocess.Popen[bytes]
) -> None:
    def fail() -> None:
        with store.creating("it", make_spec) as record:
            record.begin_run(sleeper.pid)
            raise HostError("no more")

    with pytest.raises(HostError, match="no more"):
        fail()
    assert sleeper.wait(10) == -signal.SIGKILL
    assert contents(store) == []


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(HostError, match=r"failed to make directory '.*state/containers'"):
        make(Store(tmp_path / "state"))


# Finding


def test_the_beginning_of_an_id_finds(store: Store) -> None:
    record = make(store)
    for size in (1, 12, 64):
        assert store.find(record.id[:size]).id == record.id


def test_a_beginning_of_several_ids_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        monkeypatch.setattr(
            os, "urandom", lambda size, n=number: bytes([0xAB, n]).ljust(size, b"x")
        )
        make(store, f"name{number}")
    monkeypatch.undo()
    with pytest.raises(SpecError, match="failed to find container 'ab': 2 begin so"):
        store.find("ab")
    assert store.find("ab00").spec.name == "name0"


def test_a_name_goes_before_an_id(store: Store) -> None:
    first = make(store, "one")
    second = make(store, first.id[:12])
    assert store.find(first.id[:12]).id == second.id


@pytest.mark.parametrize(
    "reference", ["", ".", "..", "a/b", "../x", "f" * 65, "zz", "a\0b", "é" * 200]
)
def test_what_is_not_there_is_not_found(store: Store, reference: str) -> None:
    make(store)
    with pytest.raises(NotFoundError, match=r"failed to find container .*: no such container"):
        store.find(reference)


@given(st.text(max_size=300))
def test_no_reference_leads_out_or_breaks(reference: str) -> None:
    with pytest.raises(NotFoundError):
        Store(Path("/nonexistent")).find(reference)


def test_an_empty_store_is_empty(store: Store) -> None:
    assert store.list() == []
    assert store.sweep() == []
    with pytest.raises(NotFoundError):
        store.find("it")


def test_a_list_is_sorted_by_age(store: Store) -> None:
    for name, created_ns in (("b", 2), ("c", 3), ("a", 1)):
        with store.creating(name, functools.partial(make_spec, created_ns=created_ns)):
            pass
    assert [record.spec.name for record in store.list()] == ["a", "b", "c"]


def test_a_container_that_goes_meanwhile_does_not_break_the_list(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = make(store, "kept"), make(store, "gone")
    records = store._records()
    store.remove(gone)
    monkeypatch.setattr(store, "_records", lambda: records)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert [record.id for record in store.list()] == [kept.id]


# Removing


def test_a_container_is_removed(store: Store) -> None:
    record = make(store)
    for name in ("log", "console", "control"):
        (record.directory / name).write_text("x")
    store.remove(record)
    assert contents(store) == []
    with pytest.raises(NotFoundError, match=f"failed to find container '{record.id[:12]}': gone"):
        store.remove(record)


def test_a_running_container_is_removed_by_force_only(
    store: Store, sleeper: subprocess.Popen[bytes]
) -> None:
    with store.creating("it", make_spec) as record:
        record.begin_run(sleeper.pid)
        (record.directory / "status").write_text("running\n")
    with pytest.raises(StateError, match="failed to remove container 'it': it is running"):
        store.remove(record)
    assert store.find("it").condition().state is State.RUNNING
    store.remove(record, force=True)
    assert sleeper.wait(10) == -signal.SIGKILL
    assert contents(store) == []


def test_a_name_that_goes_meanwhile_does_not_break_a_removal(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, other = make(store, "a"), make(store, "b")
    read = Path.readlink

    def freed(link: Path) -> Path:
        if link.name == "b":
            link.unlink(missing_ok=True)
        return read(link)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "readlink", freed)
        store.remove(record)
    assert [one.id for one in store.list()] == [other.id]


def test_another_containers_name_is_not_taken_away(store: Store) -> None:
    record = make(store)
    link = store._names / "it"
    link.unlink()
    other = make(store)
    store.remove(record)
    assert store.find("it").id == other.id


def test_a_change_waits_for_the_one_before(store: Store) -> None:
    record = make(store)
    done: list[str] = []

    def remove() -> None:
        store.remove(Record(record.directory))
        done.append("removed")

    with store.held(record):
        assert record.condition().state is State.EXITED
        remover = threading.Thread(target=remove)
        remover.start()
        remover.join(0.1)
        assert remover.is_alive()
        done.append("changed")
    remover.join(10)
    assert done == ["changed", "removed"]
    with pytest.raises(NotFoundError), store.held(record):
        pass


# What dead commands leave behind


def killed_while(work: Callable[[], object]) -> None:
    """Runs ``work`` in a process of its own, which is to kill itself."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it lived on"
    assert os.WTERMSIG(status) == signal.SIGKILL


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_the_lock(store: Store, pid: int) -> None:
    store_module._open_lock = die  # type: ignore[assignment]
    make(store)


def at_the_name(store: Store, pid: int) -> None:
    store._claim = die  # type: ignore[assignment,method-assign]
    make(store)


def at_the_specification(store: Store, pid: int) -> None:
    with store.creating("it", die):  # type: ignore[arg-type]
        pass


def at_the_specifications_rename(store: Store, pid: int) -> None:
    Path.replace = die  # type: ignore[assignment,method-assign]
    make(store)


def at_the_layer(store: Store, pid: int) -> None:
    with store.creating("it", make_spec) as record:
        (record.directory / "layer").write_text("half of it")
        die()


def at_the_machine(store: Store, pid: int) -> None:
    with store.creating("it", make_spec):
        die()


def after_the_machine(store: Store, pid: int) -> None:
    with store.creating("it", make_spec) as record:
        record.begin_run(pid)
        (record.directory / "console").write_text("booting")
        die()


def in_removing(store: Store, pid: int) -> None:
    with store.creating("it", make_spec) as record:
        record.begin_run(pid)
        (record.directory / "log").write_text("x")
        os.listdir = die  # type: ignore[assignment]
        raise HostError("no more")


STEPS = [
    at_the_lock,
    at_the_name,
    at_the_specification,
    at_the_specifications_rename,
    at_the_layer,
    at_the_machine,
    after_the_machine,
    in_removing,
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_a_killed_command_leaves_nothing_for_long(
    store: Store, sleeper: subprocess.Popen[bytes], step: Callable[[Store, int], None]
) -> None:
    kept = make(store, "kept")
    before = contents(store)
    killed_while(lambda: step(store, sleeper.pid))
    (leftover,) = {record.id for record in store._records()} - {kept.id}
    assert store.sweep() == [
        f"removed container {leftover[:12]}, which an interrupted command left behind unfinished"
    ]
    assert contents(store) == before
    assert make(store).spec.name == "it"
    if step in {after_the_machine, in_removing}:
        assert sleeper.wait(10) == -signal.SIGKILL


def test_a_container_in_the_making_is_left_alone(store: Store) -> None:
    with store.creating("it", make_spec) as record:
        assert store.sweep() == []
        assert Store(store._home).sweep() == []
        assert record.directory.exists()
        record.begin_run(os.getpid())
        (record.directory / "status").write_text("running\n")
    assert store.sweep() == []
    assert store.find("it").condition().state is State.RUNNING


@pytest.mark.parametrize(("remove", "left"), [(False, True), (True, False)])
@pytest.mark.parametrize("status", ["running\n", "running\nexited 1 0 1.000000000\n"])
def test_an_ended_container_stays_unless_it_is_to_go(
    store: Store, status: str, remove: bool, left: bool
) -> None:
    record = make(store, status=status, remove=remove)
    assert store.sweep() == []
    assert record.directory.exists() == left
    assert bool(contents(store)) == left


def test_a_running_container_that_is_to_go_stays(
    store: Store, sleeper: subprocess.Popen[bytes]
) -> None:
    with store.creating("it", lambda i, n: make_spec(i, n, remove=True)) as record:
        record.begin_run(sleeper.pid)
        (record.directory / "status").write_text("running\n")
    assert store.sweep() == []
    assert store.find("it").condition().pid == sleeper.pid


@pytest.mark.parametrize("file", ["config.json", "process.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"colour": 1}'])
def test_a_spoilt_file_does_not_stop_the_sweep(store: Store, file: str, text: str) -> None:
    record = make(store, "spoilt")
    (record.directory / file).write_text(text)
    leftover = make(store, "leftover", remove=True)
    (said,) = store.sweep()
    assert "failed to read" in said
    assert f"'drupe rm --force {record.id[:12]}'" in said
    assert not leftover.directory.exists()
    found = store.find("spoilt")
    with pytest.raises(StateError, match="failed to read "):
        _ = (found.spec, found.condition())
    if file == "process.json":
        with pytest.raises(StateError, match="failed to read "):
            store.remove(found)
    store.remove(found, force=True)
    assert contents(store) == []


def test_a_machine_is_recorded_whole(store: Store) -> None:
    with store.creating("it", make_spec) as record:
        record.begin_run(os.getpid())
        value = json.loads((record.directory / "process.json").read_text())
        assert ProcessId(**value["process"]) == ProcessId.of(os.getpid()) == record.process()
        (record.directory / "status").write_text("running\n")
