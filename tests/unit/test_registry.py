"""Pulling from a registry that does what it should not, on a loopback port of this process."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drupe.errors import DrupeError, HostError, NotFoundError, SpecError
from drupe.image.find import find_image
from drupe.image.pull import pull
from drupe.image.remove import remove
from drupe.image.store import ImageStore
from drupe.oci.manifest import DOCKER_INDEX, DOCKER_MANIFEST, OCI_CONFIG, OCI_LAYER
from drupe.oci.reference import parse_reference
from drupe.registry import http as transport
from drupe.registry.auth import parse_challenge
from drupe.registry.client import Client
from drupe.registry.credentials import (
    Credentials,
    find_credentials,
    forget_credentials,
    store_credentials,
)
from tests.bad_registry import CONTENT, BadRegistry, Handler, Trick, serving, sha256
from tests.conftest import Home
from tests.erofs_reader import read_image


@pytest.fixture
def registry(
    private_home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[BadRegistry]:
    monkeypatch.setenv("XDG_DATA_DIRS", str(private_home.path / "nowhere"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setattr(transport, "_PAUSE_S", 0.01)
    monkeypatch.setattr(transport, "TIMEOUT_S", 2.0)
    with serving() as server:
        yield server


LAYER = r"/v2/x/blobs/.*"


def pulled(registry: BadRegistry) -> None:
    """Pulls, and looks whether all is as it should be."""
    image = pull(registry.name)
    assert read_image(image.root)[b"a"].content == CONTENT
    assert image.digest == sha256(registry.blobs["latest"])
    assert not list(ImageStore().partial.iterdir())
    assert find_image(registry.name).id == image.id


def test_a_pull_brings_what_is_missing_and_only_that(registry: BadRegistry) -> None:
    pulled(registry)
    before = registry.seen.total()
    pulled(registry)
    asked = registry.seen.total() - before
    assert asked <= 2, "the manifest, and how the registry is to be talked to"
    by_digest = f"{registry.name}@{sha256(registry.blobs['latest'])}"
    assert find_image(by_digest).id == pull(by_digest).id


def test_the_image_of_an_index_for_this_platform(registry: BadRegistry) -> None:
    entry = registry.add(registry.blobs["latest"], DOCKER_MANIFEST)
    platform = {"os": "linux", "architecture": "amd64"}
    other = {**entry, "digest": sha256(b""), "platform": {**platform, "architecture": "arm64"}}
    both = [other, {**entry, "platform": platform}]
    registry.publish({"schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": both})
    pulled(registry)
    registry.publish({"schemaVersion": 2, "manifests": [other]})
    with pytest.raises(NotFoundError, match="no image for linux/amd64, but for linux/arm64"):
        pull(registry.name)


def test_a_blob_that_is_cut_goes_on_where_it_was(registry: BadRegistry) -> None:
    data = registry.blobs[registry.layer]
    half = len(data) // 2
    registry.once(
        f"/v2/x/blobs/{registry.layer}", lambda h: h.cut(after=data[:half], length=len(data))
    )
    pulled(registry)
    assert registry.seen[f"/v2/x/blobs/{registry.layer} bytes={half}-"] == 1


def test_what_came_before_an_error_is_used_by_the_next_pull(
    registry: BadRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = registry.blobs[registry.layer]
    whole = f"/v2/x/blobs/{registry.layer}"
    registry.once(whole, lambda h: h.cut(after=data[:5000], length=len(data)))
    registry.once(whole, lambda h: h.drop(), times=5)
    with pytest.raises(HostError, match=r"does not answer well: .*"):
        pull(registry.name)
    assert [path.stat().st_size for path in ImageStore().partial.iterdir()] == [5000]
    registry.tricks.clear()
    pulled(registry)
    assert registry.seen[f"{whole} bytes=5000-"] >= 1


def test_a_spoilt_beginning_is_fetched_again(registry: BadRegistry) -> None:
    ImageStore().prepare()
    partial = ImageStore().partial / f"blob-{registry.layer[7:]}"
    partial.write_bytes(b"spoilt")
    pulled(registry)


def test_a_registry_that_cannot_go_on_in_the_middle_begins_anew(registry: BadRegistry) -> None:
    data = registry.blobs[registry.layer]
    whole = f"/v2/x/blobs/{registry.layer}"
    registry.once(whole, lambda h: h.cut(after=data[:5000], length=len(data)))

    def ignore_range(handler: Handler) -> bool:
        handler.answer(200, data)
        return True

    registry.trick(whole, ignore_range)
    pulled(registry)


def refused(registry: BadRegistry, kind: type[DrupeError], cause: str) -> None:
    """The pull fails so; no image is there, and nothing but what the next pull may use."""
    with pytest.raises(kind, match=cause):
        pull(registry.name)
    store = ImageStore()
    assert list(store.ids()) == []
    assert list(store.names()) == []
    assert (
        not store.blob(registry.layer).exists()
        or sha256(store.blob(registry.layer).read_bytes()) == registry.layer
    )


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_length_is_refused(registry: BadRegistry, change: int) -> None:
    registry.manifest["layers"][0]["size"] += change
    registry.publish(registry.manifest)
    refused(registry, SpecError, r"should have \d+ bytes, and the registry sends \d+")


def test_more_than_announced_is_refused(registry: BadRegistry) -> None:
    def endless(handler: Handler) -> bool:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                handler.wfile.write(bytes(1 << 20))
        return True

    registry.trick(f"/v2/x/blobs/{registry.layer}", endless)
    refused(registry, SpecError, "is larger than")


def test_a_wrong_part_is_refused(registry: BadRegistry) -> None:
    data = registry.blobs[registry.layer]
    whole = f"/v2/x/blobs/{registry.layer}"
    registry.once(whole, lambda h: h.cut(after=data[:5000], length=len(data)))

    def wrong(handler: Handler) -> bool:
        handler.answer(206, data[100:], {"Content-Range": f"bytes 100-{len(data)}/{len(data)}"})
        return True

    registry.trick(whole, wrong)
    refused(registry, SpecError, "asked for a part, got 'bytes 100-")


def test_wrong_content_is_refused(registry: BadRegistry) -> None:
    data = registry.blobs[registry.layer]
    registry.blobs[registry.layer] = data[:-1] + bytes([data[-1] ^ 1])
    refused(registry, SpecError, "has the digest sha256:")
    assert not list(ImageStore().partial.iterdir())


def test_a_manifest_with_another_digest_is_refused(registry: BadRegistry) -> None:
    digest = sha256(registry.blobs["latest"])
    registry.blobs[digest] = registry.blobs["latest"] + b" "
    with pytest.raises(SpecError, match="its manifest has the digest sha256"):
        pull(f"{registry.name}@{digest}")


@pytest.mark.parametrize(
    ("data", "kind", "cause"),
    [
        (b"<html>", SpecError, "not JSON"),
        (b"{}", SpecError, "neither a manifest nor an index"),
        (b" " * (5 << 20), SpecError, "larger than 4 MiB"),
    ],
)
def test_no_manifest_is_refused(
    registry: BadRegistry, data: bytes, kind: type[DrupeError], cause: str
) -> None:
    registry.blobs["latest"] = data
    refused(registry, kind, cause)


def test_an_unknown_image_is_told_without_control_characters(registry: BadRegistry) -> None:
    registry.blobs.pop("latest")
    refused(registry, NotFoundError, r"has no such image \(not\[2J here\)")


def test_a_registry_that_is_busy_is_waited_for(registry: BadRegistry) -> None:
    def busy(handler: Handler) -> bool:
        handler.answer(503, b"", {"Retry-After": "0"})
        return True

    registry.once("/v2/x/manifests/latest", busy, times=2)
    pulled(registry)
    registry.trick("/v2/x/manifests/latest", busy)
    with pytest.raises(HostError, match="said 4 times that it cannot now"):
        pull(registry.name)


def test_a_slow_registry_is_not_waited_for_for_ever(
    registry: BadRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(transport, "_TRIES", 2)

    def sleep(handler: Handler) -> bool:
        time.sleep(0.5)
        return False

    registry.trick(LAYER, sleep)
    refused(registry, HostError, "no answer in 0 s")


def test_a_manifest_that_is_cut_is_fetched_again(registry: BadRegistry) -> None:
    data = registry.blobs["latest"]
    cut = data[: len(data) // 2]
    registry.once("/v2/x/manifests/latest", lambda h: h.cut(after=cut, length=len(data)))
    pulled(registry)
    registry.trick("/v2/x/manifests/latest", lambda h: h.cut(after=cut, length=len(data)))
    with pytest.raises(HostError, match="does not answer well: the connection was cut"):
        pull(registry.name)


def trickle(data: bytes) -> Trick:
    """Sends it byte by byte, each well before anybody is tired of waiting."""

    def trick(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        with contextlib.suppress(ConnectionError):
            for place in range(len(data)):
                handler.wfile.write(data[place : place + 1])
                handler.wfile.flush()
                time.sleep(0.01)
        return True

    return trick


@pytest.mark.parametrize("path", ["/v2/x/manifests/latest", "LAYER", r"/token\?.*"])
def test_what_trickles_is_not_waited_for_for_ever(
    registry: BadRegistry, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_S", 0.2)
    monkeypatch.setattr("drupe.image.pull.TIMEOUT_S", 0.2)
    monkeypatch.setattr(transport, "_TRIES", 2)
    if "token" in path:
        realm = f"http://127.0.0.1:{registry.server_port}/token"
        challenge = {"WWW-Authenticate": f'Bearer realm="{realm}"'}

        def guard(handler: Handler) -> bool:
            handler.answer(401, b"", challenge)
            return True

        registry.trick("/v2/x/.*", guard)
    path = path.replace("LAYER", f"/v2/x/blobs/{registry.layer}")
    registry.trick(path, trickle(bytes(registry.manifest["layers"][0]["size"])))
    begin = time.monotonic()
    refused(registry, HostError, "no answer in 0 s")
    assert time.monotonic() - begin < 5


def test_a_pause_that_is_asked_for_is_bounded(
    registry: BadRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_PAUSE_MOST_S", 0.05)

    def limited(handler: Handler) -> bool:
        handler.answer(429, b"", {"Retry-After": "99999"})
        return True

    registry.once(LAYER, limited, times=2)
    pulled(registry)


def test_what_is_no_container_image_is_refused(registry: BadRegistry) -> None:
    registry.manifest["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
    registry.publish(registry.manifest)
    refused(registry, SpecError, "not a container image but 'application/vnd.cncf.helm")


@pytest.mark.parametrize("part", ["config", "layers"])
def test_a_blob_of_another_kind_is_refused(registry: BadRegistry, part: str) -> None:
    """A configuration that is none, and a layer that is no archive."""
    entry = registry.add(b"neither JSON nor a tar", OCI_CONFIG if part == "config" else OCI_LAYER)
    registry.manifest[part] = entry if part == "config" else [entry]
    registry.publish(registry.manifest)
    refused(registry, SpecError, "not JSON" if part == "config" else "layer '")


def redirect(to: str) -> Trick:
    def trick(handler: Handler) -> bool:
        handler.answer(307, b"", {"Location": to})
        return True

    return trick


def test_redirects_are_followed_without_our_name(registry: BadRegistry) -> None:
    store_credentials(registry.name.partition("/")[0], Credentials("me", "secret"))
    with serving() as other:
        other.blobs = registry.blobs
        needs_password(registry)
        to = f"http://127.0.0.1:{other.server_port}/v2/x/blobs/{registry.layer}"
        registry.trick(f"/v2/x/blobs/{registry.layer}", redirect(to))
        pulled(registry)
        assert other.authorizations == [None]


@pytest.mark.parametrize(
    ("to", "cause"),
    [
        ("/v2/x/blobs/x", "it redirects for ever"),
        ("file:///etc/passwd", "it redirects to 'file:///etc/passwd'"),
        ("http://127.0.0.1:99999/", "no such port"),
    ],
)
def test_a_bad_redirect_is_refused(registry: BadRegistry, to: str, cause: str) -> None:
    registry.trick(LAYER, redirect(to))
    refused(registry, SpecError, cause)


def needs_password(registry: BadRegistry) -> None:
    basic = "Basic " + base64.b64encode(b"me:secret").decode()

    def guard(handler: Handler) -> bool:
        if handler.headers.get("Authorization") == basic:
            return False
        handler.answer(401, b"", {"WWW-Authenticate": 'Basic realm="r"'})
        return True

    registry.tricks.insert(0, (r"/v2/.*", guard))


def test_a_password_is_taken_from_the_files(registry: BadRegistry) -> None:
    needs_password(registry)
    refused(registry, HostError, "access is denied")
    host = registry.name.partition("/")[0]
    store_credentials(host, Credentials("me", "wrong"))
    refused(registry, HostError, "access is denied")
    store_credentials(host, Credentials("me", "secret"))
    pulled(registry)


def needs_token(registry: BadRegistry, realm: str, token: str = "t1") -> None:  # noqa: S107
    challenge = f'Bearer realm="{realm}",service="s",scope="repository:x:pull"'

    def guard(handler: Handler) -> bool:
        if handler.headers.get("Authorization") == "Bearer t1":
            return False
        handler.answer(401, b"", {"WWW-Authenticate": challenge})
        return True

    def give(handler: Handler) -> bool:
        handler.answer(200, json.dumps({"token": token}).encode())
        return True

    registry.trick(r"/v2/.*", guard)
    registry.trick(r"/token\?.*", give)


def test_a_token_is_fetched_where_the_registry_says(registry: BadRegistry) -> None:
    needs_token(registry, f"http://127.0.0.1:{registry.server_port}/token")
    pulled(registry)
    assert sum("/token" in path for path in registry.seen.elements()) == 1
    assert any("scope=repository%3Ax%3Apull&" not in p and "service=s" in p for p in registry.seen)


def test_a_token_that_is_never_good_enough_ends_the_pull(registry: BadRegistry) -> None:
    needs_token(registry, f"http://127.0.0.1:{registry.server_port}/token", "wrong")
    refused(registry, HostError, "access is denied")
    assert registry.seen["/v2/x/manifests/latest"] <= 3


@pytest.mark.parametrize("realm", ["http://elsewhere.invalid/token", "file:///etc/passwd", ""])
def test_a_password_goes_nowhere_else(registry: BadRegistry, realm: str) -> None:
    needs_token(registry, realm)
    refused(registry, SpecError, "it wants tokens from")


@pytest.mark.parametrize("answer", [b"x", b"[]", b'{"token":5}', b'{"token":"a\\r\\nX: y"}'])
def test_a_token_that_is_none_is_refused(registry: BadRegistry, answer: bytes) -> None:
    needs_token(registry, f"http://127.0.0.1:{registry.server_port}/token")

    def give(handler: Handler) -> bool:
        handler.answer(200, answer)
        return True

    registry.tricks[1] = (r"/token\?.*", give)
    refused(registry, SpecError, "the token server answers with nonsense")


def test_two_pulls_at_once_fetch_each_blob_once(registry: BadRegistry) -> None:
    threads = [threading.Thread(target=pull, args=(registry.name,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.seen[f"/v2/x/blobs/{registry.layer}"] == 1
    pulled(registry)


def test_an_error_of_one_blob_ends_the_others(registry: BadRegistry) -> None:
    slow = registry.add(b"x" * 100, OCI_LAYER)
    registry.manifest["layers"].append(slow)
    registry.publish(registry.manifest)
    started = threading.Event()

    def hang(handler: Handler) -> bool:
        started.set()
        time.sleep(1.5)
        return False

    def fail(handler: Handler) -> bool:
        started.wait(5)
        handler.answer(404, b"")
        return True

    registry.trick(f"/v2/x/blobs/{slow['digest']}", hang)
    registry.trick(f"/v2/x/blobs/{registry.layer}", fail)
    begin = time.monotonic()
    refused(registry, NotFoundError, "has no such image")
    assert time.monotonic() - begin < 1.4


def test_a_name_that_nobody_knows(registry: BadRegistry) -> None:
    with pytest.raises(HostError, match=r"'nowhere.invalid' does not answer well"):
        pull("nowhere.invalid/x")


def test_plain_http_is_for_this_machine_only(registry: BadRegistry) -> None:
    assert transport.is_loopback("localhost:5000")
    assert transport.is_loopback("127.8.8.8")
    assert transport.is_loopback("[::1]:5000")
    assert not transport.is_loopback("127.evil.example:5000")
    assert not transport.is_loopback("localhost.evil.example")
    with pytest.raises(HostError, match="does not answer well"):
        Client(parse_reference(registry.name), checked=True).ping()


@pytest.mark.parametrize(
    ("header", "realm"),
    [
        ('Bearer realm="https://a/b?c=d,e",service="x"', "https://a/b?c=d,e"),
        ("bearer realm=https://a", "https://a"),
        ("Basic", ""),
    ],
)
def test_challenges_are_read(header: str, realm: str) -> None:
    challenge = parse_challenge(header)
    assert challenge is not None
    assert challenge.realm == realm
    assert parse_challenge("Negotiate x") is None
    assert parse_challenge("") is None


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".docker").mkdir()
    return tmp_path


def docker(files: Path, value: object) -> None:
    (files / ".docker/config.json").write_text(json.dumps(value))


def test_the_closest_credentials_count(files: Path) -> None:
    def auth(text: str) -> dict[str, str]:
        return {"auth": base64.b64encode(text.encode()).decode()}

    docker(
        files,
        {
            "auths": {
                "r.example": auth("all:1"),
                "r.example/team": auth("team:2:3"),
                f"https://index.{'docker.io'}/v1/": auth("hub:4"),
                "t.example": {"identitytoken": "tok"},
            }
        },
    )
    assert find_credentials("r.example", "team/x") == Credentials("team", "2:3")
    assert find_credentials("r.example", "other") == Credentials("all", "1")
    assert find_credentials("docker.io", "library/x") == Credentials("hub", "4")
    assert find_credentials("t.example") == Credentials(identity_token="tok")  # noqa: S106
    assert find_credentials("nowhere.example") is None
    store_credentials("r.example", Credentials("mine", "5"))
    assert find_credentials("r.example") == Credentials("mine", "5")
    assert forget_credentials("r.example") is not None
    assert forget_credentials("r.example") is None
    assert find_credentials("r.example") == Credentials("all", "1")
    assert (files / ".config/containers/auth.json").stat().st_mode & 0o777 == 0o600


def test_helpers_are_asked(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = files / "docker-credential-test"
    helper.write_text(
        '#!/bin/sh\nread -r name\n[ "$name" = r.example ] || { echo none; exit 1; }\n'
        'printf \'{"Username":"u","Secret":"s"}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{files}:{os.environ['PATH']}")
    docker(files, {"credHelpers": {"r.example": "test", "bad.example": "../test"}})
    assert find_credentials("r.example") == Credentials("u", "s")
    with pytest.raises(SpecError, match=r"'\.\./test': not a name of one"):
        find_credentials("bad.example")
    docker(files, {"credsStore": "test"})
    assert find_credentials("other.example") is None
    helper.write_text("#!/bin/sh\necho nonsense\n")
    with pytest.raises(SpecError, match="answers with nonsense"):
        find_credentials("r.example")


def test_a_spoilt_file_is_told(files: Path) -> None:
    for text, cause in (
        ("{", "not JSON"),
        ('{"auths":[1]}', "'auths' is not an object"),
        ('{"auths":{"r.example":{"auth":"?"}}}', "an 'auth' in it is spoilt"),
    ):
        (files / ".docker/config.json").write_text(text)
        with pytest.raises(SpecError, match=cause):
            find_credentials("r.example")


_PULL = "from drupe.cli.main import main; main()"


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_pull_that_is_ended_can_be_gone_on_with(
    registry: BadRegistry, number: int, status: int
) -> None:
    data = registry.blobs[registry.layer]
    hangs, end = threading.Event(), threading.Event()

    def hang(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:300_000])
        handler.wfile.flush()
        hangs.set()
        end.wait(20)
        return True

    registry.once(f"/v2/x/blobs/{registry.layer}", hang)
    argv = [sys.executable, "-c", _PULL, "pull", registry.name]
    child = subprocess.Popen(argv, stderr=subprocess.PIPE)
    try:
        assert hangs.wait(10)
        partial = ImageStore().partial / f"blob-{registry.layer[7:]}"
        while partial.stat().st_size < 300_000:
            time.sleep(0.01)
        child.send_signal(number)
        begin = time.monotonic()
        said = child.communicate()[1]
        assert child.returncode == status
        assert time.monotonic() - begin < 2.0, "it does not wait for the registry"
        assert b"Traceback" not in said
    finally:
        end.set()
        child.kill()
        child.wait()
    assert partial.stat().st_size == 300_000
    pulled(registry)
    assert registry.seen[f"/v2/x/blobs/{registry.layer} bytes=300000-"] == 1


def test_a_pulled_image_goes_whole(registry: BadRegistry) -> None:
    pulled(registry)
    remove(ImageStore(), registry.name, dict)
    left = [path for path in ImageStore().home.rglob("*") if path.is_file()]
    assert {path.name for path in left} == {"lock", "use"}
