"""The runtime specification's config.json: what is read of it, what is refused, what is ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.errors import SpecError
from drupe.oci.bundle import BundleMount, Hook, read_bundle
from drupe.oci.document import Fields
from drupe.oci.linux import Device, IdMapping, read_resources
from drupe.oci.process import CapabilitySets, ProcessUser


def config(**changed: Any) -> dict[str, Any]:
    """The least that is a configuration, and what a test changes."""
    return {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {"args": ["true"], "cwd": "/"},
        **changed,
    }


def process(**changed: Any) -> dict[str, Any]:
    return config(process={"args": ["true"], "cwd": "/", **changed})


def read(value: Any) -> Any:
    return read_bundle(json.dumps(value).encode(), "'config.json'")


def test_the_least() -> None:
    found = read(config())
    assert (found.root, found.readonly, found.hostname) == ("rootfs", False, "")
    assert found.process.args == ("true",)
    assert found.process.capabilities is None
    assert found.linux.resources.memory_bytes is None
    assert found.hooks.prestart == found.mounts == ()


def test_a_process() -> None:
    found = read(
        process(
            args=["a", "", "b"],
            env=["A=b=c", "D="],
            cwd="/srv",
            terminal=True,
            consoleSize={"height": 3, "width": 4},
            user={"uid": 1, "gid": 2, "umask": 0o77, "additionalGids": [3, 4]},
            capabilities={"bounding": ["CAP_KILL"], "ambient": ["CAP_CHOWN"]},
            rlimits=[{"type": "RLIMIT_NOFILE", "soft": 5, "hard": 2**64 - 1}],
            noNewPrivileges=True,
            oomScoreAdj=-1000,
        )
    ).process
    assert found.args == ("a", "", "b")
    assert found.env == {"A": "b=c", "D": ""}
    assert (found.cwd, found.terminal, found.window) == ("/srv", True, (3, 4))
    assert found.user == ProcessUser(1, 2, 0o77, (3, 4))
    assert found.capabilities == CapabilitySets(bounding=("CAP_KILL",), ambient=("CAP_CHOWN",))
    assert found.rlimits == ((7, 5, 2**64 - 1),)
    assert (found.no_new_privileges, found.oom_score_adj) == (True, -1000)


def test_mounts_and_hooks() -> None:
    found = read(
        config(
            mounts=[
                {"destination": "/a/../b//c", "type": "bind", "source": "x", "options": ["ro"]},
                {"destination": "d"},
            ],
            hooks={"poststop": [{"path": "/p", "args": ["q"], "env": ["A=1"], "timeout": 2}]},
            annotations={"k": "v"},
        )
    )
    assert found.mounts == (BundleMount("/b/c", "bind", "x", ("ro",)), BundleMount("/d"))
    assert found.hooks.poststop == (Hook("/p", ("q",), ("A=1",), 2),)
    assert found.annotations == {"k": "v"}


def test_linux() -> None:
    found = read(
        config(
            linux={
                "namespaces": [{"type": "network", "path": "/run/netns/a"}, {"type": "pid"}],
                "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
                "devices": [
                    {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 8630}
                ],
                "sysctl": {"net.ipv4.ip_forward": "1"},
                "resources": {"memory": {"limit": -1}, "pids": {"limit": 9}},
                "maskedPaths": ["/proc/kcore"],
                "cgroupsPath": "/a/b",
                "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"},
            }
        )
    ).linux
    assert found.namespaces == {"network": "/run/netns/a", "pid": ""}
    assert found.uid_mappings == (IdMapping(0, 1000, 1),)
    assert found.devices == (Device("/dev/fuse", "c", 10, 229, 0o666, 0, 0),)
    assert found.sysctls == {"net.ipv4.ip_forward": "1"}
    assert (found.resources.memory_bytes, found.resources.pids) == (-1, 9)
    assert (found.masked, found.cgroups_path, found.seccomp) == (("/proc/kcore",), "/a/b", True)


# config.md, Extensibility: "must ignore unknown properties".
@pytest.mark.parametrize(
    "value",
    [
        config(unknown={"a": [1]}),
        process(unknown=1, user={"uid": 0, "username": "x"}),
        config(linux={"unknown": True, "resources": {"hugepageLimits": []}}),
        config(linux=None, hooks=None, mounts=None),
        config(mounts=[{"destination": "/a", "uidMappings": []}]),
    ],
)
def test_what_is_unknown_or_null_is_left_out(value: Any) -> None:
    assert read(value).process.args == ("true",)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (config(ociVersion="2.0.0"), "ociVersion"),
        (config(ociVersion="1.0"), "ociVersion"),
        (config(ociVersion=None), "ociVersion"),
        (config(root={}), "path"),
        (config(root=None), "path"),
        (config(root={"path": "a\0b"}), "NUL"),
        (config(process=None), "process"),
        (config(process=[]), "process"),
        (process(args=[]), "args"),
        (process(args=[""]), "args"),
        (process(args=["a", 1]), "args"),
        (process(args="true"), "args"),
        (process(cwd="srv"), "cwd"),
        (process(cwd=""), "cwd"),
        (process(env=["A"]), "env"),
        (process(env=["=a"]), "env"),
        (process(terminal="yes"), "terminal"),
        (process(user={"uid": -1}), "uid"),
        (process(user={"uid": 2**32 - 1}), "uid"),
        (process(user={"umask": 0o1000}), "umask"),
        (process(user={"additionalGids": [True]}), "additionalGids"),
        (process(rlimits=[{"type": "RLIMIT_X", "soft": 1, "hard": 1}]), "RLIMIT_X"),
        (process(rlimits=[{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]), "soft"),
        (process(rlimits=[{"type": "RLIMIT_CORE"}] * 2), "RLIMIT_CORE"),
        (process(oomScoreAdj=1001), "oomScoreAdj"),
        (process(consoleSize={"height": 70000, "width": 1}), "height"),
        (process(capabilities={"bounding": "CAP_KILL"}), "bounding"),
        (config(hostname="a" * 65), "hostname"),
        (config(mounts=[{"type": "tmpfs"}]), "destination"),
        (config(mounts={}), None),
        (config(mounts=[1]), "mounts"),
        (config(hooks={"prestart": [{"path": "relative"}]}), "path"),
        (config(hooks={"prestart": [{"path": "/a", "timeout": 0}]}), "timeout"),
        (config(annotations={"a": 1}), "annotations"),
        (config(linux={"namespaces": [{"type": "moon"}]}), "moon"),
        (config(linux={"namespaces": [{"type": "pid"}] * 2}), "pid"),
        (config(linux={"namespaces": [{"type": "pid", "path": "a"}]}), "path"),
        (config(linux={"devices": [{"path": "/a", "type": "x"}]}), "type"),
        (config(linux={"devices": [{"path": "a", "type": "c"}]}), "path"),
        (config(linux={"maskedPaths": ["proc"]}), "maskedPaths"),
        (config(linux={"rootfsPropagation": "up"}), "rootfsPropagation"),
        (config(linux={"resources": {"memory": {"limit": 1.5}}}), "limit"),
    ],
)
def test_what_cannot_be_is_named(value: Any, named: str | None) -> None:
    if named is None:  # an empty object is as if it were missing
        assert read(value).mounts == ()
        return
    with pytest.raises(SpecError, match=named):
        read(value)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"null", b"1"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(SpecError, match=r"failed to read 'config\.json'"):
        read_bundle(data, "'config.json'")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)

NAMES = [
    "ociVersion", "root", "process", "hostname", "domainname", "mounts", "hooks", "annotations",
    "linux",
]  # fmt: skip
INNER = [
    "args", "cwd", "env", "user", "rlimits", "capabilities", "consoleSize", "oomScoreAdj", "path",
    "namespaces", "resources", "devices", "sysctl", "uidMappings", "prestart", "poststop",
    "destination", "options", "memory", "limit",
]  # fmt: skip


def read_or_refuse(value: Any) -> None:
    refused = ""
    try:
        read(value)
    except SpecError as error:
        refused = str(error)
    assert refused.startswith("failed to read 'config.json'") or not refused


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_value_anywhere_is_read_or_refused(changed: dict[str, Any]) -> None:
    read_or_refuse(config(**changed))


@given(
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(INNER), JSON | st.dictionaries(st.sampled_from(INNER), JSON)),
)
def test_any_value_deeper_is_read_or_refused(name: str, value: dict[str, Any]) -> None:
    read_or_refuse(config(**{name: value}))


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_limits_have_a_sign(limit: int) -> None:
    assert read_resources(Fields({"pids": {"limit": limit}}, "x")).pids == limit
