"""An image's configuration: how its containers are to run, and what its layers unpack to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from drupe.errors import SpecError
from drupe.oci.document import Fields, parse_object
from drupe.oci.manifest import THIS
from drupe.oci.reference import is_digest


class Healthcheck(NamedTuple):
    """How to find out whether a container does its work; times in nanoseconds, 0: the default.

    Attributes:
        test: ("CMD", argument, ...), ("CMD-SHELL", text), or ("NONE",).
    """

    test: tuple[str, ...] = ()
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


class History(NamedTuple):
    """One step of an image's making.

    Attributes:
        created: time, as RFC 3339 has it, or empty.
        created_by: what was run.
        comment: a note.
        empty: it has no layer.
    """

    created: str = ""
    created_by: str = ""
    comment: str = ""
    empty: bool = False


class ImageConfig(NamedTuple):
    """A configuration; unknown members are left out. Missing ones are empty.

    Attributes:
        entrypoint: a program and first arguments.
        cmd: the default arguments, or the whole command without an entrypoint.
        env: NAME → value.
        user: user[:group].
        cwd: the directory.
        volumes: paths whose content is to outlive a container.
        ports: PORT/PROTOCOL that a container listens at.
        stop_signal: a signal's name or number, or empty.
        labels: notes.
        healthcheck: or None.
        shell: what runs commands given as a text.
        diff_ids: digests of the layers as plain tars, the lowest first.
        history: how it was made.
        created: time, as RFC 3339 has it, or empty.
        os, architecture: what it runs on.
    """

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = MappingProxyType({})
    user: str = ""
    cwd: str = ""
    volumes: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    stop_signal: str = ""
    labels: Mapping[str, str] = MappingProxyType({})
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] = ()
    diff_ids: tuple[str, ...] = ()
    history: tuple[History, ...] = ()
    created: str = ""
    os: str = THIS.os
    architecture: str = THIS.architecture


def parse_config(data: bytes, what: str) -> ImageConfig:
    """The configuration in ``data``; ``what`` names it in errors.

    Raises:
        SpecError: it is none.
    """
    return read_config(parse_object(data, what), what)


def read_config(value: Mapping[str, Any], what: str) -> ImageConfig:
    """The same of JSON that was read already.

    Raises:
        SpecError: something in it is of a wrong type, or no image runs so.
    """
    top = Fields(value, what)
    run = top.member("config")
    cwd = run.text("WorkingDir")
    if cwd and not cwd.startswith("/"):
        raise run.error("WorkingDir", cwd)
    ports = run.keys("ExposedPorts")
    for port in ports:
        if not re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5})?(/[a-z]{1,8})?", port, re.ASCII):
            raise run.error("ExposedPorts", port)
    diff_ids = top.member("rootfs").texts("diff_ids")
    for diff_id in diff_ids:
        if not is_digest(diff_id):
            raise top.error("diff_ids", diff_id)
    return ImageConfig(
        entrypoint=_command(run, value, "Entrypoint"),
        cmd=_command(run, value, "Cmd"),
        env=_env(run.texts("Env")),
        user=run.text("User"),
        cwd=cwd,
        volumes=run.keys("Volumes"),
        ports=ports,
        stop_signal=run.text("StopSignal"),
        labels=run.table("Labels"),
        healthcheck=_healthcheck(run.member("Healthcheck")) if run.has("Healthcheck") else None,
        shell=run.texts("Shell"),
        diff_ids=diff_ids,
        history=tuple(_history(entry) for entry in top.members("history")),
        created=top.text("created"),
        os=top.text("os", THIS.os),
        architecture=top.text("architecture", THIS.architecture),
    )


def check_target(config: ImageConfig, what: str) -> None:
    """Refuses an image that is for another kind of machine.

    Raises:
        SpecError: it is.
    """
    if (config.os, config.architecture) != THIS[:2]:
        raise SpecError(
            f"failed to use {what}: it is for {config.os}/{config.architecture}, not {THIS}"
        )


def _command(run: Fields, value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """An array of strings; old images have one string, which a shell is to run."""
    inner = value.get("config") or {}
    if isinstance(inner.get(name), str):
        return ("/bin/sh", "-c", inner[name])
    return run.texts(name)


def _env(entries: tuple[str, ...]) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in entries)
    return {name: text for name, _, text in pairs if name}


def _healthcheck(fields: Fields) -> Healthcheck:
    return Healthcheck(
        fields.texts("Test"),
        fields.number("Interval"),
        fields.number("Timeout"),
        fields.number("StartPeriod"),
        fields.number("StartInterval"),
        fields.number("Retries"),
    )


def _history(fields: Fields) -> History:
    return History(
        fields.text("created"),
        fields.text("created_by"),
        fields.text("comment"),
        fields.flag("empty_layer"),
    )
