"""``list``: all containers below the root."""

from __future__ import annotations

import json
from typing import Any

from drupe.errors import SpecError, StateError
from drupe.runtime.container import Container
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed, switch

OPTIONS: tuple[Option, ...] = (Option("format", "f"), switch("quiet", "q"))


def main(home: Home, given: Parsed) -> int:
    """Prints them as a table, as JSON, or their ids."""
    form = given.text("format", "table")
    if form not in {"table", "json"}:
        raise SpecError(f"invalid format option: {form}")
    if given.flag("quiet"):
        for container in home.list():
            print(container.id)
        return 0
    rows = []
    for container in home.list():
        try:
            rows.append(_row(container))
        except StateError:
            continue  # it is being made, or removed
    if form == "json":
        print(json.dumps(rows, separators=(",", ":")), end="")
        return 0
    heads = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")
    names = ("id", "pid", "status", "bundle", "created", "owner")
    table = [heads, *(tuple(str(row[name]) for name in names) for row in rows)]
    widths = [max(12, *(len(line[i]) + 3 for line in table)) for i in range(len(heads))]
    for line in table:
        print("".join(map(str.ljust, line, widths)).rstrip())
    return 0


def _row(container: Container) -> dict[str, Any]:
    facts, state = container.facts, container.state()
    state |= {"rootfs": facts.rootfs, "created": facts.created, "owner": _name(facts.owner)}
    return state


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
