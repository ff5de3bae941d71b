"""What a new container may be given, and the checks of it that Python needs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypedDict

from drupe.container.images import PullPolicy
from drupe.container.life import HealthRequest
from drupe.container.networks import NetworkRequest
from drupe.container.request import RunRequest
from drupe.container.spec import MEMORY_DEFAULT_BYTES, check_name, parse_memory

_SIGNAL_MAX = 64


class ContainerOptions(TypedDict, total=False):
    """Keyword arguments of ``run``, ``Container.run`` and ``create``; None is as good as left out.

    Attributes:
        rootfs: a directory of the host to run instead of an image; it is only read, writes go to
            a layer that is thrown away.
        pull: when a registry is asked for the image: "missing" (default), "always" or "never".
        env: variables, NAME → value, above those of the image.
        workdir: directory of the main process, absolute, made if missing.
        user: user[:group] of the main process, names or numbers; default: root.
        groups: its supplementary groups, names or numbers.
        hostname: default: the first 12 digits of the container's id.
        volumes: directories and files of the host to share, or volumes: "HOST:GUEST[:ro]",
            "NAME:GUEST", "GUEST".
        mounts: the same as ``--mount`` says it: "type=bind,src=HOST,dst=GUEST".
        volumes_from: containers whose volumes it has, too, at the same places: "NAME[:ro]".
        memory: of the container, its kernel included: bytes, or a string such as "512m".
        platform: what runs its kernel; default: what ``DRUPE_PLATFORM`` names, or ``um``.
        kernel: a profile, the beginning of a kernel's id, or a path with a slash; default: the
            profile ``general``.
        name: unique among this user's containers; default: one is made up.
        labels: notes, NAME → value.
        entrypoint: a program that gets the command as its arguments.
        read_only: nothing of the root can be written.
        tmpfs: file systems in memory: "PATH" or "PATH:OPTION,..."; size, mode, exec.
        storage: of the writable layer: ``{"size": "1g"}``, ``{"layer": "memory"}``.
        ulimits: resource limits, "NAME=SOFT[:HARD]": "nofile=1024:4096".
        cap_add: capabilities that its processes may have, after a ``cap_drop``.
        cap_drop: those that they may not, or "ALL".
        privileged: all capabilities, which is so without ``cap_drop``.
        security_opt: "no-new-privileges".
        umask: of its processes, octal: "027".
        oom_score_adj: -1000 to 1000: whom the container's kernel kills last, or first.
        sysctls: settings of the container's kernel: {"net.ipv4.ip_forward": "1"}.
        shm_size: of /dev/shm: bytes, or a string such as "64m"; default: half of the memory.
        stop_signal: what ``stop`` sends, by name; default: "TERM".
        stop_timeout: seconds between that and SIGKILL; default: 10.
        cpus: processors' worth of time, such as 0.5.
        cpu_shares: weight against other containers, 1024 being usual.
        cpuset_cpus: processors of the host to run on: "0-2,5".
        pids_limit: processes and threads in it.
        tz: its time zone, "Area/City" or "local": this host's; default: the image's.
        restart: whether its main process is started again when it has ended: "no" (default),
            "on-failure", "on-failure:N", "always", "unless-stopped".
        health_cmd: a command for a shell that tells how it does; default: the image's.
        health_interval: seconds between two checks, or a string such as "1m30s"; default: 30.
        health_timeout: how long one may take; default: 30.
        health_retries: failures in a row that make it unhealthy; default: 3.
        health_start_period: in which failures do not count; default: none.
        health_start_interval: between two checks in that period; default: 5.
        no_healthcheck: none, whatever the image has.
        network: "none", "default", or the names of networks, "name=NAME,ip=ADDRESS,...": see
            ``Network``.
        publish: ports of the container that the host listens for, "[[ADDRESS:]HOST:]GUEST[/udp]":
            on 127.0.0.1 unless an address is given.
        publish_all: all that the image exposes, on free ports of the host.
        net_allow: what it may reach: "host[:PORT]", "none", "ADDRESS[/BITS][:PORT]",
            "NAME[:PORT]"; default: all but the host.
        dns: resolvers.
        dns_search: domains to search.
        dns_options: as in resolv.conf(5).
        add_hosts: lines of /etc/hosts, "NAME:ADDRESS".
        mac_address: of its first interface.
        ip: its IPv4 address on the first named network.
        ip6: its IPv6 address there.
        network_aliases: further names there.
    """

    rootfs: str | os.PathLike[str] | None
    pull: Literal["missing", "always", "never"] | None
    env: Mapping[str, str] | None
    workdir: str | None
    user: str | None
    groups: Sequence[str] | None
    hostname: str | None
    volumes: Sequence[str] | None
    mounts: Sequence[str] | None
    volumes_from: Sequence[str] | None
    memory: int | str | None
    platform: str | None
    kernel: str | os.PathLike[str] | None
    name: str | None
    labels: Mapping[str, str] | None
    entrypoint: str | None
    read_only: bool | None
    tmpfs: Sequence[str] | None
    storage: Mapping[str, str] | None
    ulimits: Sequence[str] | None
    cap_add: Sequence[str] | None
    cap_drop: Sequence[str] | None
    privileged: bool
    security_opt: Sequence[str] | None
    umask: str | None
    oom_score_adj: int | None
    sysctls: Mapping[str, str] | None
    shm_size: int | str | None
    stop_signal: str | None
    stop_timeout: float | None
    cpus: float | str | None
    cpu_shares: int | None
    cpuset_cpus: str | None
    pids_limit: int | None
    tz: str | None
    restart: str | None
    health_cmd: str | None
    health_interval: float | str | None
    health_timeout: float | str | None
    health_retries: int | None
    health_start_period: float | str | None
    health_start_interval: float | str | None
    no_healthcheck: bool
    network: str | Sequence[str] | None
    publish: Sequence[str] | None
    publish_all: bool
    net_allow: Sequence[str] | None
    dns: Sequence[str] | None
    dns_search: Sequence[str] | None
    dns_options: Sequence[str] | None
    add_hosts: Sequence[str] | None
    mac_address: str | None
    ip: str | None
    ip6: str | None
    network_aliases: Sequence[str] | None


def build_request(
    image: str | None,
    command: Sequence[str],
    options: ContainerOptions,
    *,
    stdin: bool = False,
    tty: bool = False,
    remove: bool = False,
    log: bool = True,
) -> RunRequest:
    """The request that these arguments make; the name is not part of it.

    Raises:
        TypeError: an argument is unknown, or of another type.
        ValueError: an argument makes no sense.
        SpecError: a size or a name is not one.
    """
    if unknown := set(options) - set(ContainerOptions.__annotations__):
        raise TypeError(f"unexpected keyword argument '{min(unknown)}'")
    if image is not None and options.get("rootfs") is not None:
        raise ValueError("an image and a rootfs: only one of them can be the root")
    rootfs, memory = options.get("rootfs"), options.get("memory")
    return RunRequest(
        pull=PullPolicy(options.get("pull") or PullPolicy.MISSING),
        image=image,
        args=check_strings("command", command),
        rootfs=None if rootfs is None else os.fspath(rootfs),
        entrypoint=options.get("entrypoint"),
        env=check_mapping("env", options.get("env")),
        cwd=options.get("workdir"),
        user=options.get("user") or "",
        groups=check_strings("groups", options.get("groups") or ()),
        hostname=options.get("hostname"),
        volumes=check_strings("volumes", options.get("volumes") or ()),
        mounts=check_strings("mounts", options.get("mounts") or ()),
        volumes_from=check_strings("volumes_from", options.get("volumes_from") or ()),
        memory_bytes=MEMORY_DEFAULT_BYTES if memory is None else _memory_bytes(memory),
        platform=options.get("platform"),
        kernel=_kernel(options.get("kernel")),
        stdin=stdin,
        terminal=tty,
        remove=remove,
        labels=check_mapping("labels", options.get("labels")),
        log=log,
        readonly=bool(options.get("read_only")),
        tmpfs=check_strings("tmpfs", options.get("tmpfs") or ()),
        storage_options=tuple(
            f"{name}={value}"
            for name, value in check_mapping("storage", options.get("storage")).items()
        ),
        ulimits=check_strings("ulimits", options.get("ulimits") or ()),
        cap_add=check_strings("cap_add", options.get("cap_add") or ()),
        cap_drop=check_strings("cap_drop", options.get("cap_drop") or ()),
        privileged=bool(options.get("privileged")),
        security_options=check_strings("security_opt", options.get("security_opt") or ()),
        umask=options.get("umask"),
        oom_score_adj=options.get("oom_score_adj"),
        sysctls=check_mapping("sysctls", options.get("sysctls")),
        shm_size=option_text(options.get("shm_size")),
        stop_signal=options.get("stop_signal"),
        stop_timeout_s=options.get("stop_timeout"),
        cpus=option_text(options.get("cpus")),
        cpu_shares=options.get("cpu_shares") or 0,
        cpuset_cpus=options.get("cpuset_cpus"),
        pids_limit=options.get("pids_limit") or 0,
        timezone=options.get("tz"),
        restart=options.get("restart") or "no",
        health=_health(options),
        network=_network(options),
    )


def _network(options: ContainerOptions) -> NetworkRequest:
    return NetworkRequest(
        networks=_names(options.get("network")),
        publish=check_strings("publish", options.get("publish") or ()),
        publish_all=bool(options.get("publish_all")),
        allow=check_strings("net_allow", options.get("net_allow") or ()),
        dns=check_strings("dns", options.get("dns") or ()),
        dns_search=check_strings("dns_search", options.get("dns_search") or ()),
        dns_options=check_strings("dns_options", options.get("dns_options") or ()),
        hosts=check_strings("add_hosts", options.get("add_hosts") or ()),
        mac=options.get("mac_address"),
        ip=options.get("ip"),
        ip6=options.get("ip6"),
        aliases=check_strings("network_aliases", options.get("network_aliases") or ()),
    )


def _names(network: str | Sequence[str] | None) -> tuple[str, ...]:
    return (network,) if isinstance(network, str) else check_strings("network", network or ())


def option_name(options: ContainerOptions) -> str | None:
    """The name asked for.

    Raises:
        SpecError: it cannot be a container's.
    """
    name = options.get("name")
    return None if name is None else check_name(name)


def option_text(value: float | str | None) -> str | None:
    """A number or a string, as a command line has it; None stays that."""
    return None if value is None else str(value)


def check_strings(what: str, strings: Sequence[str]) -> tuple[str, ...]:
    """A sequence of strings, which a string is not here.

    Raises:
        TypeError: something else.
    """
    if isinstance(strings, str | bytes):
        raise TypeError(
            f"{what} is a list of strings, not a string; for a shell: ['sh', '-c', {strings!r}]"
            if what == "command"
            else f"{what} is a list of strings, not a string"
        )
    for string in strings:
        if not isinstance(string, str):
            raise TypeError(f"{what} is a list of strings, and {string!r} is none")
    return tuple(strings)


def check_mapping(what: str, mapping: Mapping[str, str] | None) -> dict[str, str]:
    """Names and values, all strings.

    Raises:
        TypeError: something else.
        ValueError: a name is empty or holds "=".
    """
    for name, value in (mapping or {}).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"{what} maps strings to strings, not {name!r} to {value!r}")
        if not name or "=" in name:
            raise ValueError(f"{what}: {name!r} cannot be a name")
    return dict(mapping or {})


def check_input(data: bytes | bytearray | memoryview | None) -> bytes | None:
    """Bytes for standard input, or None.

    Raises:
        TypeError: something else, such as a string.
    """
    if data is not None and not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"input is bytes, not {type(data).__name__}")
    return None if data is None else bytes(data)


def check_seconds(what: str, seconds: float | None) -> float | None:
    """A time in seconds, or None: no limit.

    Raises:
        ValueError: negative, or not a number.
    """
    if seconds is not None and not (seconds >= 0 and math.isfinite(seconds)):
        raise ValueError(f"{what} of {seconds} seconds")
    return seconds


def check_signal(number: int) -> int:
    """A signal's number, by Linux's count.

    Raises:
        ValueError: none.
    """
    if not 1 <= number <= _SIGNAL_MAX:
        raise ValueError(f"signal {number}: there are 1 to {_SIGNAL_MAX}")
    return int(number)


def _memory_bytes(memory: int | str) -> int:
    if isinstance(memory, bool) or not isinstance(memory, int | str):
        raise TypeError(f"memory is bytes or a string such as '512m', not {memory!r}")
    return parse_memory(str(memory))


def _health(options: ContainerOptions) -> HealthRequest:
    return HealthRequest(
        cmd=options.get("health_cmd"),
        interval=option_text(options.get("health_interval")),
        timeout=option_text(options.get("health_timeout")),
        start_period=option_text(options.get("health_start_period")),
        start_interval=option_text(options.get("health_start_interval")),
        retries=options.get("health_retries"),
        disabled=bool(options.get("no_healthcheck")),
    )


def _kernel(kernel: str | os.PathLike[str] | None) -> str:
    if kernel is None:
        return "general"
    # A path object is a path, also where it has no slash.
    return kernel if isinstance(kernel, str) else str(Path(kernel).absolute())
