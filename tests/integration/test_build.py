"""``drupe build``: what it asks of a builder, what it does with what that has built."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.conftest import Cli

BUILDER = """#!/bin/sh
# Stands for buildah: notes what it is asked, "builds" an archive that is there already.
echo "$*" >>{directory}/asked
verb=$2
while [ $# -gt 0 ]; do
    case $1 in
    --iidfile) echo sha256:0123456789abcdef >"$2" ;;
    docker-archive:*) cp {directory}/image.tar "${{1#docker-archive:}}" ;;
    --target) exit 3 ;;
    esac
    shift
done
if [ "$verb" = build ]; then echo 'STEP 1/1'; fi
"""


@pytest.fixture
def builder(cli: Cli, tmp_path: Path) -> Cli:
    program = tmp_path / "builder"
    program.write_text(BUILDER.format(directory=tmp_path))
    program.chmod(0o755)
    cli("save", "-o", str(tmp_path / "image.tar"), "busybox")
    return replace(cli, env={**cli.env, "DRUPE_BUILDER": f"{program} --root"})


def test_what_is_built_is_taken_over(builder: Cli, tmp_path: Path) -> None:
    words = ("-t", "app:1", "-t", "other", "--build-arg", "A=1", "--no-cache", "-f", "My file")
    done = builder("build", *words, "--iidfile", str(tmp_path / "iid"), "src")
    assert done.stdout == b"STEP 1/1\nBuilt image: other:latest\n"
    build, push = (tmp_path / "asked").read_text().splitlines()
    assert build.startswith("--root build --iidfile ")
    assert build.endswith(" -t app:1 -t other --file My file --build-arg A=1 --no-cache src")
    assert push.startswith("--root push 0123456789abcdef docker-archive:")
    image = builder.out("images", "-q", "--no-trunc", "app:1")
    assert (tmp_path / "iid").read_text() == image
    assert builder.out("run", "--rm", "other", "echo", "runs") == "runs"
    quiet = builder("build", "-q", "src")
    assert (quiet.stdout.decode(), quiet.stderr) == (f"{image.removeprefix('sha256:')}\n", b"")
    builder("rmi", "app:1", "other")


def test_a_builder_that_fails_is_told(builder: Cli, tmp_path: Path) -> None:
    failed = builder("build", "--target", "x", ".", status=125)
    assert b"/builder': exit status 3" in failed.stderr
    assert b"programs for linux/amd64" in builder("build", "--platform", "linux/arm64", ".",
                                                  status=125).stderr  # fmt: skip
    none = replace(builder, env={**builder.env, "DRUPE_BUILDER": "", "PATH": str(tmp_path)})
    refused = none("build", ".", status=125)
    assert b"failed to find a builder: no buildah or podman on PATH" in refused.stderr
    assert b"apt-get install buildah" in refused.stderr


def test_a_dockerfile_is_built_by_podman(cli: Cli, tmp_path: Path) -> None:
    if (
        os.geteuid()
        or cli.user is not None
        or not (shutil.which("podman") and shutil.which("runc"))
    ):
        pytest.skip("needs podman and runc, as root")
    (tmp_path / "Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /bin/\nARG WORD=plain\n"
        'RUN ["/bin/busybox", "touch", "/built"]\nENV WORD=$WORD\nUSER 7\n'
        'ENTRYPOINT ["/bin/busybox", "sh", "-c", "ls -n /built; id -u; echo $WORD"]\n'
    )
    shutil.copy("/bin/busybox", tmp_path)
    # podman takes no path of more than 50 characters for the second one.
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        roots = f"--root {short}/store --runroot {short}/run --storage-driver vfs"
        own = f"podman {roots} --cgroup-manager=cgroupfs --runtime=runc"
        by_podman = replace(cli, env={**cli.env, "DRUPE_BUILDER": own})
        by_podman("build", "-t", "fruit", "--build-arg", "WORD=plum", str(tmp_path))
    lines = cli.out("run", "--rm", "fruit").splitlines()
    assert lines[0].endswith("/built")
    assert lines[1:] == ["7", "plum"]
    cli("rmi", "fruit")
