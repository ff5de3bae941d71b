"""``spec``: writes a config.json to begin with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from drupe.errors import HostError, StateError
from drupe.oci.bundle import VERSION
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed, switch

OPTIONS: tuple[Option, ...] = (Option("bundle", "b"), switch("rootless"))

_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
_MASKED = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/exitcode"]
_READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def main(home: Home, given: Parsed) -> int:
    """Writes it, unless there is one."""
    del home
    path = Path(given.text("bundle") or ".", "config.json")
    try:
        with path.open("x") as file:
            json.dump(_config(rootless=given.flag("rootless")), file, indent="\t")
            file.write("\n")
    except FileExistsError as error:
        raise StateError(f"file {path} exists. Remove it first") from error
    except OSError as error:
        raise HostError(f"failed to write '{path}': {error.strerror}") from error
    return 0


def _config(*, rootless: bool) -> dict[str, Any]:
    linux: dict[str, Any] = {
        "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
        "maskedPaths": _MASKED,
        "readonlyPaths": _READONLY,
    }
    if rootless:
        linux["namespaces"].append({"type": "user"})
        linux["uidMappings"] = [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
        linux["gidMappings"] = [{"containerID": 0, "hostID": os.getegid(), "size": 1}]
    return {
        "ociVersion": VERSION,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm",
            ],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES),
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "drupe",
        "mounts": [
            _mount("/proc", "proc"),
            _mount("/dev", "tmpfs", "nosuid", "mode=755", "size=65536k"),
            _mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666",
                   "mode=0620"),
            _mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777",  # noqa: S108
                   "size=65536k"),
            _mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
            _mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
        ],
        "linux": linux,
    }  # fmt: skip


def _mount(target: str, kind: str, *options: str) -> dict[str, Any]:
    mount: dict[str, Any] = {"destination": target, "type": kind, "source": kind}
    return {**mount, "options": list(options)} if options else mount
