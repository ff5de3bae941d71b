"""``events``: shows what a container uses, once or again and again."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any

from drupe.container.figures import Figures, figures
from drupe.errors import SpecError, StateError
from drupe.runtime.container import Container
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed, switch
from drupe.runtime.words import one

OPTIONS: tuple[Option, ...] = (Option("interval"), switch("stats"))

_INTERVAL = r"(\d{1,9})(ms|s|m|h)"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def main(home: Home, given: Parsed) -> int:
    """Prints a line of JSON for each look; without --stats, until the container ends."""
    container = home.find(one(given))
    match = re.fullmatch(_INTERVAL, given.text("interval", "5s"), re.ASCII)
    if match is None or not int(match[1]):
        raise SpecError("duration interval must be greater than 0")
    container.require("container is not running", "running", "paused")
    if given.flag("stats"):
        _tell(container)
        return 0
    while container.status() in {"running", "paused"}:
        try:
            _tell(container)
        except StateError:
            break  # it has just ended
        time.sleep(int(match[1]) * _SECONDS[match[2]])
    return 0


def _tell(container: Container) -> None:
    data = _data(container, figures(container.record))
    print(json.dumps({"type": "stats", "id": container.id, "data": data}, separators=(",", ":")))
    sys.stdout.flush()


def _data(container: Container, found: Figures) -> dict[str, Any]:
    """What runc calls them; processor and memory are those of the host that the machine takes."""
    limit = container.facts.memory_bytes
    return {
        "cpu": {"usage": {"total": found.cpu_ns, "kernel": 0, "user": 0}, "throttling": {}},
        "cpuset": {},
        "memory": {
            "usage": {"limit": limit, "usage": found.memory_bytes, "failcnt": 0},
            "swap": {"limit": 0, "failcnt": 0},
            "kernel": {"limit": 0, "failcnt": 0},
            "kernelTCP": {"limit": 0, "failcnt": 0},
        },
        "pids": {"current": found.inside.threads},
        "blkio": {},
        "hugetlb": {},
        "intel_rdt": {},
        "network_interfaces": None,
    }
