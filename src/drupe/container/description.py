"""Containers and images as ``inspect`` of docker tells them, by its names; drupe's own aside."""

from __future__ import annotations

import datetime as dt
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from drupe.container.bounds import groups_of
from drupe.container.life import Checks
from drupe.container.machine import machine_spec
from drupe.container.record import Condition, Record, State
from drupe.container.spec import ContainerSpec
from drupe.errors import NotFoundError
from drupe.net.config import Attachment, Port
from drupe.net.named import Networks
from drupe.platform.registry import find_platform
from drupe.store.schema import encode

if TYPE_CHECKING:
    from drupe.oci.config import ImageConfig

_NEVER = "0001-01-01T00:00:00Z"
"""What docker says of a time that has not come."""


def describe(record: Record) -> dict[str, object]:
    """A container.

    Raises:
        NotFoundError: it is gone.
        StateError: it is spoilt.
    """
    spec, condition = record.spec, record.condition()
    return {
        "Id": record.id,
        "Created": _time(spec.created_ns),
        "Path": spec.args[0],
        "Args": list(spec.args[1:]),
        "State": _state(condition),
        "Image": f"sha256:{spec.image_id}" if spec.image_id else "",
        "LogPath": str(record.path("log")),
        "Name": f"/{spec.name}",
        "RestartCount": condition.restarts,
        "Driver": "erofs" if spec.image else "directory",
        "Platform": "linux",
        "HostConfig": _host_config(spec),
        "Mounts": [*_volumes(spec), *_tmpfs(spec)],
        "Config": _config(spec),
        "NetworkSettings": _network(record, running=condition.pid is not None),
        "Drupe": {
            **encode(spec),
            "state": {
                "status": str(condition.state),
                "pid": condition.pid,
                "exit_status": condition.status,
                "started_ns": condition.started_ns,
                "ended_ns": condition.ended_ns,
                "restarts": condition.restarts,
                "health": None if condition.health is None else encode(condition.health),
            },
            "directory": str(record.directory),
            "control_groups": {name: path for name, (path, _) in groups_of(record).paths.items()},
            "jail": find_platform(spec.platform).describe(machine_spec(spec)),
        },
    }


def _state(condition: Condition) -> dict[str, object]:
    state = condition.state
    health = condition.health
    return {
        "Status": str(state),
        "Running": state in {State.RUNNING, State.PAUSED, State.RESTARTING},
        "Paused": state is State.PAUSED,
        "Restarting": state is State.RESTARTING,
        "Dead": state is State.DEAD,
        "Pid": condition.pid or 0,
        "ExitCode": condition.status or 0,
        "StartedAt": _time(condition.started_ns),
        "FinishedAt": _time(condition.ended_ns),
        "Health": health and {"Status": health.status, "Log": [{"Output": health.output}]},
    }


def _config(spec: ContainerSpec) -> dict[str, object]:
    return {
        "Hostname": spec.hostname,
        "User": spec.user,
        "Tty": spec.terminal,
        "OpenStdin": spec.stdin,
        "Env": _variables(spec.env),
        "Cmd": list(spec.args),
        "Healthcheck": _health(spec.health),
        "Image": spec.image_name,
        "WorkingDir": spec.cwd,
        "Labels": spec.labels,
        "StopSignal": signal.Signals(spec.stopping.signal).name
        if spec.stopping.signal in set(signal.Signals)
        else str(spec.stopping.signal),
        "StopTimeout": spec.stopping.grace_s,
    }


def _health(checks: Checks) -> dict[str, object] | None:
    if not checks.command:
        return None
    return {
        "Test": ["CMD", *checks.command],
        "Interval": round(checks.interval_s * 1e9),
        "Timeout": round(checks.timeout_s * 1e9),
        "StartPeriod": round(checks.start_period_s * 1e9),
        "StartInterval": round(checks.start_interval_s * 1e9),
        "Retries": checks.retries,
    }


