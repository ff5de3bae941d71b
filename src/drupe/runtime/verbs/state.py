"""``state``: prints the state of a container."""

from __future__ import annotations

import json

from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed
from drupe.runtime.words import one

OPTIONS: tuple[Option, ...] = ()


def main(home: Home, given: Parsed) -> int:
    """Prints it as JSON."""
    container = home.find(one(given))
    facts, state = container.facts, container.state()
    annotations = state.pop("annotations", None)
    state |= {"rootfs": facts.rootfs, "created": facts.created}
    if annotations:
        state["annotations"] = annotations
    print(json.dumps({**state, "owner": ""}, indent=2))
    return 0
