"""Stops a container where it is, and has it go on: by signals to the host processes of its machine.

What state it is in is what its first process is in; nothing is written down. So a command that dies
halfway leaves a container that either verb brings to where it should be.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from drupe.container.processes import machine_processes, network_process
from drupe.container.record import Record, State
from drupe.errors import HostError, StateError
from drupe.store.liveness import STOPPED, ProcessId

_STOP_TIMEOUT_S = 10.0
_POLL_S = 0.001


def pause(record: Record) -> None:
    """Stops all of a container's processes, its kernel the first, its network the last.

    Who connects to a published port then waits: the host's kernel accepts in the network's place.

    Raises:
        StateError: it does not run, or is paused already.
        HostError: it does not stop.
    """
    kernel = _kernel(record, {State.RUNNING, State.RESTARTING}, "pause")
    _signal(kernel.pid, signal.SIGSTOP)
    # From here on nothing is forked: that is the first process's affair.
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while (letter := kernel.letter()) != STOPPED:
        if letter is None:
            raise StateError(f"failed to pause container '{record.spec.name}': it has ended")
        if time.monotonic() > deadline:
            _go_on(record, kernel)
            raise HostError(f"failed to pause container '{record.spec.name}': it does not stop")
        time.sleep(_POLL_S)
    for process in machine_processes(kernel.pid)[1:]:
        # One that is traced stops for its tracer at any signal: at this one as for its next tick.
        _signal(process, signal.SIGALRM if _is_traced(process) else signal.SIGSTOP)
    _signal_network(record, signal.SIGSTOP)


def unpause(record: Record) -> None:
    """Has a container go on that was paused.

    Raises:
        StateError: it is not paused.
    """
    _go_on(record, _kernel(record, {State.PAUSED}, "unpause"))


def ensure_unpaused(record: Record) -> None:
    """Has a container go on, if it is paused."""
    with suppress(StateError):
        unpause(record)


def _kernel(record: Record, states: set[State], verb: str) -> ProcessId:
    condition, process = record.condition(), record.process()
    if condition.state not in states or process is None:
        raise StateError(
            f"failed to {verb} container '{record.spec.name}': it is {condition.state}"
        )
    return process


def _go_on(record: Record, kernel: ProcessId) -> None:
    """The first process goes on last: once it does, all do."""
    _signal_network(record, signal.SIGCONT)
    for process in reversed(machine_processes(kernel.pid)):
        if not _is_traced(process):
            _signal(process, signal.SIGCONT)


def _signal_network(record: Record, number: int) -> None:
    network = network_process(record)
    if network is not None:
        _signal(network.pid, number)


def _is_traced(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "TracerPid:\t0\n" not in status


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
