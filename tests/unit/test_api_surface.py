"""The Python API without a container: what is public, what is refused, what import costs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import drupe
from drupe.api.options import build_request, check_seconds, check_signal
from drupe.api.threads import in_thread
from drupe.errors import DrupeError, ExitStatusError, SpecError, TimedOutError

PUBLIC = {
    "drupe": [
        "Change",
        "CompletedExec",
        "CompletedRun",
        "Container",
        "ContainerOptions",
        "Entry",
        "Event",
        "ExecStream",
        "Figures",
        "FileInfo",
        "FileSystem",
        "Health",
        "Image",
        "LeftOut",
        "Member",
        "Network",
        "Port",
        "State",
        "Task",
        "Volume",
        "__version__",
        "aio",
        "disk_usage",
        "errors",
        "events",
        "get",
        "list_containers",
        "prune_containers",
        "run",
    ],
    "drupe.aio": [
        "CompletedExec",
        "CompletedRun",
        "Container",
        "ExecStream",
        "FileSystem",
        "Image",
        "Network",
        "Volume",
        "disk_usage",
        "events",
        "get",
        "list_containers",
        "prune_containers",
        "run",
    ],
    "drupe.Volume": ["create", "get", "labels", "list", "name", "path", "prune", "remove"],
    "drupe.Container": [
        "command",
        "commit",
        "create",
        "diff",
        "exec",
        "exit_status",
        "export",
        "fs",
        "health",
        "id",
        "image",
        "inspect",
        "kill",
        "labels",
        "logs",
        "name",
        "pause",
        "pid",
        "ports",
        "reattach",
        "remove",
        "rename",
        "restart",
        "restarts",
        "run",
        "start",
        "state",
        "stats",
        "stop",
        "top",
        "unpause",
        "update",
        "wait",
        "wait_until",
    ],
}


def public(thing: object) -> list[str]:
    return sorted(name for name in dir(thing) if not name.startswith("_"))


def test_these_names_are_public_and_no_others() -> None:
    assert drupe.__all__ == PUBLIC["drupe"] == dir(drupe)
    assert drupe.aio.__all__ == PUBLIC["drupe.aio"]
    assert public(drupe.Container) == PUBLIC["drupe.Container"] == public(drupe.aio.Container)
    assert public(drupe.Volume) == PUBLIC["drupe.Volume"] == public(drupe.aio.Volume)


@pytest.mark.parametrize("name", PUBLIC["drupe"])
def test_public_names_are_there_and_say_what_they_are(name: str) -> None:
    value = getattr(drupe, name)
    assert name == "__version__" or value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'drupe' has no attribute 'nothing'"):
        _ = drupe.nothing  # type: ignore[attr-defined]


def test_importing_drupe_imports_nothing_of_the_api() -> None:
    source = str(Path(drupe.__file__).parent.parent)
    code = (
        f"import sys; sys.path.insert(0, {source!r}); before = set(sys.modules)\n"
        "import drupe; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-ISc", code], capture_output=True, text=True, check=True
    )
    heavy = [name for name in done.stdout.split() if name.startswith(("drupe.", "asyncio"))]
    assert not heavy


@pytest.mark.parametrize(
    ("image", "command", "options", "error", "message"),
    [
        ("busybox", "echo hi", {}, TypeError, r"list of strings, not a string.*'sh', '-c'"),
        ("busybox", ["echo", 1], {}, TypeError, "1 is none"),
        ("busybox", [], {"volumes": "/a:/b"}, TypeError, "volumes is a list of strings"),
        ("busybox", [], {"env": {"A": 1}}, TypeError, "env maps strings to strings"),
        ("busybox", [], {"env": {"A=B": "1"}}, ValueError, "'A=B' cannot be a name"),
        ("busybox", [], {"labels": {"": "1"}}, ValueError, "'' cannot be a name"),
        ("busybox", [], {"memory": True}, TypeError, "memory is bytes"),
        ("busybox", [], {"memory": 1.5}, TypeError, "memory is bytes"),
        ("busybox", [], {"memory": "much"}, SpecError, "failed to use memory 'much'"),
        ("busybox", [], {"memory": 4096}, SpecError, "failed to use memory '4096'"),
        ("busybox", [], {"rootfs": "/"}, ValueError, "only one of them"),
        ("busybox", [], {"colour": "red"}, TypeError, "unexpected keyword argument 'colour'"),
    ],
)
def test_misuse_is_refused(
    image: str, command: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_request(image, command, options)


def test_options_become_a_request() -> None:
    request = build_request(
        None,
        ["true"],
        {"rootfs": Path("/srv"), "memory": "64m", "kernel": Path("/k/linux"), "groups": ["5"]},
    )
    assert request.rootfs == "/srv"
    assert request.memory_bytes == 64 << 20
    assert request.kernel == "/k/linux"
    assert request.groups == ("5",)
    assert build_request("i", [], {"memory": 64 << 20}).memory_bytes == 64 << 20


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"timeout of .* seconds"):
        check_seconds("timeout", seconds)


@pytest.mark.parametrize("number", [0, -9, 65])
def test_a_signal_that_is_none_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="there are 1 to 64"):
        check_signal(number)


def test_errors_hold_what_was_said() -> None:
    failed = ExitStatusError(("make", "all"), 2, b"out", b"first\nlast\x1b[0m\n")
    assert str(failed) == "failed to run 'make' in a container: exit status 2: last[0m"
    assert (failed.stdout, failed.exit_status) == (b"out", 2)
    late = TimedOutError("failed to wait", 1.5, b"so far")
    assert isinstance(late, DrupeError)
    assert isinstance(late, TimeoutError)
    assert (str(late), late.timeout_s, late.stdout) == ("failed to wait", 1.5, b"so far")


def test_a_cancelled_call_is_aborted_and_waited_for() -> None:
    go, ended = threading.Event(), threading.Event()

    def call() -> None:
        go.wait(10)
        time.sleep(0.05)
        ended.set()

    async def main() -> None:
        task = asyncio.create_task(in_thread(call, abort=go.set))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(main())


def test_a_call_that_was_cancelled_too_late_is_undone() -> None:
    undone: list[str] = []

    async def main() -> None:
        release = threading.Event()

        def call() -> str:
            release.wait(10)
            return "result"

        task = asyncio.create_task(in_thread(call, undo=undone.append))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0)
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert undone == ["result"]


def test_an_error_of_a_call_comes_through() -> None:
    def call() -> None:
        raise SpecError("failed to do that")

    async def main() -> None:
        await in_thread(call)

    with pytest.raises(SpecError, match="failed to do that"):
        asyncio.run(main())
