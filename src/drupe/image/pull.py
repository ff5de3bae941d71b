"""Images from registries."""

from __future__ import annotations

import hashlib
import os
import time
from http.client import HTTPException, HTTPResponse

from drupe.errors import SpecError
from drupe.image.blobs import RESUMABLE, add_blob, adding, install, partial, write_all
from drupe.image.calloff import CallOff
from drupe.image.install import install_manifest
from drupe.image.store import Image, ImageStore
from drupe.image.transfer import Gauge, Observer, for_all, unobserved
from drupe.oci.document import BYTES_MOST
from drupe.oci.manifest import (
    Descriptor,
    Manifest,
    choose,
    parse_manifest,
)
from drupe.oci.reference import parse_reference
from drupe.registry.client import Client, Document
from drupe.registry.http import TIMEOUT_S, Pause

_PIECE_BYTES = 256 << 10
_LEAST_BYTES = 4096
"""What comes slower than that in ``TIMEOUT_S`` is as if it did not come."""


def pull(
    name: str,
    *,
    checked: bool | None = None,
    observe: Observer = unobserved,
    call_off: CallOff | None = None,
) -> Image:
    """Brings an image from its registry, or what is missing of it; its name means it from then on.

    Args:
        name: a reference; the tag ``latest`` where it has none.
        checked: whether TLS is demanded, with certificates that are checked; None: yes, but for
            registries on this machine, which may speak plain HTTP.
        observe: makes what is told how each part goes on; called in several threads.
        call_off: ends it from another thread.

    Raises:
        NotFoundError: there is no such image, or none for this platform.
        SpecError: what came is not what it should be.
        HostError: the network failed, the registry refused, or the disk is full. What has come by
            then is kept for the next try, for a day.
        StateError: it was called off.
    """
    reference = parse_reference(name)
    what = f"pull '{name}'"
    store = ImageStore()
    client = Client(reference, checked=checked)
    with adding(store, keep=True), (call_off or CallOff()).watching(client, what):
        top = client.manifest(reference.digest or reference.tag or "", what)
        document, manifest = _of_this_platform(client, top, what)
        if manifest.config.size > BYTES_MOST:
            raise SpecError(f"failed to {what}: its configuration has {manifest.config.size} bytes")
        digest = add_blob(store, document.data)
        parts = {part.digest: part for part in (manifest.config, *manifest.layers)}
        for_all(client, parts.values(), _Fetcher(store, client, what, observe).fetch)
        gauge = observe("root", None)
        gauge.step("unpacking")
        image = install_manifest(store, digest, reference, registry_digest=top.digest)
        gauge.end("ready")
    return image


def _of_this_platform(client: Client, top: Document, what: str) -> tuple[Document, Manifest]:
    document = top
    for _ in range(3):  # an index may name another one
        value = parse_manifest(document.data, f"the manifest of '{what}'")
        if isinstance(value, Manifest):
            return document, value
        document = client.manifest(choose(value, f"'{what}'").digest, what)
    raise SpecError(f"failed to {what}: indexes in indexes")


