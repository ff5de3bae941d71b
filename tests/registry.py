"""Debian's docker-registry on a loopback port, with a directory and a configuration of its own."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import secrets
import shutil
import ssl
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

_LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")
_START_S = 20.0


class Registry:
    """A registry that runs, and the way to put blobs into it without drupe.

    Attributes:
        address: ``127.0.0.1:PORT``, what image names begin with.
        log: what the server has said so far.
    """

    def __init__(self, address: str, *, tls: ssl.SSLContext | None, user: str | None) -> None:
        self.address = address
        self.log: list[str] = []
        self._tls = tls
        self._headers: dict[str, str] = {}
        if user is not None:
            self._headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()

    def request(
        self, method: str, path: str, body: bytes | IO[bytes] = b"", **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """One request of the distribution API; the answer and its body.

        ``headers`` are written with ``_`` for ``-``.
        """
        host, _, port = self.address.partition(":")
        connection = (
            http.client.HTTPSConnection(host, int(port), timeout=60, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(host, int(port), timeout=60)
        )
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers={**self._headers, **named})
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def push_blob(self, repository: str, blob: bytes | Path) -> str:
        """Uploads a blob unless it is there; returns its digest."""
        content = hashlib.sha256()
        if isinstance(blob, Path):
            with blob.open("rb") as file:
                content = hashlib.file_digest(file, "sha256")
            size = blob.stat().st_size
        else:
            content.update(blob)
            size = len(blob)
        digest = f"sha256:{content.hexdigest()}"
        answer, _ = self.request("HEAD", f"/v2/{repository}/blobs/{digest}")
        if answer.status == http.client.OK:
            return digest
        answer, said = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        assert answer.status == http.client.ACCEPTED, said
        where = urlsplit(answer.headers["Location"])
        path = f"{where.path}?{where.query}{'&' if where.query else ''}digest={digest}"
        what = {"Content_Length": str(size), "Content_Type": "application/octet-stream"}
        if isinstance(blob, Path):
            with blob.open("rb") as file:
                answer, said = self.request("PUT", path, file, **what)
        else:
            answer, said = self.request("PUT", path, blob, **what)
        assert answer.status == http.client.CREATED, said
        return digest

    def push_manifest(self, repository: str, tag: str, manifest: bytes, media_type: str) -> str:
        """Uploads a manifest or an index, whose blobs must be there; returns its digest."""
        path = f"/v2/{repository}/manifests/{tag}"
        answer, said = self.request("PUT", path, manifest, Content_Type=media_type)
        assert answer.status == http.client.CREATED, said
        return f"sha256:{hashlib.sha256(manifest).hexdigest()}"

    def push_layout(self, layout: Path, name: str, repository: str, tag: str = "latest") -> str:
        """Uploads the image that an OCI layout's index calls ``name``; returns its digest."""
        index = json.loads((layout / "index.json").read_text())
        (found,) = (
            manifest
            for manifest in index["manifests"]
            if manifest.get("annotations", {}).get("org.opencontainers.image.ref.name") == name
        )
        return self._push_tree(layout, found, repository, tag)

    def _push_tree(
        self, layout: Path, descriptor: dict[str, Any], repository: str, tag: str
    ) -> str:
        raw = _blob(layout, descriptor).read_bytes()
        manifest = json.loads(raw)
        for part in manifest.get("manifests", ()):
            self._push_tree(layout, part, repository, part["digest"])
        for part in (manifest.get("config"), *manifest.get("layers", ())):
            if part is not None:
                self.push_blob(repository, _blob(layout, part))
        return self.push_manifest(repository, tag, raw, descriptor["mediaType"])


def _blob(layout: Path, descriptor: dict[str, Any]) -> Path:
    return layout / "blobs" / str(descriptor["digest"]).replace(":", "/")


@contextmanager
def running_registry(
    directory: Path,
    *,
    user: str | None = None,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[Registry]:
    """Runs a registry that keeps everything in ``directory``.

    Args:
        directory: where its configuration and its blobs lie; what is there already is served.
        user: ``NAME:PASSWORD`` that it asks for; None: anybody may do everything.
        certificate: the certificate and its key, in PEM: it talks TLS then, and clients of this
            module trust that certificate alone.

    Skips the test where Debian's docker-registry is not installed.
    """
    server = shutil.which("docker-registry")
    if server is None:
        pytest.skip("needs docker-registry: apt-get install docker-registry")
    listen: dict[str, Any] = {"addr": "127.0.0.1:0", "secret": secrets.token_hex(16)}
    configuration: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(directory / "blobs")},
            "delete": {"enabled": True},
        },
        "http": listen,
    }
    tls = None
    if certificate is not None:
        listen["tls"] = {"certificate": str(certificate[0]), "key": str(certificate[1])}
        tls = ssl.create_default_context(cafile=str(certificate[0]))
    if user is not None:
        (directory / "htpasswd").write_text(_htpasswd(*user.split(":", 1)))
        realm = {"realm": "test", "path": str(directory / "htpasswd")}
        configuration["auth"] = {"htpasswd": realm}
    (directory / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML
    process = subprocess.Popen(
        [server, "serve", str(directory / "config.yml")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    log: list[str] = []
    listening = threading.Event()

    def read(pipe: IO[str]) -> None:
        for line in pipe:
            log.append(line)
            if _LISTENING.search(line):
                listening.set()
        listening.set()

    reader = threading.Thread(target=read, args=(process.stderr,), daemon=True)
    reader.start()
    try:
        listening.wait(_START_S)
        address = next((found[1] for line in log if (found := _LISTENING.search(line))), None)
        assert address is not None, "".join(log)
        registry = Registry(address, tls=tls, user=user)
        registry.log = log
        yield registry
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def _htpasswd(name: str, password: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import crypt
    salt = "".join(secrets.choice("abcdefghijklmnop") for _ in range(22))
    return f"{name}:{crypt.crypt(password, f'$2b$05${salt}')}\n"
