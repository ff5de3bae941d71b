"""Being let in: a registry's challenge, answered with a password or with a token for it."""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import NamedTuple

from drupe.errors import HostError, SpecError
from drupe.registry.credentials import Credentials
from drupe.registry.http import Pause, Transport, later, read_document

_TOKEN_BYTES_MOST = 1 << 20
_PARAMETER = re.compile(r'([A-Za-z_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Challenge(NamedTuple):
    """What a registry wants: ``basic`` or ``bearer``, and for the latter where tokens are."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenge(header: str) -> Challenge | None:
    """The challenge in a ``WWW-Authenticate`` header, if it is one that we can answer."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() not in {"basic", "bearer"}:
        return None
    found = {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PARAMETER.finditer(rest)}
    return Challenge(
        scheme.lower(), found.get("realm", ""), found.get("service", ""), found.get("scope", "")
    )


def answer(
    transport: Transport, challenge: Challenge, scope: str, credentials: Credentials | None
) -> str | None:
    """The value of an ``Authorization`` header; None where nothing can be answered.

    Raises:
        HostError: the token server refused, or cannot be reached.
        SpecError: it is at a place where no password must be sent.
    """
    if challenge.scheme == "basic":
        return None if credentials is None else credentials.basic
    parts = urllib.parse.urlsplit(challenge.realm)
    registry = urllib.parse.urlsplit(f"//{transport.registry}")
    plain = parts.scheme == "http" and (
        not transport.checked or parts.hostname == registry.hostname
    )
    if parts.scheme != "https" and not plain:
        raise SpecError(
            f"failed to log in at '{transport.registry}': it wants tokens from "
            f"'{challenge.realm[:200]}'"
        )
    return f"Bearer {_token(transport, challenge, challenge.scope or scope, credentials)}"


def _token(
    transport: Transport, challenge: Challenge, scope: str, credentials: Credentials | None
) -> str:
    what = f"log in at '{transport.registry}'"
    query = {"service": challenge.service, "scope": scope}
    method, headers, body = "GET", {}, None
    url = challenge.realm
    if credentials is not None and credentials.identity_token:
        form = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token}
        body = urllib.parse.urlencode({**query, **form, "client_id": "drupe"}).encode()
        method, headers["Content-Type"] = "POST", "application/x-www-form-urlencoded"
    else:
        url += ("&" if "?" in url else "?") + urllib.parse.urlencode(
            [entry for entry in query.items() if entry[1]]
        )
        if credentials is not None:
            headers["Authorization"] = credentials.basic
    found = b""

    def attempt() -> Pause | None:
        nonlocal found
        with transport.request(method, url, headers, body) as got:
            if got.status in {401, 403}:
                raise HostError(
                    f"failed to {what}: access is denied",
                    hint=f"'drupe login {transport.registry}' with the right password",
                )
            if (pause := later(got)) is not None:
                return pause
            if got.status != 200:
                raise HostError(f"failed to {what}: the token server answers {got.status}")
            found = read_document(got, _TOKEN_BYTES_MOST)
            return None

    transport.patiently(what, attempt)
    try:
        value = json.loads(found)
        token = value.get("token") or value.get("access_token")
    except (ValueError, AttributeError):
        token = None
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        raise SpecError(f"failed to {what}: the token server answers with nonsense")
    return token
