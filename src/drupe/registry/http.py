"""HTTP as registries need it: TLS that is checked, few redirects, patience, and an end at any time.

``http.client`` in threads: a request at a time in each, and whoever waits for them can cut all.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

from drupe.errors import HostError, SpecError

TIMEOUT_S = 30.0
"""How long nothing may come; and how long a small answer may take in all."""
_TRIES = 4
_PAUSE_S = 0.5
_PAUSE_MOST_S = 10.0
_REDIRECTS_MOST = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_PASSING = {408, 429, 500, 502, 503, 504}
"""Answers that another try may change."""

BROKEN = (OSError, http.client.HTTPException)
"""What says that a connection did not do what it should: refused, cut, timed out, no HTTP."""

_CERTIFICATES = ("/etc/containers/certs.d", "/etc/docker/certs.d")
_AGENT = "drupe"


class Pause(NamedTuple):
    """An answer that says: later. How long, in seconds, if it says that, too."""

    seconds: float | None = None


class Transport:
    """Connections to one registry, and to wherever it redirects.

    Attributes:
        checked: TLS is demanded, and certificates are checked.
    """

    def __init__(self, registry: str, *, checked: bool = True) -> None:
        self.checked = checked
        self.registry = registry
        self._live: set[http.client.HTTPConnection] = set()
        self._cut = threading.Event()
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def cut(self) -> None:
        """Ends all that is under way, and what comes after: for whoever was interrupted."""
        with self._lock:
            self._cut.set()
            live = list(self._live)
        for connection in live:
            with suppress(OSError):
                if connection.sock is not None:
                    connection.sock.shutdown(2)

    @property
    def is_cut(self) -> bool:
        """Whether ``cut`` was called."""
        return self._cut.is_set()

    @contextmanager
    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] = MappingProxyType({}),
        body: bytes | BinaryIO | None = None,
        size: int = 0,
    ) -> Iterator[http.client.HTTPResponse]:
        """One request, and where it redirects to; the answer, whatever its status is.

        ``Authorization`` is not sent to another host than the first.

        Raises:
            OSError, HTTPException: ``BROKEN``.
            SpecError: it redirects to where it must not, or for ever.
        """
        sent = dict(headers)
        for _ in range(_REDIRECTS_MOST + 1):
            connection, target = self._connect(url)
            try:
                if body is not None:
                    sent["Content-Length"] = str(size if not isinstance(body, bytes) else len(body))
                connection.request(method, target, body, {"User-Agent": _AGENT, **sent})
                answer = connection.getresponse()
                where = answer.headers.get("Location")
                if method not in {"GET", "HEAD"} or answer.status not in _REDIRECTS or not where:
                    yield answer
                    return
            finally:
                with self._lock:
                    self._live.discard(connection)
                connection.close()
            url = self._redirected(url, urllib.parse.urljoin(url, where), sent)
        raise SpecError(f"failed to talk to '{self.registry}': it redirects for ever")

    def patiently(self, what: str, attempt: Callable[[], Pause | None]) -> None:
        """Tries something until it works: some times, with longer and longer pauses.

        ``attempt`` returns None when it is done. It raises ``BROKEN`` or returns a pause where
        another try may help.

        Raises:
            HostError: it never did.
        """
        pause = _PAUSE_S
        for remaining in reversed(range(_TRIES)):
            asked: float | None = None
            try:
                answer = attempt()
                if answer is None:
                    return
                asked, cause = answer.seconds, "it cannot now"
            except ssl.SSLCertVerificationError as error:
                raise HostError(
                    f"failed to {what}: {error.verify_message}",
                    hint="--tls-verify=false does without, if you trust the network",
                ) from error
            except ConnectionAbortedError:
                raise
            except BROKEN as error:
                cause = _cause(error)
                if not remaining or _is_final(error):
                    raise HostError(
                        f"failed to {what}: '{self.registry}' does not answer well: {cause}",
                        hint=_hint(error),
                    ) from error
            if not remaining:
                raise HostError(
                    f"failed to {what}: '{self.registry}' said {_TRIES} times that {cause}",
                    hint="try again later",
                )
            if self._cut.wait(min(_PAUSE_MOST_S, pause if asked is None else asked)):
                raise ConnectionAbortedError("interrupted")
            pause *= 2

    def _redirected(self, old: str, new: str, headers: dict[str, str]) -> str:
        before, after = urllib.parse.urlsplit(old), urllib.parse.urlsplit(new)
        if after.scheme not in {"http", "https"} or (
            (before.scheme, after.scheme) == ("https", "http") and self.checked
        ):
            raise SpecError(f"failed to talk to '{self.registry}': it redirects to '{new[:200]}'")
        if before[:2] != after[:2]:
            headers.pop("Authorization", None)
        return new

    def _connect(self, url: str) -> tuple[http.client.HTTPConnection, str]:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname or ""
        try:
            port = parts.port
        except ValueError:
            raise SpecError(f"failed to use '{url[:200]}': no such port") from None
        connection: http.client.HTTPConnection
        proxy = _proxy(parts.scheme, host)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        if parts.scheme == "https":
            to, to_port = proxy or (host, port)
            connection = http.client.HTTPSConnection(
                to, to_port, timeout=TIMEOUT_S, context=self._tls()
            )
            if proxy is not None:
                connection.set_tunnel(host, port or 443)
        else:
            to, to_port = proxy or (host, port)
            connection = http.client.HTTPConnection(to, to_port, timeout=TIMEOUT_S)
            target = url if proxy is not None else target
        with self._lock:
            if self._cut.is_set():
                raise ConnectionAbortedError("interrupted")
            self._live.add(connection)
        return connection, target

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = ssl.create_default_context()
                for home in _CERTIFICATES:
                    for path in Path(home, self.registry).glob("*.crt"):
                        self._context.load_verify_locations(path)
                if not self.checked:
                    self._context.check_hostname = False
                    self._context.verify_mode = ssl.CERT_NONE
            return self._context


def read_document(answer: http.client.HTTPResponse, most: int) -> bytes:
    """All of a small answer, or its first ``most`` bytes.

    Raises:
        OSError, HTTPException: ``BROKEN``: it was cut, or comes too slowly.
    """
    deadline, data = time.monotonic() + TIMEOUT_S, b""
    while len(data) < most and (piece := answer.read1(most - len(data))):
        data += piece
        if time.monotonic() > deadline:
            raise TimeoutError
    announced = answer.headers.get("Content-Length", "")
    if announced.isdecimal() and len(data) < min(most, int(announced[:20])):
        raise ConnectionResetError(errno.ECONNRESET, "the connection was cut")
    return data


def later(answer: http.client.HTTPResponse) -> Pause | None:
    """The pause that an answer asks for; None where it is one to be used."""
    if answer.status not in _PASSING:
        return None
    asked = answer.headers.get("Retry-After", "")
    return Pause(float(asked) if asked.isdecimal() and len(asked) < 6 else None)


def is_loopback(registry: str) -> bool:
    """Whether a registry is on this machine: what is said to it does not leave that."""
    host = urllib.parse.urlsplit(f"//{registry}").hostname or ""
    parts = host.split(".")
    address = len(parts) == 4 and parts[0] == "127" and all(part.isdecimal() for part in parts)
    return address or host in {"localhost", "::1"}


def _proxy(scheme: str, host: str) -> tuple[str, int | None] | None:
    proxy = urllib.request.getproxies().get(scheme)
    if not proxy or is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    return parts.hostname or "", parts.port


def _is_final(error: BaseException) -> bool:
    """Whether another try would change nothing: there is no such name."""
    return isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME


def _cause(error: BaseException) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was cut"
    if isinstance(error, TimeoutError):
        return f"no answer in {TIMEOUT_S:.0f} s"
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__


def _hint(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return "it may not speak TLS; --tls-verify=false allows that, if you trust the network"
    return "is the name right, and is there a network? Run the command again: it goes on"
