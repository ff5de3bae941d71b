"""What the host grants a container: its machine's control groups, from the record to the host.

``groups.json`` in the container's directory says which groups there are; it is written before they
are made and goes after them, so whoever finds it knows what to remove.
"""

from __future__ import annotations

import os
from pathlib import Path

from drupe.container.limits import Limits
from drupe.container.processes import machine_processes, network_process
from drupe.container.record import Record
from drupe.container.spec import ContainerSpec
from drupe.errors import HostError
from drupe.jail.plan import most_processes
from drupe.limits.group import Bounds, Groups
from drupe.store.atomic import read_json, write_json

MEMORY_EXTRA_BYTES = 64 << 20
MEMORY_EXTRA_SHARE = 2
"""The host's memory beyond the guest's: 64 MiB and a half. What the host's kernel needs for its
processes takes most of it: on ``um`` 185 KiB for each small guest process, measured with 120."""


def host_bounds(memory_bytes: int, limits: Limits) -> Bounds:
    """What a machine may use of its host."""
    return Bounds(
        memory_bytes=memory_bytes + memory_bytes // MEMORY_EXTRA_SHARE + MEMORY_EXTRA_BYTES,
        pids=limits.pids + most_processes(0) if limits.pids else most_processes(memory_bytes),
        cpus=limits.cpus,
        cpu_shares=limits.cpu_shares,
        cpuset=limits.cpuset,
    )


def make_groups(record: Record, spec: ContainerSpec) -> Groups:
    """Makes the control groups of a container's machine: those that this host lets us have.

    The caller holds the container's lock; those of an earlier run go first.

    Raises:
        HostError: a limit was asked for that needs one that we cannot have.
    """
    release(record)
    limits = spec.limits
    bounds = host_bounds(spec.memory_bytes, limits)
    groups = Groups.plan(_name(record), bounds)
    check_granted(limits, groups)
    if groups.controllers:
        write_json(groups_file(record), groups.paths, sync=False)
        groups.make(bounds)
    return groups


def check_granted(limits: Limits, groups: Groups) -> None:
    """Whether what was asked for can be kept.

    Raises:
        HostError: not; names the option.
    """
    for option, wanted in (("--cpus", limits.cpus), ("--cpu-shares", limits.cpu_shares)):
        if wanted and "cpu" not in groups.controllers:
            raise HostError(
                f"failed to use {option} {wanted:g}: no control group with the controller 'cpu' "
                "can be made here",
                hint="run as root, or in a group that is delegated to you: "
                "'systemd-run --user --scope -p Delegate=yes drupe ...'; or bind it to processors "
                "by --cpuset-cpus",
            )


def place(spec: ContainerSpec, pid: int) -> None:
    """Has a machine's first process, and so all of them, run on the processors that were asked for.

    Raises:
        HostError: this host refused.
    """
    if spec.limits.cpuset:
        try:
            os.sched_setaffinity(pid, spec.limits.cpuset)
        except OSError as error:
            cause = error.strerror
            raise HostError(f"failed to use processors {spec.limits.cpuset}: {cause}") from error


def confine(groups: Groups, pid: int) -> None:
    """Puts a machine into its groups: while its kernel boots, before it is told what to run.

    To join a group the host waits for all of its processors, for milliseconds, in which the kernel
    boots. What it has started by then is moved with it, until nothing is left.

    Raises:
        HostError: this host refused, or the machine has gone.
    """
    joined: set[int] = set()
    while groups.controllers and (left := set(machine_processes(pid)) - joined):
        for process in sorted(left):
            groups.join(process)
        joined |= left


def confine_network(groups: Groups, record: Record) -> None:
    """Puts a container's user-mode network into the groups of its machine.

    Raises:
        HostError: this host refused.
    """
    network = network_process(record) if groups.controllers else None
    if network is not None:
        groups.join(network.pid)


def change(record: Record, spec: ContainerSpec, pid: int) -> None:
    """Has a machine that runs keep to other limits.

    Raises:
        HostError: this host refused, or grants no control group for them.
    """
    limits = host_bounds(spec.memory_bytes, spec.limits)
    # Those that it is in already are kept, with bounds that bound nothing.
    planned = Groups.plan(_name(record), limits)
    groups = Groups.at({**groups_of(record).paths, **planned.paths})
    check_granted(spec.limits, groups)
    if groups.controllers:
        write_json(groups_file(record), groups.paths, sync=False)
        groups.make(limits)
        confine(groups, pid)
        confine_network(groups, record)
    if spec.limits.cpuset:
        for process in machine_processes(pid):
            place(spec, process)


def groups_of(record: Record) -> Groups:
    """The groups that a container's machine has, or had; perhaps none."""
    try:
        return Groups.at(read_json(groups_file(record)))
    except FileNotFoundError:
        return Groups({})


def release(record: Record) -> None:
    """Removes the groups of a machine that has ended; the caller holds the container's lock.

    Raises:
        HostError: processes are left in one.
    """
    groups = groups_of(record)
    if groups.controllers:
        groups.remove()
        groups_file(record).unlink(missing_ok=True)


def _name(record: Record) -> str:
    return f"drupe-{record.id[:12]}"


def groups_file(record: Record) -> Path:
    """The file that says which groups a container has."""
    return record.directory / "groups.json"
