"""docker's long names: ``drupe container logs`` is ``drupe logs``, ``image ls`` is ``images``."""

from __future__ import annotations

from collections.abc import Sequence

_CONTAINER = (
    "commit cp create diff exec export inspect kill logs pause port reattach rename restart rm run "
    "start stats stop top unpause update wait"
)
_IMAGE = "build history import load pull push save tag"

ALIASES: dict[str, dict[str, str]] = {
    "container": {"ls": "ps", "list": "ps", **{verb: verb for verb in _CONTAINER.split()}},
    "image": {
        "ls": "images",
        "list": "images",
        "rm": "rmi",
        **{verb: verb for verb in _IMAGE.split()},
    },
    "system": {"events": "events", "info": "info"},
}
"""Verb → the verb below it → the verb that it stands for."""


def shortened(arguments: Sequence[str]) -> list[str]:
    """The arguments with a long name replaced by the short one."""
    for verb in ALIASES.get(arguments[0], {}) if len(arguments) > 1 else ():
        if arguments[1] == verb:
            return [ALIASES[arguments[0]][verb], *arguments[2:]]
    return list(arguments)


def told(verb: str) -> str:
    """What the help of a verb says of them."""
    names = (
        f"'{verb} {name}' ('{meant}')" if name != meant else f"'{verb} {name}'"
        for name, meant in ALIASES[verb].items()
    )
    return f"The verbs of drupe itself have long names, too: {', '.join(names)}."
