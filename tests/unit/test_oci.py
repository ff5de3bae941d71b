"""Images as data: references, manifests, configurations, changes."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.errors import DrupeError, NotFoundError, SpecError
from drupe.oci.change import apply_changes
from drupe.oci.config import parse_config, read_config
from drupe.oci.manifest import (
    DOCKER_MANIFEST,
    OCI_CONFIG,
    Index,
    Manifest,
    choose,
    parse_manifest,
)
from drupe.oci.reference import parse_reference

SUM = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "whole", "familiar"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("docker.io/busybox:1", "docker.io/library/busybox:1", "busybox:1"),
        ("index.docker" + ".io/a/b", "docker.io/a/b:latest", "a/b:latest"),
        ("a/b/c:v1.2", "docker.io/a/b/c:v1.2", "a/b/c:v1.2"),
        ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
        ("localhost:5000/a:T_1", "localhost:5000/a:T_1", "localhost:5000/a:T_1"),
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest", "127.0.0.1:5000/a/b:latest"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        ("ghcr.io/x/y__z-w", "ghcr.io/x/y__z-w:latest", "ghcr.io/x/y__z-w:latest"),
        (f"redis@{SUM}", f"docker.io/library/redis@{SUM}", f"redis@{SUM}"),
        (f"redis:7@{SUM}", f"docker.io/library/redis:7@{SUM}", f"redis:7@{SUM}"),
    ],
)
def test_a_reference_means(text: str, whole: str, familiar: str) -> None:
    reference = parse_reference(text)
    assert (str(reference), reference.familiar) == (whole, familiar)
    assert parse_reference(whole) == parse_reference(familiar) == reference


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "not an image's name"),
        ("../busybox", "'..' is not a registry"),
        ("Busybox", "not an image's name"),
        ("a//b", "not an image's name"),
        ("a/../b", "not an image's name"),
        ("/a", "not an image's name"),
        ("a:", "'' is not a tag"),
        ("a:b/c:d:e", "is not a tag"),
        ("a:.x", "'.x' is not a tag"),
        ("a@sha256:12", "'sha256:12' is not a digest"),
        ("a@md5:" + "0" * 64, "is not a digest"),
        ("-bad.example/a", "'-bad.example' is not a registry"),
        ("a.example:port/a", "'a.example:port' is not a registry"),
        ("0" * 64, "an image's id"),
        ("a" * 300, "too long"),
        ("a\n", "not an image's name"),
    ],
)
def test_what_is_no_reference_is_refused(text: str, cause: str) -> None:
    with pytest.raises(SpecError, match=re.escape(cause)):
        parse_reference(text)


@given(st.text(alphabet="aA0:./@-_[]é\n", max_size=24))
def test_a_reference_is_read_back_as_it_is_written(text: str) -> None:
    try:
        reference = parse_reference(text)
    except SpecError:
        return
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar) == reference
    assert ".." not in str(reference).split("/")


def manifest(**more: object) -> bytes:
    config = {"mediaType": OCI_CONFIG, "digest": SUM, "size": 3}
    layer = {"mediaType": "x", "digest": SUM, "size": 4, "unknown": [1]}
    return json.dumps({"schemaVersion": 2, "config": config, "layers": [layer], **more}).encode()


def test_a_manifest_is_told_by_its_members() -> None:
    value = parse_manifest(manifest(), "it")
    assert isinstance(value, Manifest)
    assert (value.config.size, value.layers[0].size) == (3, 4)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "neither a manifest nor an index"),
        (manifest(manifests=[]), "neither a manifest nor an index"),
        (manifest(schemaVersion=1), "schema version 1"),
        (manifest(layers=[{}]), "'digest' is ''"),
        (manifest(layers=[{"digest": "sha256:../../x"}]), "'digest' is 'sha256:../../x'"),
        (manifest(layers=[{"digest": SUM, "size": -1}]), "'size' is -1"),
        (manifest(layers=[{"digest": SUM, "size": True}]), "'size' is True"),
        (manifest(layers=[{"digest": SUM}] * 2000), "2000 layers"),
        (manifest(config={"mediaType": "helm", "digest": SUM}), "not a container image"),
        (manifest(layers="x"), "'layers' is 'x'"),
        (b" " * (17 << 20), "at most"),
    ],
)
def test_a_bad_manifest_is_refused(data: bytes, cause: str) -> None:
    with pytest.raises(SpecError, match=re.escape(cause)):
        parse_manifest(data, "it")


def index(*targets: tuple[str, str, str]) -> Index:
    entries = [
        {
            "mediaType": DOCKER_MANIFEST,
            "digest": f"sha256:{number:064x}",
            "size": 1,
            "platform": {"os": os, "architecture": machine, "variant": variant},
        }
        for number, (os, machine, variant) in enumerate(targets)
    ]
    value = parse_manifest(json.dumps({"manifests": entries}).encode(), "it")
    assert isinstance(value, Index)
    return value


def test_the_image_of_this_platform_is_chosen() -> None:
    machines = [("linux", "arm64", "v8"), ("linux", "amd64", "v3"), ("linux", "amd64", "")]
    assert choose(index(*machines), "it").digest.endswith("2")
    with pytest.raises(NotFoundError, match="no image for linux/amd64, but for linux/arm64/v8"):
        choose(index(machines[0]), "it")


CONFIG = {
    "os": "linux",
    "architecture": "amd64",
    "future": {},
    "config": {
        "Entrypoint": ["/e"],
        "Cmd": None,
        "Env": ["A=1=2", "B=", "C", "=x"],
        "User": "1:2",
        "WorkingDir": "/w",
        "Volumes": {"/b": {}, "/a": {}},
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "StopSignal": "SIGQUIT",
        "Labels": {"x": None},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5, "Retries": 3},
        "OnBuild": [],
    },
    "rootfs": {"type": "layers", "diff_ids": [SUM]},
    "history": [{"created_by": "x", "empty_layer": True}, {}],
}


def test_a_configuration_is_read() -> None:
    config = parse_config(json.dumps(CONFIG).encode(), "it")
    assert (config.entrypoint, config.cmd, config.user) == (("/e",), (), "1:2")
    assert config.env == {"A": "1=2", "B": "", "C": ""}
    assert (config.volumes, config.ports) == (("/a", "/b"), ("53/udp", "80/tcp"))
    assert (config.stop_signal, config.labels, config.diff_ids) == ("SIGQUIT", {"x": ""}, (SUM,))
    assert config.healthcheck is not None
    assert (config.healthcheck.interval_ns, config.healthcheck.retries) == (5, 3)
    assert [step.empty for step in config.history] == [True, False]


@pytest.mark.parametrize(
    ("run", "cause"),
    [
        ({"Cmd": [1]}, "'Cmd' is 1"),
        ({"Env": {"A": "1"}}, "'Env' is {'A': '1'}"),
        ({"WorkingDir": "w"}, "'WorkingDir' is 'w'"),
        ({"ExposedPorts": {"x y": {}}}, "'ExposedPorts' is 'x y'"),
        ({"Healthcheck": {"Interval": -1}}, "'Interval' is -1"),
        ({"User": 0}, "'User' is 0"),
    ],
)
def test_a_bad_configuration_is_refused(run: dict[str, object], cause: str) -> None:
    with pytest.raises(SpecError, match=re.escape(cause)):
        read_config({"config": run}, "it")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "config",
                    "layers",
                    "manifests",
                    "digest",
                    "size",
                    "rootfs",
                    "diff_ids",
                    "Env",
                    "Cmd",
                    "Labels",
                    "history",
                    "platform",
                    "Volumes",
                    "Healthcheck",
                    "Entrypoint",
                    "ExposedPorts",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_json_does_more_than_be_refused(value: object) -> None:
    data = json.dumps(value).encode()
    for parse in (parse_manifest, parse_config):
        try:
            parse(data, "it")
        except DrupeError as error:
            assert str(error).startswith("failed to read it")  # noqa: PT017


def test_changes_are_those_of_a_dockerfile() -> None:
    changed = apply_changes(
        {"config": {"Env": ["A=0", "K=k"], "WorkingDir": "/w"}},
        [
            'CMD ["a", "b"]',
            "entrypoint echo $A",
            "ENV A=1 B='x y'",
            "ENV OLD form of it",
            "LABEL l=1",
            "EXPOSE 80 53/udp",
            "USER me",
            "WORKDIR sub",
            "VOLUME /v",
            "STOPSIGNAL 9",
        ],
    )
    config = read_config(changed, "it")
    assert (config.cmd, config.entrypoint) == (("a", "b"), ("/bin/sh", "-c", "echo $A"))
    assert config.env == {"K": "k", "A": "1", "B": "x y", "OLD": "form of it"}
    assert (config.ports, config.user, config.cwd) == (("53/udp", "80/tcp"), "me", "/w/sub")
    assert (config.volumes, config.stop_signal, config.labels) == (("/v",), "9", {"l": "1"})


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("RUN x", "no such instruction"),
        ("CMD", "it says nothing"),
        ('CMD ["a"', "not a JSON array"),
        ("CMD [1]", "not a JSON array of strings"),
        ("ENV =x", "not NAME=VALUE"),
        ("LABEL a='", "No closing quotation"),
        ("EXPOSE http", "'http' is not PORT"),
    ],
)
def test_a_bad_change_is_refused(change: str, cause: str) -> None:
    with pytest.raises(SpecError, match=cause):
        apply_changes({}, [change])
