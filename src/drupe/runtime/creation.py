"""``create``, which ``run`` begins with, too: from a bundle to a container that waits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from drupe.container.bounds import confine
from drupe.container.spec import MEMORY_DEFAULT_BYTES, MEMORY_LEAST_BYTES, parse_memory
from drupe.errors import DrupeError, HostError, SpecError
from drupe.kbuild.kernels import find_kernel
from drupe.oci.bundle import BundleConfig, read_bundle
from drupe.platform.registry import default_platform, find_platform
from drupe.runtime.boot import boot
from drupe.runtime.container import Container, Facts, annotation, now
from drupe.runtime.groups import bounds_of, make_groups, place, plan_groups
from drupe.runtime.home import Home
from drupe.runtime.hooks import run_hooks, run_hooks_on
from drupe.runtime.layout import lay_out, root_of
from drupe.runtime.network import joined
from drupe.runtime.options import Option, Parsed, switch
from drupe.runtime.targets import make_targets

_MEMORY_EXTRA_BYTES = 32 << 20
"""Beside what the container may use: its kernel's own, tables and a small guest's init."""

OPTIONS = (
    Option("bundle", "b"),
    Option("console-socket"),
    Option("pid-file"),
    switch("no-pivot", ignored=True),
    switch("no-new-keyring", ignored=True),
    Option("preserve-fds"),
)


class Wanted(NamedTuple):
    """What ``create`` was asked for.

    Attributes:
        id: of the container.
        bundle: absolute path.
        pid_file: where the machine's process is to be written, or empty.
    """

    id: str
    bundle: Path
    pid_file: str


def wanted(given: Parsed) -> Wanted:
    """What the command line says.

    Raises:
        SpecError: something is missing, or cannot be done.
    """
    if len(given.rest) != 1:
        raise SpecError("exactly one argument is needed: the container's id")
    if given.number("preserve-fds"):
        raise SpecError(
            "failed to use --preserve-fds: files of the host cannot be those of another kernel"
        )
    return Wanted(
        given.rest[0], Path(given.text("bundle") or ".").absolute(), given.text("pid-file")
    )


def read_config(bundle: Path) -> tuple[BundleConfig, bytes]:
    """A bundle's configuration, and the file that it was read from.

    Raises:
        SpecError: there is none, or it cannot be used.
    """
    if not bundle.is_dir():
        raise SpecError(f"chdir {bundle}: no such file or directory")
    try:
        data = (bundle / "config.json").read_bytes()
    except FileNotFoundError as error:
        raise SpecError("JSON specification file config.json not found") from error
    return read_bundle(data, f"'{bundle / 'config.json'}'"), data


def create(
    home: Home, asked: Wanted, config: BundleConfig, data: bytes, streams: Sequence[int]
) -> Container:
    """Makes a container that has everything but a running program.

    Raises:
        DrupeError: it cannot be made; nothing is left.
    """
    platform = find_platform(annotation(config.annotations, "platform") or default_platform())
    kernel = find_kernel(annotation(config.annotations, "profile") or "general")
    with home.creating(asked.id) as container:
        try:
            layout = lay_out(config, asked.bundle, platform)
            container.write(_facts(config, asked.bundle, home), data)
            make_targets(layout)

            facts, resources = container.facts, config.linux.resources
            groups = make_groups(facts.groups, bounds_of(resources, facts.memory_bytes))

            def on_machine(pid: int) -> None:
                if resources.cpus:
                    place(pid, resources.cpus)
                confine(groups, pid)
                state = container.state("creating", pid)
                run_hooks("prestart", config.hooks.prestart, state)
                run_hooks("createRuntime", config.hooks.create_runtime, state)
                run_hooks("createContainer", config.hooks.create_container, state)

            with joined(config) as network:
                pid = boot(
                    container, config, layout, platform, kernel.linux, streams, network, on_machine
                )
            if asked.pid_file:
                write_pid(asked.pid_file, pid)
        except DrupeError:
            stopped = container.state("stopped") if config.hooks.poststop else {}
            run_hooks_on("poststop", config.hooks.poststop, stopped)
            raise
    return container


def write_pid(path: str, pid: int) -> None:
    """Writes a process id; whoever waits for the file finds it whole.

    Raises:
        HostError: the disk refused.
    """
    beside = Path(path).with_name(f".{Path(path).name}")
    try:
        beside.write_text(str(pid))
        beside.replace(path)
    except OSError as error:
        raise HostError(f"failed to write '{path}': {error.strerror}") from error


def _facts(config: BundleConfig, bundle: Path, home: Home) -> Facts:
    return Facts(
        version=config.version,
        bundle=str(bundle),
        rootfs=str(root_of(config, bundle)),
        created=now(),
        owner=os.geteuid(),
        machine=os.urandom(32).hex(),
        memory_bytes=_memory(config),
        annotations=dict(config.annotations),
        groups=plan_groups(config.linux.cgroups_path, systemd=home.systemd),
    )


def _memory(config: BundleConfig) -> int:
    """The kernel's memory: as the annotation says, or enough for the limit."""
    said = annotation(config.annotations, "memory")
    if said is not None:
        return parse_memory(said)
    limit = config.linux.resources.memory_bytes
    if limit is None or limit <= 0:
        return MEMORY_DEFAULT_BYTES
    size = max(limit, MEMORY_LEAST_BYTES) + _MEMORY_EXTRA_BYTES
    return (size + (1 << 20) - 1) >> 20 << 20
