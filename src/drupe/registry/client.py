"""One registry: manifests and blobs, in and out."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from drupe.errors import HostError, NotFoundError, SpecError
from drupe.oci.manifest import MANIFEST_TYPES
from drupe.oci.reference import DEFAULT_REGISTRY, Reference
from drupe.registry.auth import answer, parse_challenge
from drupe.registry.credentials import Credentials, find_credentials
from drupe.registry.http import BROKEN, Pause, Transport, is_loopback, later, read_document

_MANIFEST_BYTES_MOST = 4 << 20
_ERROR_BYTES_MOST = 64 << 10
_LOGINS_MOST = 2


class Document(NamedTuple):
    """A manifest as it came: its bytes, its media type, its digest."""

    data: bytes
    media_type: str
    digest: str


class Client:
    """A repository at a registry. May be used by several threads."""

    def __init__(
        self,
        reference: Reference,
        *,
        push: bool = False,
        checked: bool | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        """``checked``: TLS and certificates; default: yes, but for plain HTTP on this machine."""
        self._reference = reference
        self._registry = reference.registry
        self._transport = Transport(self._registry, checked=checked is not False)
        self._plain_allowed = checked is False or (checked is None and is_loopback(self._registry))
        self._scope = f"repository:{reference.repository}:pull{',push' if push else ''}"
        self._credentials = credentials
        self._looked_up = credentials is not None
        self._authorization: str | None = None
        self._lock = threading.RLock()
        self._base = ""

    def cut(self) -> None:
        """Ends all that is under way."""
        self._transport.cut()

    @property
    def is_cut(self) -> bool:
        """Whether ``cut`` was called."""
        return self._transport.is_cut

    def patiently(self, what: str, attempt: Callable[[], Pause | None]) -> None:
        """Tries something until it works; see ``Transport.patiently``."""
        self._transport.patiently(what, attempt)

    def ping(self) -> None:
        """Finds out how the registry is to be talked to, and whether we are let in.

        Raises:
            HostError: we are not, or nobody is there.
        """
        what = f"log in at '{self._registry}'"
        with self._send("GET", "/v2/", what=what) as got:
            self._expect(got, {200}, what)

    def manifest(self, name: str, what: str) -> Document:
        """A manifest or an index, by tag or digest.

        Raises:
            NotFoundError: there is none.
            SpecError: it is not what its digest says.
            HostError: the network failed, or we are not let in.
        """
        path = f"/v2/{self._reference.repository}/manifests/{name}"
        accepted = {"Accept": ", ".join(MANIFEST_TYPES)}
        data, media_type, said = b"", "", ""

        def attempt() -> None:
            nonlocal data, media_type, said
            with self._send("GET", path, accepted, what=what) as got:
                self._expect(got, {200}, what)
                data = read_document(got, _MANIFEST_BYTES_MOST + 1)
                media_type = got.headers.get("Content-Type", "").partition(";")[0].strip()
                said = got.headers.get("Docker-Content-Digest", "")

        self._transport.patiently(what, attempt)
        if len(data) > _MANIFEST_BYTES_MOST:
            raise SpecError(f"failed to {what}: its manifest is larger than 4 MiB")
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        wanted = name if name.startswith("sha256:") else said
        if wanted.startswith("sha256:") and digest != wanted:
            raise SpecError(
                f"failed to {what}: its manifest has the digest {digest}, and should have {wanted}"
            )
        return Document(data, media_type, digest)

    @contextmanager
    def blob(self, digest: str, offset: int, what: str) -> Iterator[http.client.HTTPResponse]:
        """A blob, from an offset on: 206, or 200 where the registry cannot do that.

        Raises:
            NotFoundError: there is none.
            OSError, HTTPException: the connection broke.
            HostError: we are not let in.
        """
        path = f"/v2/{self._reference.repository}/blobs/{digest}"
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with self._send("GET", path, headers, what=what) as got:
            self._expect(got, {200, 206}, what)
            yield got

    def has_blob(self, digest: str, what: str) -> bool:
        """Whether the registry has a blob."""
        path = f"/v2/{self._reference.repository}/blobs/{digest}"
        with self._send("HEAD", path, what=what) as got:
            if got.status == 404:
                return False
            self._expect(got, {200}, what)
            return True

    def push_blob(self, digest: str, path: Path, what: str) -> None:
        """Sends a blob.

        Raises:
            HostError: the network failed, or the registry refused.
        """
        uploads = f"/v2/{self._reference.repository}/blobs/uploads/"
        with self._send("POST", uploads, what=what, body=b"") as got:
            self._expect(got, {202}, what)
            where = urllib.parse.urljoin(self._base + uploads, got.headers.get("Location", ""))
        url = f"{where}{'&' if '?' in where else '?'}digest={urllib.parse.quote(digest)}"
        headers = {"Content-Type": "application/octet-stream"}
        with self._send("PUT", url, headers, what=what, body=path) as got:
            self._expect(got, {201}, what)

    def push_manifest(self, name: str, data: bytes, media_type: str, what: str) -> None:
        """Sends a manifest, whose blobs are there.

        Raises:
            HostError: the network failed, or the registry refused.
        """
        path = f"/v2/{self._reference.repository}/manifests/{name}"
        with self._send("PUT", path, {"Content-Type": media_type}, what=what, body=data) as got:
            self._expect(got, {201}, what)

    @contextmanager
    def _send(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        what: str,
        body: bytes | Path | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """A request that is let in if we can be; tried again until an answer has come."""
        refused = 0
        with ExitStack() as held:
            answers: list[http.client.HTTPResponse] = []

            def attempt() -> Pause | None:
                nonlocal refused
                held.close()
                base = self._find_base()
                url = path if "://" in path else base + path
                own = urllib.parse.urlsplit(url)[:2] == urllib.parse.urlsplit(base)[:2]
                sent = dict(headers or {})
                used = self._authorization
                if used is not None and own:
                    sent["Authorization"] = used
                stream, size = _stream(held, body)
                got = held.enter_context(self._transport.request(method, url, sent, stream, size))
                answers[:] = [got]
                if got.status == 401 and own and refused < _LOGINS_MOST:
                    refused += 1
                    if self._log_in(got.headers.get("WWW-Authenticate", ""), used):
                        return Pause(0.0)
                return later(got)

            self._transport.patiently(what, attempt)
            yield answers[0]

    def _log_in(self, header: str, used: str | None) -> bool:
        """Whether there is something new to try after a refusal."""
        challenge = parse_challenge(header)
        if challenge is None:
            return False
        with self._lock:
            if self._authorization != used:
                return True  # another thread has just done it
            if not self._looked_up:
                self._looked_up = True
                place = self._reference
                self._credentials = find_credentials(place.registry, place.repository)
            found = answer(self._transport, challenge, self._scope, self._credentials)
            if found is None or found == used:
                return False
            self._authorization = found
            return True

    def _find_base(self) -> str:
        """Where the registry is; on this machine, or if told so, it may speak plain HTTP."""
        with self._lock:
            if not self._base:
                host = self._registry
                if host == DEFAULT_REGISTRY:
                    host = f"registry-1.{DEFAULT_REGISTRY}"
                plain = self._plain_allowed and self._speaks_plainly(host)
                self._base = f"{'http' if plain else 'https'}://{host}"
            return self._base

    def _speaks_plainly(self, host: str) -> bool:
        """Asked before TLS: who wants that says so at once; the other way round it may hang."""
        try:
            with self._transport.request("GET", f"http://{host}/v2/") as got:
                return got.status != http.client.BAD_REQUEST
        except BROKEN:
            return False

    def _expect(self, got: http.client.HTTPResponse, statuses: set[int], what: str) -> None:
        if got.status in statuses:
            return
        said = _said(got)
        if got.status in {401, 403}:
            raise HostError(
                f"failed to {what}: access is denied{said}",
                hint=f"is the name right? 'drupe login {self._registry}' tells the registry who "
                "you are",
            )
        if got.status == 404:
            raise NotFoundError(
                f"failed to {what}: '{self._registry}' has no such image{said}",
                hint="is the name right, and the tag?",
            )
        raise HostError(f"failed to {what}: '{self._registry}' answers {got.status}{said}")


def _stream(held: ExitStack, body: bytes | Path | None) -> tuple[bytes | BinaryIO | None, int]:
    """A body from its beginning, and its size."""
    if not isinstance(body, Path):
        return body, 0
    return held.enter_context(body.open("rb")), body.stat().st_size


def _said(got: http.client.HTTPResponse) -> str:
    """What a registry says of an error, made fit for a terminal."""
    try:
        errors = json.loads(read_document(got, _ERROR_BYTES_MOST))["errors"]
        text = errors[0].get("message") or errors[0].get("code")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, *BROKEN):
        return ""
    clean = "".join(c for c in str(text) if c.isprintable())[:200]
    return f" ({clean})" if clean else ""
