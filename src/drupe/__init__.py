"""drupe: containers that each run on a Linux kernel of their own, in user space.

The names below are the public Python API, together with ``drupe.aio`` (the same for asyncio) and
``drupe.errors``. They are imported when first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drupe import aio as aio
    from drupe import errors as errors
    from drupe.api.container import Container, get, list_containers
    from drupe.api.disk import disk_usage, prune_containers
    from drupe.api.events import events
    from drupe.api.files import FileSystem
    from drupe.api.image import Image
    from drupe.api.network import Network
    from drupe.api.options import ContainerOptions
    from drupe.api.results import CompletedExec, CompletedRun
    from drupe.api.run import run
    from drupe.api.stream import ExecStream
    from drupe.api.volume import Volume
    from drupe.container.events import Event
    from drupe.container.figures import Figures
    from drupe.container.files import Change, FileInfo
    from drupe.container.log import Entry
    from drupe.container.record import State
    from drupe.container.status import Health
    from drupe.container.unpacking import LeftOut
    from drupe.guest.figures import Task
    from drupe.net.config import Port
    from drupe.net.named import Member

__version__ = "0.1.0"

__all__ = [
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
]

_HOMES = {
    "Change": "drupe.container.files",
    "CompletedExec": "drupe.api.results",
    "CompletedRun": "drupe.api.results",
    "Container": "drupe.api.container",
    "ContainerOptions": "drupe.api.options",
    "Entry": "drupe.container.log",
    "Event": "drupe.container.events",
    "Figures": "drupe.container.figures",
    "ExecStream": "drupe.api.stream",
    "FileInfo": "drupe.container.files",
    "FileSystem": "drupe.api.files",
    "Health": "drupe.container.status",
    "Image": "drupe.api.image",
    "LeftOut": "drupe.container.unpacking",
    "Member": "drupe.net.named",
    "Network": "drupe.api.network",
    "Port": "drupe.net.config",
    "State": "drupe.container.record",
    "Volume": "drupe.api.volume",
    "disk_usage": "drupe.api.disk",
    "Task": "drupe.guest.figures",
    "events": "drupe.api.events",
    "get": "drupe.api.container",
    "list_containers": "drupe.api.container",
    "prune_containers": "drupe.api.disk",
    "run": "drupe.api.run",
}


if not TYPE_CHECKING:  # who checks types would take any name for one of these

    def __getattr__(name: str) -> object:
        """Imports a public name when it is first used (PEP 562)."""
        from importlib import import_module

        if name in {"aio", "errors"}:
            return import_module(f"drupe.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module 'drupe' has no attribute '{name}'")
        value: object = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
