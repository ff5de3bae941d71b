"""Who we are at registries: the files of docker and podman, and their helper programs.

Source: containers-auth.json(5); docker's config.json and its credential helpers' protocol.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from drupe import process
from drupe.errors import CommandError, HostError, SpecError
from drupe.oci.document import parse_object
from drupe.oci.reference import DEFAULT_REGISTRY
from drupe.store import atomic, paths

_OLD_KEY = f"https://index.{DEFAULT_REGISTRY}/v1/"
_HELPER = r"[A-Za-z0-9._-]{1,64}"
_BY_TOKEN = "<token>"  # noqa: S105 (a user name that says what the secret is)


class Credentials(NamedTuple):
    """A name and a password, or a token that stands for both."""

    user: str = ""
    password: str = ""
    identity_token: str = ""

    @property
    def basic(self) -> str:
        """The value of an ``Authorization`` header."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def find_credentials(registry: str, repository: str = "") -> Credentials | None:
    """What is written down for a registry, or for the closest above a repository there.

    Raises:
        SpecError: a file is spoilt.
        HostError: it cannot be read, or names a helper that is not there.
    """
    names = list(_keys(registry, repository))
    for path in _files():
        value = _read(path)
        if value is None:
            continue
        helpers = _table(value, "credHelpers", path)
        store = value.get("credsStore")
        for name in names:
            helper = helpers.get(name) or store
            if isinstance(helper, str) and helper:
                found = _ask(helper, name)
                if found is not None:
                    return found
        entries = _table(value, "auths", path)
        for name in names:
            if isinstance(entries.get(name), dict):
                found = _entry(entries[name], path)
                if found is not None:
                    return found
    return None


def store_credentials(registry: str, credentials: Credentials) -> Path:
    """Writes credentials down, for podman and others too; returns the file."""
    pair = f"{credentials.user}:{credentials.password}".encode()
    return _change(registry, {"auth": base64.b64encode(pair).decode()})


def forget_credentials(registry: str) -> Path | None:
    """Takes credentials out of our file; None where there were none."""
    path = _own_file()
    value = _read(path) or {}
    return _change(registry, None) if registry in _table(value, "auths", path) else None


def _change(registry: str, entry: dict[str, str] | None) -> Path:
    path = _own_file()
    paths.private_dir(path.parent)
    value = _read(path) or {}
    entries = {k: v for k, v in _table(value, "auths", path).items() if k != registry}
    if entry is not None:
        entries[registry] = entry
    atomic.write_json(path, {**value, "auths": entries})
    return path


def _own_file() -> Path:
    if chosen := os.environ.get("REGISTRY_AUTH_FILE"):
        return Path(chosen)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        return Path(runtime, "containers/auth.json")
    return _config_home() / "containers/auth.json"


def _files() -> Iterator[Path]:
    yield _own_file()
    if not os.environ.get("REGISTRY_AUTH_FILE"):
        yield _config_home() / "containers/auth.json"
        home = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
        yield home / "config.json"


def _config_home() -> Path:
    value = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(value) if value.startswith("/") else Path.home() / ".config"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HostError(f"failed to read '{path}': {error.strerror}") from error
    return parse_object(data, f"'{path}'") if data.strip() else None


def _table(value: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = value.get(name) or {}
    if not isinstance(table, dict):
        raise SpecError(f"failed to read '{path}': '{name}' is not an object")
    return table


def _keys(registry: str, repository: str) -> Iterator[str]:
    parts = repository.split("/") if repository else []
    for count in range(len(parts), -1, -1):
        yield "/".join([registry, *parts[:count]])
    yield f"https://{registry}"
    yield f"https://{registry}/v1/"
    yield f"https://{registry}/v2/"
    if registry == DEFAULT_REGISTRY:
        yield _OLD_KEY
        yield f"index.{DEFAULT_REGISTRY}"


def _entry(entry: dict[str, Any], path: Path) -> Credentials | None:
    token = entry.get("identitytoken")
    if isinstance(token, str) and token:
        return Credentials(identity_token=token)
    text = entry.get("auth")
    if not isinstance(text, str) or not text:
        return None
    try:
        pair = base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise SpecError(f"failed to read '{path}': an 'auth' in it is spoilt") from error
    user, colon, password = pair.partition(":")
    return Credentials(user, password.rstrip("\0")) if colon else None


def _ask(helper: str, registry: str) -> Credentials | None:
    if not re.fullmatch(_HELPER, helper):
        raise SpecError(f"failed to use credential helper '{helper:.80}': not a name of one")
    try:
        data = process.run([f"docker-credential-{helper}", "get"], input_bytes=registry.encode())
    except CommandError:
        return None  # it knows nothing of this registry: helpers say that so
    with suppress(ValueError):
        value = json.loads(data)
        if isinstance(value, dict) and isinstance(value.get("Secret"), str):
            if value.get("Username") == _BY_TOKEN:
                return Credentials(identity_token=value["Secret"])
            return Credentials(str(value.get("Username", "")), value["Secret"])
    raise SpecError(f"failed to use credential helper '{helper}': it answers with nonsense")
