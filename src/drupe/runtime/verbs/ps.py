"""``ps``: shows the processes of a container, which are those of its kernel on the host."""

from __future__ import annotations

import json

from drupe.container.processes import machine_processes
from drupe.errors import SpecError, StateError
from drupe.guest.figures import ask_processes
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed

OPTIONS: tuple[Option, ...] = (Option("format", "f"),)

_ANSWER_TIMEOUT_S = 30.0


def main(home: Home, given: Parsed) -> int:
    """Prints host process ids as JSON, or a table of what runs in the container."""
    if not given.rest:
        raise SpecError("at least one argument is needed: the container's id")
    form = given.text("format", "table")
    if form not in {"table", "json"}:
        raise SpecError("invalid format option")
    container = home.find(given.rest[0])
    condition = container.condition()
    if condition.pid is None:
        raise StateError("container not running")
    if form == "json":
        print(json.dumps(machine_processes(condition.pid)))
        return 0
    print("UID        PID  PPID S     TIME CMD")
    for task in ask_processes(container.record.control, timeout_s=_ANSWER_TIMEOUT_S):
        minutes, seconds = divmod(int(task.cpu_s), 60)
        time = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
        print(f"{task.uid:<6} {task.pid:>7} {task.parent:>5} {task.state} {time} {task.command}")
    return 0