class _Fetcher:
    """Brings blobs into the store."""

    def __init__(self, store: ImageStore, client: Client, what: str, observe: Observer) -> None:
        self._store = store
        self._client = client
        self._what = what
        self._observe = observe

    def fetch(self, part: Descriptor) -> None:
        """One blob: from where it was left, checked as it comes."""
        gauge = self._observe(part.digest[7:19], part.size)
        final = self._store.blob(part.digest)
        if final.exists():
            gauge.end("already here")
            return
        name = f"{RESUMABLE}{final.name}"
        with partial(self._store, name) as descriptor:
            if not final.exists():  # else another command has brought it meanwhile
                self._fetch(part, descriptor, gauge)
                install(self._store, name, final)
        gauge.end("here")

    def _fetch(self, part: Descriptor, descriptor: int, gauge: Gauge) -> None:
        progress = _Progress(self._store, part, descriptor, gauge)
        resumed = progress.resume()
        self._fill(part, progress)
        if progress.digest() != part.digest and resumed:
            progress.restart()  # what was there from before may have been spoilt
            self._fill(part, progress)
        if progress.digest() != part.digest:
            progress.restart()
            raise SpecError(
                f"failed to {self._what}: blob {part.digest[7:19]} has the digest {progress.wrong}",
                hint="the registry, or something on the way, has changed it",
            )

    def _fill(self, part: Descriptor, progress: _Progress) -> None:
        """Reads until all is there; as long as something comes, a cut does not count."""

        def attempt() -> Pause | None:
            if progress.done == part.size:
                return None
            with self._client.blob(part.digest, progress.done, self._what) as got:
                self._begin(part, progress, got)
                before = progress.done
                try:
                    self._read(part, progress, got)
                except (OSError, HTTPException):
                    if progress.done - before < _PIECE_BYTES or self._client.is_cut:
                        raise
                    again.append(progress.done)
            return None

        again = [0]
        while again:
            again.clear()
            self._client.patiently(self._what, attempt)

    def _begin(self, part: Descriptor, progress: _Progress, got: HTTPResponse) -> None:
        if got.status == 206:
            said = got.headers.get("Content-Range", "")
            if not said.startswith(f"bytes {progress.done}-"):
                raise SpecError(f"failed to {self._what}: asked for a part, got '{said[:80]}'")
        elif progress.done:
            progress.restart()
        announced = got.headers.get("Content-Length", "")
        if announced.isdecimal() and progress.done + int(announced[:20]) != part.size:
            raise SpecError(
                f"failed to {self._what}: blob {part.digest[7:19]} should have {part.size} bytes, "
                f"and the registry sends {progress.done + int(announced[:20])}"
            )

    def _read(self, part: Descriptor, progress: _Progress, got: HTTPResponse) -> None:
        deadline, due = time.monotonic() + TIMEOUT_S, progress.done + _LEAST_BYTES
        while piece := got.read1(_PIECE_BYTES):
            if time.monotonic() > deadline:
                if progress.done < due:
                    raise TimeoutError
                deadline, due = time.monotonic() + TIMEOUT_S, progress.done + _LEAST_BYTES
            if progress.done + len(piece) > part.size:
                raise SpecError(
                    f"failed to {self._what}: blob {part.digest[7:19]} is larger than "
                    f"{part.size} bytes"
                )
            progress.add(piece)
        if progress.done < part.size:
            raise ConnectionResetError(104, "the connection was cut")


class _Progress:
    """What has come of a blob, in its file."""

    def __init__(self, store: ImageStore, part: Descriptor, descriptor: int, gauge: Gauge) -> None:
        self._store = store
        self._part = part
        self._descriptor = descriptor
        self._gauge = gauge
        self._hash = hashlib.sha256()
        self.done = 0
        self.wrong = ""

    def resume(self) -> bool:
        """Takes up what is in the file; whether there was anything."""
        size = os.fstat(self._descriptor).st_size
        if size > self._part.size:
            self.restart()
            return False
        while piece := os.pread(self._descriptor, _PIECE_BYTES, self.done):
            self._hash.update(piece)
            self.done += len(piece)
            self._gauge.advance(len(piece))
        os.lseek(self._descriptor, self.done, os.SEEK_SET)
        return self.done > 0

    def restart(self) -> None:
        """Begins anew."""
        self._gauge.advance(-self.done)
        self._hash = hashlib.sha256()
        self.done = 0
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)

    def add(self, piece: bytes) -> None:
        """More of it."""
        write_all(self._store, self._descriptor, piece)
        self._hash.update(piece)
        self.done += len(piece)
        self._gauge.advance(len(piece))

    def digest(self) -> str:
        """The digest of all that has come."""
        self.wrong = f"sha256:{self._hash.hexdigest()}"
        return self.wrong