def _host_config(spec: ContainerSpec) -> dict[str, object]:
    network = spec.network
    return {
        "Binds": [f"{v.name or v.source}:{v.target}{':ro' * v.readonly}" for v in spec.volumes],
        "NetworkMode": network.names[0],
        "PortBindings": _ports(network.ports),
        "RestartPolicy": {
            "Name": spec.restart.policy,
            "MaximumRetryCount": spec.restart.attempts,
        },
        "AutoRemove": spec.remove,
        "Dns": list(network.dns.servers),
        "DnsSearch": list(network.dns.search),
        "ExtraHosts": [f"{host.name}:{host.address}" for host in network.hosts],
        "GroupAdd": list(spec.groups),
        "ReadonlyRootfs": spec.storage.readonly,
        "Memory": spec.memory_bytes,
        "NanoCpus": round(spec.limits.cpus * 1e9),
        "CpuShares": spec.limits.cpu_shares,
        "CpusetCpus": ",".join(map(str, spec.limits.cpuset)),
        "PidsLimit": spec.limits.pids,
        "ShmSize": spec.tuning.shm_bytes,
        "Sysctls": dict(spec.tuning.sysctls),
    }


def _volumes(spec: ContainerSpec) -> list[dict[str, object]]:
    return [
        {
            "Type": "volume" if volume.name else "bind",
            "Name": volume.name,
            "Source": volume.source,
            "Destination": volume.target,
            "Mode": "ro" if volume.readonly else "rw",
            "RW": not volume.readonly,
        }
        for volume in spec.volumes
    ]


def _tmpfs(spec: ContainerSpec) -> list[dict[str, object]]:
    return [
        {
            "Type": "tmpfs",
            "Name": "",
            "Source": "",
            "Destination": mount.target,
            "Mode": mount.options,
            "RW": not mount.readonly,
        }
        for mount in spec.storage.tmpfs
    ]


def _network(record: Record, *, running: bool) -> dict[str, object]:
    """Where it can be found: by others on its networks, by the host through its ports."""
    network = record.spec.network
    networks = {one.name: _membership(record, one, running=running) for one in network.joined}
    first = next(iter(networks.values()), {})
    return {
        "Ports": _ports(network.ports) if running else {},
        "IPAddress": first.get("IPAddress", ""),
        "GlobalIPv6Address": first.get("GlobalIPv6Address", ""),
        "MacAddress": first.get("MacAddress", network.mac),
        "Networks": networks,
    }


def _membership(record: Record, wanted: Attachment, *, running: bool) -> dict[str, object]:
    """What it is on a named network, or is to be."""
    member = None
    if running:
        with suppress(NotFoundError):  # removed, or removed meanwhile
            found = Networks().members(wanted.name)
            member = next((one for one in found if one.id == record.id), None)
    return {
        "IPAddress": "" if member is None else member.address,
        "GlobalIPv6Address": "" if member is None else member.address6,
        "MacAddress": wanted.mac if member is None else member.mac,
        "Aliases": list(wanted.aliases if member is None else member.names),
    }


def _ports(ports: tuple[Port, ...]) -> dict[str, list[dict[str, str]]]:
    told: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        told.setdefault(f"{port.guest}/{port.protocol}", []).append(
            {"HostIp": port.address, "HostPort": str(port.host)}
        )
    return told


def find_and_describe_image(name: str) -> dict[str, object]:
    """An image.

    Raises:
        NotFoundError: there is none of that name.
    """
    from drupe.image.find import find_image, listed_images

    image = find_image(name)
    config = image.config
    called = [(r, i.digest) for r, i in listed_images() if r is not None and i.id == image.id]
    return {
        "Id": f"sha256:{image.id}",
        "RepoTags": [reference.familiar for reference, _ in called if reference.tag],
        "RepoDigests": [f"{r.familiar_name}@{digest}" for r, digest in called if digest],
        "Created": config.created,
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.root_bytes,
        "Config": _image_config(config),
        "RootFS": {"Type": "layers", "Layers": [layer.diff_id for layer in image.layers]},
        "Drupe": encode(image),
    }


def _image_config(config: ImageConfig) -> dict[str, object]:
    return {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.ports},
        "Env": _variables(config.env),
        "Entrypoint": list(config.entrypoint) or None,
        "Cmd": list(config.cmd) or None,
        "Volumes": {path: {} for path in config.volumes},
        "WorkingDir": config.cwd,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal,
    }


def _variables(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]


def _time(ns: int | None) -> str:
    if not ns:
        return _NEVER
    moment = dt.datetime.fromtimestamp(ns // 1_000_000_000, dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % 1_000_000_000:09d}Z"
