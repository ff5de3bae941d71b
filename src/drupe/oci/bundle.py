"""A bundle's config.json as data: what a container is to be. Source: config.md.

Members that are unknown are left out, as the specification demands; known ones that cannot be what
they are, are errors.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from drupe.errors import SpecError
from drupe.oci.document import Fields, parse_object
from drupe.oci.linux import LinuxConfig, read_linux
from drupe.oci.process import ProcessConfig, read_process

VERSION = "1.2.0"
"""Of the specification, the newest that is served; ``VERSION_LEAST`` the oldest."""
VERSION_LEAST = "1.0.0"

_NAME_MOST = 64
_SEMVER = r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"


class BundleMount(NamedTuple):
    """A mount.

    Attributes:
        target: absolute path in the container.
        kind: a file system's type; empty: a bind mount, or as the source's.
        source: path on the host, or a name.
        options: as mount(8) has them.
    """

    target: str
    kind: str = ""
    source: str = ""
    options: tuple[str, ...] = ()


class Hook(NamedTuple):
    """A program that runs at a point in a container's life.

    Attributes:
        path: absolute.
        args: its arguments, its name the first; empty: its path alone.
        env: NAME=value.
        timeout_s: seconds, or None.
    """

    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout_s: int | None = None


class Hooks(NamedTuple):
    """Programs in the order in which they run; the members are in the order of a life."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


HOOKS = {
    "prestart": "prestart",
    "createRuntime": "create_runtime",
    "createContainer": "create_container",
    "startContainer": "start_container",
    "poststart": "poststart",
    "poststop": "poststop",
}
"""Names of the specification → those of ``Hooks``."""


class BundleConfig(NamedTuple):
    """All of a config.json that concerns a Linux container.

    Attributes:
        version: of the specification.
        root: path of the root's directory, absolute or in the bundle.
        readonly: the root cannot be written.
        process: the main process.
        hostname, domainname: empty: nothing was said.
        mounts: in order.
        hooks: programs to run.
        annotations: notes.
        linux: the rest.
    """

    version: str
    root: str
    readonly: bool
    process: ProcessConfig
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[BundleMount, ...] = ()
    hooks: Hooks = Hooks()
    annotations: Mapping[str, str] = MappingProxyType({})
    linux: LinuxConfig = LinuxConfig()


def read_bundle(data: bytes, what: str) -> BundleConfig:
    """The configuration in ``data``; ``what`` names it in errors.

    Raises:
        SpecError: it is none, something in it cannot be, or it is for another system.
    """
    top = Fields(parse_object(data, what), what)
    root = top.member("root")
    if not root.text("path"):
        raise root.error("path", root.text("path"))
    if not top.has("process"):
        raise top.error("process", None)
    for name in ("hostname", "domainname"):
        if len(top.text(name).encode(errors="surrogateescape")) > _NAME_MOST:
            raise top.error(name, top.text(name))
    config = BundleConfig(
        version=_version(top),
        root=root.text("path"),
        readonly=root.flag("readonly"),
        process=read_process(top.member("process")),
        hostname=top.text("hostname"),
        domainname=top.text("domainname"),
        mounts=tuple(map(_mount, top.members("mounts"))),
        hooks=_hooks(top.member("hooks")),
        annotations=top.table("annotations"),
        linux=read_linux(top.member("linux")),
    )
    _check_bytes(config, what)
    return config


def _version(top: Fields) -> str:
    version = top.text("ociVersion")
    match = re.fullmatch(_SEMVER, version, re.ASCII)
    if match is None or match[1] != VERSION.partition(".")[0]:
        raise top.error("ociVersion", version)
    return version


def _mount(fields: Fields) -> BundleMount:
    target = fields.text("destination")
    if not target:
        raise fields.error("destination", target)
    # Relative ones are taken to begin at the root, as by other runtimes.
    target = posixpath.normpath(f"/{target}").replace("//", "/")
    return BundleMount(target, fields.text("type"), fields.text("source"), fields.texts("options"))


def _hooks(fields: Fields) -> Hooks:
    return Hooks(**{ours: tuple(map(_hook, fields.members(name))) for name, ours in HOOKS.items()})


def _hook(fields: Fields) -> Hook:
    path, timeout = fields.text("path"), fields.integer("timeout")
    if not path.startswith("/"):
        raise fields.error("path", path)
    if timeout is not None and timeout <= 0:
        raise fields.error("timeout", timeout)
    return Hook(path, fields.texts("args"), fields.texts("env"), timeout)


def _check_bytes(value: object, what: str) -> None:
    """No text can hold a NUL: all of them become names and arguments somewhere."""
    if isinstance(value, str):
        if "\0" in value:
            raise SpecError(f"failed to read {what}: {value!r:.60} holds a NUL byte")
    elif isinstance(value, tuple):
        for part in value:
            _check_bytes(part, what)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            _check_bytes((key, part), what)
