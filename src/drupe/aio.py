"""The Python API for asyncio: the same names as in ``drupe``, to be awaited.

Cancelling a call ends what it started and removes it before the call returns: nothing is left
running. What blocks, such as the start of a container, runs in a thread of its own, never in the
event loop's pool; processes are followed by the event loop itself.
"""

from drupe.api.async_container import Container, get, list_containers
from drupe.api.async_files import FileSystem
from drupe.api.async_image import Image
from drupe.api.async_run import run
from drupe.api.async_stream import ExecStream
from drupe.api.async_volume import Volume
from drupe.api.disk import disk_usage_async as disk_usage
from drupe.api.disk import prune_containers_async as prune_containers
from drupe.api.events import async_events as events
from drupe.api.network import AsyncNetwork as Network
from drupe.api.results import CompletedExec, CompletedRun

__all__ = [
    "CompletedExec",
    "CompletedRun",
    "Container",
    "ExecStream",
    "FileSystem",
    "Image",
    "Network",
    "Volume",
    "disk_usage",
    "events",
    "get",
    "list_containers",
    "prune_containers",
    "run",
]
