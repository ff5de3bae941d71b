"""Changes of an image's configuration, in the words of a Dockerfile: ``CMD``, ``ENV`` and so on."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from drupe.errors import SpecError


def apply_changes(config: Mapping[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """A configuration's JSON with changes: ``CMD ["/bin/sh"]``, ``ENV A=1 B=2``, ``EXPOSE 80`` ...

    Also ENTRYPOINT, LABEL, USER, VOLUME, WORKDIR, STOPSIGNAL. The original is left as it is.

    Raises:
        SpecError: an instruction is unknown, or has not what it needs.
    """
    run = dict(config.get("config") or {})
    for change in changes:
        word, _, rest = change.strip().partition(" ")
        rest = rest.strip()
        apply = _INSTRUCTIONS.get(word.upper())
        if apply is None:
            raise SpecError(
                f"failed to change an image by '{change}': no such instruction",
                hint=f"there are {', '.join(sorted(_INSTRUCTIONS))}",
            )
        if not rest:
            raise _bad(change, "it says nothing")
        apply(run, rest, change)
    return {**config, "config": run}


def _bad(change: str, cause: str) -> SpecError:
    return SpecError(f"failed to change an image by '{change}': {cause}")


def _command(name: str) -> Callable[[dict[str, Any], str, str], None]:
    def apply(run: dict[str, Any], rest: str, change: str) -> None:
        run[name] = _array(rest, change) if rest.startswith("[") else ["/bin/sh", "-c", rest]

    return apply


def _array(rest: str, change: str) -> list[str]:
    try:
        value = json.loads(rest)
    except ValueError as error:
        raise _bad(change, f"not a JSON array: {error}") from None
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise _bad(change, "not a JSON array of strings")
    return value


def _text(name: str) -> Callable[[dict[str, Any], str, str], None]:
    def apply(run: dict[str, Any], rest: str, _: str) -> None:
        run[name] = rest

    return apply


def _workdir(run: dict[str, Any], rest: str, _: str) -> None:
    base = "" if rest.startswith("/") else (run.get("WorkingDir") or "/").rstrip("/") + "/"
    run["WorkingDir"] = base + rest


def _pairs(rest: str, change: str) -> dict[str, str]:
    """NAME=VALUE ..., quoted as for a shell; or the old form, NAME VALUE."""
    if re.match(r"[^\s=]+\s", rest) and "=" not in rest.split(maxsplit=1)[0]:
        name, _, value = rest.partition(" ")
        return {name: value.strip()}
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise _bad(change, str(error)) from None
    if not all(word.partition("=")[0] and "=" in word for word in words):
        raise _bad(change, "not NAME=VALUE")
    return dict(word.partition("=")[::2] for word in words)


def _env(run: dict[str, Any], rest: str, change: str) -> None:
    new = _pairs(rest, change)
    kept = [entry for entry in run.get("Env") or [] if entry.partition("=")[0] not in new]
    run["Env"] = kept + [f"{name}={value}" for name, value in new.items()]


def _label(run: dict[str, Any], rest: str, change: str) -> None:
    run["Labels"] = {**(run.get("Labels") or {}), **_pairs(rest, change)}


def _expose(run: dict[str, Any], rest: str, change: str) -> None:
    ports = dict(run.get("ExposedPorts") or {})
    for word in rest.split():
        if not re.fullmatch(r"[0-9]{1,5}(-[0-9]{1,5})?(/(tcp|udp|sctp))?", word, re.ASCII):
            raise _bad(change, f"'{word}' is not PORT[/PROTOCOL]")
        ports[word if "/" in word else f"{word}/tcp"] = {}
    run["ExposedPorts"] = ports


def _volume(run: dict[str, Any], rest: str, change: str) -> None:
    paths = _array(rest, change) if rest.startswith("[") else rest.split()
    run["Volumes"] = {**(run.get("Volumes") or {}), **{path: {} for path in paths}}


_INSTRUCTIONS: dict[str, Callable[[dict[str, Any], str, str], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": _label,
    "STOPSIGNAL": _text("StopSignal"),
    "USER": _text("User"),
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
