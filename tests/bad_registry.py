"""A registry on a loopback port of this process that does what it should not, where told to."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import json
import os
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from drupe.oci.manifest import OCI_CONFIG, OCI_LAYER
from tests.unit.test_image_root import archive, member

CONTENT = os.urandom(1 << 20)
"""Of the only file in its image, ``a``."""


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one image, and lets a test get in the way."""

    server: BadRegistry

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        registry = self.server
        path = self.path
        registry.seen[f"{path} {self.headers.get('Range', '')}".strip()] += 1
        registry.authorizations.append(self.headers.get("Authorization"))
        for pattern, trick in registry.tricks:
            if re.fullmatch(pattern, path) and trick(self):
                return
        name = path.rpartition("/")[2]
        if path == "/v2/":
            self.answer(200, b"{}")
        elif name in registry.blobs:
            self.blob(registry.blobs[name])
        else:
            self.answer(404, b'{"errors":[{"code":"UNKNOWN","message":"not\\u001b[2J here"}]}')

    do_HEAD = do_GET  # noqa: N815 (the library's form)

    def blob(self, data: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked is None:
            self.answer(200, data)
            return
        start = int(asked[1])
        where = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.answer(206, data[start:], {"Content-Range": where})

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)

    def cut(self, *, after: bytes = b"", length: int | None = None) -> bool:
        """Sends the beginning of an answer and hangs up."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(after) if length is None else length))
        self.end_headers()
        self.wfile.write(after)
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        return True

    def drop(self) -> bool:
        """Hangs up."""
        self.connection.shutdown(socket.SHUT_RDWR)
        return True


Trick = Callable[[Handler], bool]


class BadRegistry(http.server.ThreadingHTTPServer):
    """An image ``x`` of one gzipped layer, with the tag ``latest``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: Counter[str] = Counter()
        self.authorizations: list[str | None] = []
        self.tricks: list[tuple[str, Trick]] = []
        self.blobs: dict[str, bytes] = {}
        layer = archive(member("a", CONTENT))
        packed = gzip.compress(layer, 1)
        config = json.dumps({"rootfs": {"diff_ids": [sha256(layer)]}}).encode()
        self.layer = sha256(packed)
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "config": self.add(config, OCI_CONFIG),
            "layers": [self.add(packed, f"{OCI_LAYER}+gzip")],
        }
        self.manifest = manifest
        self.publish(manifest)

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.server_port}/x"

    def add(self, data: bytes, kind: str) -> dict[str, object]:
        self.blobs[sha256(data)] = data
        return {"mediaType": kind, "digest": sha256(data), "size": len(data)}

    def publish(self, manifest: dict[str, Any]) -> None:
        self.blobs["latest"] = json.dumps(manifest).encode()
        self.blobs[sha256(self.blobs["latest"])] = self.blobs["latest"]

    def trick(self, path: str, trick: Trick) -> None:
        self.tricks.append((path, trick))

    def once(self, path: str, trick: Trick, times: int = 1) -> None:
        left = [times]

        def some(handler: Handler) -> bool:
            left[0] -= 1
            return left[0] >= 0 and trick(handler)

        self.trick(path, some)


@contextlib.contextmanager
def serving() -> Iterator[BadRegistry]:
    """One that serves, and does nothing wrong until it is told a trick."""
    server = BadRegistry()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
