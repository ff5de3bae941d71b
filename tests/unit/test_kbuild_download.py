"""Downloads that break off, resume, or are not what they should be."""

from __future__ import annotations

import hashlib
import io
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from drupe.errors import HostError, SpecError
from drupe.kbuild.download import download
from drupe.kbuild.progress import Progress, silent

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
URL = "https://host.example/linux.tar.xz"


class Answer(io.BytesIO):
    def __init__(self, body: bytes, status: int, announced: int) -> None:
        super().__init__(body)
        self.status = status
        self.headers = {"Content-Length": str(announced)}


class Server:
    """Serves CONTENT; each entry of ``cuts`` ends one answer after that many bytes."""

    def __init__(self, cuts: list[int], *, ranges: bool = True) -> None:
        self.cuts = cuts
        self.ranges = ranges
        self.asked: list[str | None] = []

    def __call__(self, request: urllib.request.Request, timeout: float) -> Answer:
        wanted = request.get_header("Range")
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        rest = CONTENT[start:]
        body = rest[: self.cuts.pop(0)] if self.cuts else rest
        return Answer(body, 206 if start else 200, len(rest))


def serve(monkeypatch: pytest.MonkeyPatch, server: Server) -> Server:
    monkeypatch.setattr(urllib.request, "urlopen", server)
    return server


def test_a_download_that_breaks_off_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(monkeypatch, Server([1000, 500]))
    reports: list[Progress] = []
    download(URL, SHA256, tmp_path / "file", reports.append)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-", "bytes=1500-"]
    assert [report.done for report in reports] == [1000, 1500, len(CONTENT)]
    download(URL, SHA256, tmp_path / "file", silent)
    assert len(server.asked) == 3


def test_a_server_without_ranges_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, Server([1000], ranges=False))
    download(URL, SHA256, tmp_path / "file", silent)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_after_three_tries_the_rest_is_left_for_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(monkeypatch, Server([10, 10, 10]))
    with pytest.raises(HostError, match=r"failed to download .*: broke off at 30 of"):
        download(URL, SHA256, tmp_path / "file", silent)
    download(URL, SHA256, tmp_path / "file", silent)
    assert server.asked[-1] == "bytes=30-"


def test_another_hash_is_refused_and_nothing_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, Server([]))
    with pytest.raises(SpecError, match=f"its sha256 is {SHA256}, not {'0' * 64}"):
        download(URL, "0" * 64, tmp_path / "file", silent)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: urllib.request.Request, timeout: float) -> Answer:
        raise urllib.error.HTTPError(URL, 404, "Not Found", Message(), None)

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(HostError, match="404"):
        download(URL, SHA256, tmp_path / "file", silent)
