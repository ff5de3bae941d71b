"""The Python API, sync and async, against real container kernels."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import drupe
from drupe.errors import (
    ExitStatusError,
    GuestError,
    NotFoundError,
    SpecError,
    StateError,
    TimedOutError,
)
from drupe.kbuild.kernels import Kernel

pytestmark = pytest.mark.usefixtures("kernel", "no_leaks")

SLEEP = ["sleep", "1000"]
MUCH = bytes(range(256)) * (5 * 4096)
"""5 MiB."""


def test_run_gives_both_outputs_and_the_status() -> None:
    done = drupe.run("busybox", ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.stdout, done.stderr, done.exit_status) == (b"out\n", b"err\n", 3)
    assert done.command[0] == "sh"
    assert not drupe.list_containers(all=True)


def test_run_takes_all_options(tmp_path: Path, kernel: Kernel) -> None:
    (tmp_path / "shared").mkdir()
    done = drupe.run(
        "busybox",
        ["-c", 'echo "$A $(pwd) $(id -u):$(id -g):$(id -G) $(hostname)"; echo x > /v/file'],
        entrypoint="sh",
        env={"A": "value"},
        workdir="/made/here",
        user="0:7",
        groups=["8"],
        hostname="box",
        volumes=[f"{tmp_path}/shared:/v"],
        memory="64m",
        platform="um-strict",
        kernel=kernel.linux,
        name="everything",
        labels={"a": "b"},
        check=True,
    )
    assert done.stdout == b"value /made/here 0:7:7 8 box\n"
    assert done.name == "everything"
    assert (tmp_path / "shared/file").read_text() == "x\n"


def test_run_on_a_directory() -> None:
    assert drupe.run(rootfs="/", command=["/bin/echo", "hi"], check=True).stdout == b"hi\n"


def test_run_passes_input() -> None:
    assert drupe.run("busybox", ["cat"], input=MUCH).stdout == MUCH
    assert drupe.run("busybox", ["wc", "-c"], input=b"").stdout == b"0\n"
    assert drupe.run("busybox", ["wc", "-c"]).stdout == b"0\n"


def test_run_passes_input_that_nobody_wants() -> None:
    done = drupe.run("busybox", ["head", "-c", "3"], input=MUCH)
    assert (done.stdout, done.exit_status) == (MUCH[:3], 0)


def test_run_hands_output_to_sinks() -> None:
    pieces: list[bytes] = []
    done = drupe.run("busybox", ["sh", "-c", "echo a; echo b >&2"], stdout=pieces.append)
    assert (b"".join(pieces), done.stdout, done.stderr) == (b"a\n", b"", b"b\n")


def test_an_error_of_a_sink_ends_the_container() -> None:
    def full(_: bytes) -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        drupe.run("busybox", ["yes"], stdout=full)
    assert not drupe.list_containers(all=True)


def test_check_raises_with_both_outputs() -> None:
    with pytest.raises(ExitStatusError, match=r"failed to run 'sh' .* status 4: bad") as caught:
        drupe.run("busybox", ["sh", "-c", "echo good; echo bad >&2; exit 4"], check=True)
    assert (caught.value.stdout, caught.value.stderr) == (b"good\n", b"bad\n")
    assert caught.value.exit_status == 4


def test_run_ends_what_takes_too_long() -> None:
    begin = time.monotonic()
    with pytest.raises(TimedOutError, match=r"failed to run 'sh' .* not ended in 0\.5 s") as caught:
        drupe.run("busybox", ["sh", "-c", "trap '' TERM HUP; echo x; sleep 1000"], timeout=0.5)
    assert caught.value.stdout == b"x\n"
    assert time.monotonic() - begin < 10
    assert not drupe.list_containers(all=True)


def test_writes_to_volumes_outlive_a_timeout(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        drupe.run(
            "busybox",
            ["sh", "-c", "echo kept > /v/file; sleep 1000"],
            volumes=[f"{tmp_path}:/v"],
            timeout=0.5,
        )
    assert (tmp_path / "file").read_text() == "kept\n"


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(GuestError, match="nothing-of-that-name") as caught:
        drupe.run("busybox", ["nothing-of-that-name"])
    assert caught.value.number == errno.ENOENT


def test_an_image_that_is_not_there() -> None:
    with pytest.raises(NotFoundError, match="failed to find image 'nosuch'"):
        drupe.run("nosuch", pull="never")


def test_run_can_leave_the_container() -> None:
    done = drupe.run("busybox", ["sh", "-c", "echo logged; exit 5"], remove=False, name="stays")
    container = drupe.get("stays")
    assert (container.id, container.state, container.exit_status) == (done.id, "exited", 5)
    assert [entry.text for entry in container.logs()] == [b"logged\n"]
    container.remove()
    with pytest.raises(NotFoundError):
        drupe.get("stays")


def test_a_container_and_its_end() -> None:
    with drupe.Container.run("busybox", SLEEP, name="c", labels={"k": "v"}) as container:
        assert container.state == drupe.State.RUNNING
        assert Path(f"/proc/{container.pid}").exists()
        assert (container.name, container.image, container.labels) == ("c", "busybox", {"k": "v"})
        assert [found.id for found in drupe.list_containers()] == [container.id]
        with drupe.get(container.id[:10]) as same:
            assert same.name == "c"
        with pytest.raises(StateError, match="it is running"):
            container.remove()
        with pytest.raises(SpecError, match="failed to use name 'c'"):
            drupe.Container.run("busybox", SLEEP, name="c")
    with pytest.raises(NotFoundError):
        _ = container.state


def test_exec() -> None:
    with drupe.Container.run("busybox", SLEEP, env={"A": "1", "B": "2"}) as container:
        done = container.exec(
            ["sh", "-c", "echo $A $B $PWD $(id -u)"], env={"B": "3"}, workdir="/tmp", user="nobody"
        )
        assert done.stdout == b"1 3 /tmp 65534\n"
        assert container.exec(["cat"], input=MUCH).stdout == MUCH
        with pytest.raises(ExitStatusError, match="exit status 1"):
            container.exec(["false"], check=True)
        with pytest.raises(TimedOutError) as caught:
            container.exec(["sh", "-c", "echo a; sleep 999"], timeout=0.3)
        assert caught.value.stdout == b"a\n"
        with pytest.raises(GuestError, match="nosuch") as refused:
            container.exec(["nosuch"])
        assert refused.value.number == errno.ENOENT
        assert container.state == "running"


def test_exec_in_a_container_that_has_ended() -> None:
    with drupe.Container.run("busybox", SLEEP) as container:
        container.stop()
        with pytest.raises(StateError, match="it is exited, not running"):
            container.exec(["true"])


def test_a_stream_is_a_conversation() -> None:
    with drupe.Container.run("busybox", SLEEP) as container:
        with container.exec(["cat"], stream=True, stdin=True) as stream:
            for word in (b"one", b"two"):
                stream.write(word)
                assert next(stream) == ("stdout", word)
            assert stream.exit_status is None
            stream.close_stdin()
            assert list(stream) == []
            assert [stream.wait(), stream.exit_status] == [0, 0]
            with pytest.raises(StateError, match="it has ended"):
                stream.write(b"late")
        with (
            container.exec(["true"], stream=True) as stream,
            pytest.raises(StateError, match="no input"),
        ):
            stream.write(b"x")


def test_a_stream_passes_signals_and_waits() -> None:
    script = "trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.05; done"
    with (
        drupe.Container.run("busybox", SLEEP) as container,
        container.exec(["sh", "-c", script], stream=True) as stream,
    ):
        assert next(stream) == ("stdout", b"ready\n")
        with pytest.raises(TimedOutError):
            stream.wait(timeout=0.1)
        stream.signal(signal.SIGUSR1)
        assert stream.wait(timeout=10) == 9
        assert list(stream) == [("stdout", b"got\n")]


def test_a_stream_with_a_terminal() -> None:
    script = "stty size; read x; stty size"
    with (
        drupe.Container.run("busybox", SLEEP) as container,
        container.exec(["sh", "-c", script], stream=True, tty=True, window=(30, 100)) as stream,
    ):
        assert next(stream)[1].startswith(b"30 100")
        stream.resize(40, 120)
        stream.write(b"\n")
        assert b"".join(data for _, data in stream).rstrip().endswith(b"40 120")


def test_a_stream_that_is_left_ends_its_process() -> None:
    with drupe.Container.run("busybox", SLEEP) as container:
        with container.exec(["sleep", "777"], stream=True) as stream:
            pass
        wait_until(lambda: b"sleep 777" not in container.exec(["ps"]).stdout)
        with pytest.raises(StateError, match="its stream was closed"):
            next(stream)


def test_one_thread_writes_while_another_one_reads() -> None:
    with (
        drupe.Container.run("busybox", SLEEP) as container,
        container.exec(["cat"], stream=True, stdin=True) as stream,
    ):
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.extend(data for _, data in stream))
        reader.start()
        for start in range(0, len(MUCH), 1 << 20):
            stream.write(MUCH[start : start + (1 << 20)])
        stream.close_stdin()
        reader.join(60)
        assert b"".join(got) == MUCH


def test_writing_needs_no_reader() -> None:
    with (
        drupe.Container.run("busybox", SLEEP) as container,
        container.exec(["cat"], stream=True, stdin=True) as stream,
    ):
        stream.write(MUCH)
        stream.close_stdin()
        assert b"".join(data for _, data in stream) == MUCH


def test_a_stream_whose_container_is_killed() -> None:
    with drupe.Container.run("busybox", SLEEP) as container:
        with container.exec(SLEEP, stream=True) as stream:
            os.kill(container.pid or 0, signal.SIGKILL)
            with pytest.raises(GuestError, match="its kernel ended"):
                stream.wait()
        assert container.wait(10) == 128 + signal.SIGKILL


def test_logs() -> None:
    script = "echo one; echo two >&2; sleep 0.5; echo three"
    with drupe.Container.run("busybox", ["sh", "-c", script]) as container:
        followed = [(entry.stream, entry.text) for entry in container.logs(follow=True)]
        assert followed == [("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three\n")]
        assert [entry.text for entry in container.logs(tail=1)] == [b"three\n"]
        assert container.wait() == 0
        with pytest.raises(ValueError, match="the last -1 entries"):
            container.logs(tail=-1)


def test_stop_kill_wait() -> None:
    script = "trap 'exit 6' TERM; while :; do sleep 0.05; done"
    with drupe.Container.run("busybox", ["sh", "-c", script]) as container:
        with pytest.raises(TimedOutError, match=r"not ended in 0\.1 s"):
            container.wait(timeout=0.1)
        container.exec(["true"])
        assert container.stop(grace=10) == 6
        assert [container.wait(), container.exit_status] == [6, 6]
        with pytest.raises(StateError):
            container.kill()


def test_four_at_once_in_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(drupe.run, "busybox", ["cat"], input=b"%d" % n) for n in range(24)]
    assert [job.result().stdout for job in jobs] == [b"%d" % n for n in range(24)]


def wait_until(true: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def in_loop(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(body(), debug=False)


def test_aio_run() -> None:
    async def body() -> None:
        done = await drupe.aio.run("busybox", ["cat"], input=MUCH)
        assert (done.stdout, done.exit_status) == (MUCH, 0)
        with pytest.raises(ExitStatusError) as failed:
            await drupe.aio.run("busybox", ["sh", "-c", "echo o; exit 4"], check=True)
        assert failed.value.stdout == b"o\n"
        with pytest.raises(TimedOutError) as late:
            await drupe.aio.run("busybox", ["sh", "-c", "echo x; sleep 999"], timeout=0.3)
        assert late.value.stdout == b"x\n"
        with pytest.raises(NotFoundError):
            await drupe.aio.run("nosuch", pull="never")
        assert await drupe.aio.list_containers(all=True) == []

    in_loop(body)


def test_aio_four_at_once() -> None:
    async def body() -> None:
        runs = [drupe.aio.run("busybox", ["cat"], input=b"%d" % n) for n in range(4)]
        assert [done.stdout for done in await asyncio.gather(*runs)] == [b"0", b"1", b"2", b"3"]

    in_loop(body)


def test_aio_container() -> None:
    async def body() -> None:
        script = "echo one; sleep 0.5; echo two; sleep 1000"
        command = ["sh", "-c", script]
        async with await drupe.aio.Container.run("busybox", command, name="c") as container:
            assert container.state == "running"
            assert (await drupe.aio.get("c")).id == container.id
            assert (await container.exec(["cat"], input=MUCH)).stdout == MUCH
            with pytest.raises(TimedOutError) as late:
                await container.exec(["sh", "-c", "echo a; sleep 999"], timeout=0.3)
            assert late.value.stdout == b"a\n"
            with pytest.raises(TimedOutError):
                await container.wait(timeout=0.1)
            lines = []
            async for entry in container.logs(follow=True):
                lines.append(entry.text)
                if len(lines) == 2:
                    await container.kill()
            assert lines == [b"one\n", b"two\n"]
            assert await container.wait() == 128 + signal.SIGKILL
            assert [entry.text async for entry in container.logs(tail=1)] == [b"two\n"]
            assert await container.stop() == 128 + signal.SIGKILL
        with pytest.raises(NotFoundError):
            _ = container.state

    in_loop(body)


def test_aio_input_and_output_at_once() -> None:
    """Output that waited for room must go on, whoever made the room: it is a matter of timing."""

    async def body() -> None:
        async with await drupe.aio.Container.run("busybox", ["sleep", "1000"]) as container:
            for _ in range(20):
                pair = [container.exec(["cat"], input=MUCH) for _ in range(2)]
                done = await asyncio.wait_for(asyncio.gather(*pair), 60)
                assert all(result.stdout == MUCH for result in done)

    in_loop(body)


def test_aio_stream() -> None:
    async def body() -> None:
        async with await drupe.aio.Container.run("busybox", SLEEP) as container:
            async with await container.exec(["cat"], stream=True, stdin=True) as stream:
                await stream.write(b"word")
                assert await anext(stream) == ("stdout", b"word")
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(stream), 0.1)
                got: list[bytes] = []

                async def read() -> None:
                    async for _, data in stream:
                        got.append(data)

                reader = asyncio.create_task(read())
                await stream.write(MUCH)
                await stream.close_stdin()
                await reader
                assert b"".join(got) == MUCH
                assert await stream.wait() == 0
            stream = await container.exec(SLEEP, stream=True, tty=True)
            async with stream:
                await stream.resize(10, 20)
                await stream.signal(signal.SIGTERM)
                assert await stream.wait() == 128 + signal.SIGTERM

    in_loop(body)


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03, 0.05, 0.08, 0.15, 0.4])
def test_a_cancelled_run_leaves_nothing(after_s: float) -> None:
    async def body() -> None:
        task = asyncio.create_task(drupe.aio.run("busybox", SLEEP))
        await asyncio.sleep(after_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await drupe.aio.list_containers(all=True) == []

    in_loop(body)


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03, 0.05])
def test_a_cancelled_start_leaves_nothing(after_s: float) -> None:
    async def body() -> None:
        task = asyncio.create_task(drupe.aio.Container.run("busybox", SLEEP))
        await asyncio.sleep(after_s)
        if task.done():
            await task.result().remove(force=True)
            return
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await drupe.aio.list_containers(all=True) == []

    in_loop(body)


def test_a_cancelled_exec_ends_its_process() -> None:
    async def body() -> None:
        async with await drupe.aio.Container.run("busybox", SLEEP) as container:
            task = asyncio.create_task(container.exec(["sleep", "777"]))
            await asyncio.sleep(0.3)
            assert b"sleep 777" in (await container.exec(["ps"])).stdout
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for _ in range(100):
                if b"sleep 777" not in (await container.exec(["ps"])).stdout:
                    return
                await asyncio.sleep(0.05)
            pytest.fail("it goes on")

    in_loop(body)


def test_a_cancelled_block_removes_its_container() -> None:
    async def body() -> None:
        async def use() -> None:
            async with await drupe.aio.Container.run("busybox", SLEEP) as container:
                await container.wait()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(use(), 0.5)
        assert await drupe.aio.list_containers(all=True) == []

    in_loop(body)


def test_aio_files() -> None:
    async def body() -> None:
        async with await drupe.aio.Container.run("busybox", SLEEP, name="fs") as container:
            fs = container.fs
            await fs.write("/root/a", [b"one", b"two"])
            assert await fs.read("/root/a") == b"onetwo"
            assert [info.name for info in await fs.list("/root")] == ["a"]
            endless = asyncio.create_task(fs.read("/dev/zero", lambda _: None))
            await asyncio.sleep(0.3)
            endless.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(endless, 10)
            with pytest.raises(NotFoundError, match="'fs:/none': No such file"):
                await fs.stat("/none")
            assert drupe.Change("A", "/root/a") in await container.diff()

    in_loop(body)


def test_aio_reattach() -> None:
    async def body() -> None:
        async with await drupe.aio.Container.run("busybox", ["cat"], stdin=True) as container:
            for word in (b"one", b"two"):
                async with await container.reattach() as stream:
                    with pytest.raises(GuestError, match="somebody else is attached"):
                        await container.reattach()
                    await stream.write(word)
                    assert await anext(stream) == ("stdout", word)
            state = (await container.inspect())["State"]
            assert isinstance(state, dict)
            assert state["Status"] == "running"
            async with await container.reattach() as stream:
                await stream.close_stdin()
                assert await stream.wait() == 0

    in_loop(body)
