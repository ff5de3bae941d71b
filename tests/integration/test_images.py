"""Images by the command line: made, sent to a registry and brought back, run, removed."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Home
from tests.integration.conftest import Cli
from tests.registry import Registry, running_registry

pytestmark = pytest.mark.usefixtures("one_platform")


@pytest.fixture
def one_platform(platform: str) -> None:
    """Images are the same on all platforms; one shows that they run."""
    if platform != "um":
        pytest.skip("images are the same on all platforms")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry") as running:
        yield running


def root(*extra: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """The files of a root: busybox, and what a test adds."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        shell = tarfile.TarInfo("bin/sh")
        shell.type, shell.linkname = tarfile.SYMTYPE, "busybox"
        tar.add("/bin/busybox", "bin/busybox")
        tar.addfile(shell)
        for info, content in extra:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def entry(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def test_an_image_goes_to_a_registry_and_comes_back_when_it_is_run(
    cli: Cli, registry: Registry
) -> None:
    name = f"{registry.address}/team/app:1"
    image_id = cli("import", "-", name, input_bytes=root()).stdout.decode().strip()
    digest = cli.out("push", "-q", name)
    assert cli.out("rmi", name).splitlines() == [f"Untagged: {name}", f"Deleted: {image_id}"]
    assert cli.out("run", "--rm", name, "/bin/sh", "-c", "echo $0 runs") == "/bin/sh runs"
    assert cli.out("images", "-q", "--no-trunc", name) == image_id
    assert cli.out("images", "--format", "{{.Digest}}", name) == digest
    assert cli.out("pull", "-q", f"{registry.address}/team/app@{digest}") == image_id[7:]
    refused = cli("run", "--pull", "never", f"{registry.address}/team/other", "x", status=125)
    assert b"no such image" in refused.stderr
    refused = cli("run", f"{registry.address}/team/other", "x", status=125)
    assert b"has no such image" in refused.stderr


def test_a_registry_with_a_password_and_a_certificate(cli: Cli, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, to make a certificate")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    argv += ["-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*argv, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    (tmp_path / "registry").mkdir()
    cli("import", "-", "app", input_bytes=root())
    cli.env["XDG_CONFIG_HOME"] = str(tmp_path)
    with running_registry(
        tmp_path / "registry", user="me:secret", certificate=(certificate, key)
    ) as registry:
        name = f"{registry.address}/app"
        refused = cli("push", "app", name, status=125)
        assert b"self-signed certificate" in refused.stderr
        refused = cli("push", "--tls-verify=false", "app", name, status=125)
        assert b"access is denied" in refused.stderr
        cli.env["SSL_CERT_FILE"] = str(certificate)
        login = ("login", "-u", "me", "--password-stdin", registry.address)
        assert b"access is denied" in cli(*login, status=125, input_bytes=b"wrong").stderr
        cli(*login, input_bytes=b"secret\n")
        cli("push", "app", name)
        assert cli.out("pull", name).startswith(f"{name}:latest  ")
        assert "Removed" in cli.out("logout", registry.address)
        assert b"access is denied" in cli("pull", name, status=125).stderr


def test_what_an_image_says_is_what_its_container_gets(cli: Cli) -> None:
    changes = (
        'ENTRYPOINT ["/bin/busybox"]',
        'CMD ["id", "-u"]',
        "ENV FRUIT=plum",
        "USER 1234",
        "WORKDIR /some/where",
        "STOPSIGNAL USR1",
    )
    options = [word for change in changes for word in ("-c", change)]
    cli("import", *options, "-", "app", input_bytes=root())
    assert cli.out("run", "--rm", "app") == "1234"
    assert cli.out("run", "--rm", "-u", "5", "app", "id", "-u") == "5"
    assert cli.out("run", "--rm", "app", "pwd") == "/some/where"
    assert cli.out("run", "--rm", "app", "sh", "-c", "echo $FRUIT") == "plum"
    assert cli.out("run", "--rm", "--entrypoint", "/bin/sh", "app", "-c", "echo sh") == "sh"
    refused = cli("run", "--rm", "--entrypoint", "/bin/sh", "app", status=0)
    assert refused.stdout == b"", "the image's command belongs to its entrypoint"
    assert cli.out("run", "--rm", "--entrypoint", "", "app", "/bin/busybox", "echo", "x") == "x"
    script = "trap 'echo usr1; exit 5' USR1; echo ready; while :; do sleep 0.1; done"
    cli("run", "-d", "--name", "stopped", "app", "sh", "-c", script)
    follow = cli.start("logs", "-f", "stopped")
    assert follow.stdout is not None
    assert follow.stdout.readline() == b"ready\n"
    cli("stop", "stopped")
    assert follow.communicate()[0] == b"usr1\n"
    cli("rm", "stopped")


def test_the_container_kernel_finds_what_the_archive_had(cli: Cli) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000").decode()
    data = os.urandom(100_000)
    layer = root(
        entry("etc/large", data, mode=0o640, uid=7, gid=70_000, mtime=1_000_000_000),
        entry("bin/suid", b"#!/bin/sh\n", mode=0o4755),
        entry("dev0", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        entry("fifo", type=tarfile.FIFOTYPE),
        entry("hard", type=tarfile.LNKTYPE, linkname="etc/large"),
        entry("soft", type=tarfile.SYMTYPE, linkname="/etc/large"),
        entry("cap", b"x", pax_headers={"SCHILY.xattr.security.capability": capability}),
        entry("x" * 255, b"long"),
        *(entry(f"many/{number:05}", b"%d" % number) for number in range(2000)),
    )
    cli("import", "-", "all", input_bytes=layer)

    def stat(form: str, *names: str) -> list[str]:
        argv = ("run", "--rm", "all", "/bin/busybox", "stat", "-c", form, *names)
        return cli.out(*argv).splitlines()

    assert stat("%F %a %u %g %s %Y %h", "etc/large", "bin/suid", "fifo", "soft") == [
        "regular file 640 7 70000 100000 1000000000 2",
        "regular file 4755 0 0 10 0 1",
        "fifo 644 0 0 0 0 1",
        "symbolic link 644 0 0 10 0 1",
    ]
    assert stat("%F %t:%T", "dev0") == ["character special file 1:3"]
    shell = ("run", "--rm", "all", "/bin/sh", "-c")
    assert cli(*shell, "/bin/busybox cat soft").stdout == data
    script = (
        f"b=/bin/busybox; $b ls many | $b wc -l; $b cat many/01234 {'x' * 255}; $b cmp hard soft"
    )
    assert cli.out(*shell, script) == "2000\n1234long"


def test_an_image_that_a_container_needs_stays(cli: Cli) -> None:
    cli("import", "-", "app", input_bytes=root())
    cli("run", "-d", "--name", "user", "app", "/bin/busybox", "sleep", "100")
    refused = cli("rmi", "app", status=125)
    assert b"container 'user' needs it" in refused.stderr
    assert cli.out("rmi", "-f", "app") == "Untagged: app:latest"
    assert cli.out("image", "prune").startswith("Total")
    assert cli.out("exec", "user", "/bin/busybox", "echo", "goes on") == "goes on"
    cli("rm", "-f", "user")
    assert "Deleted: sha256:" in cli.out("image", "prune")


def test_verbs_of_images(cli: Cli, tmp_path: Path) -> None:
    cli("import", "-m", "made by a test", "-", "app", input_bytes=root())
    cli("save", "-o", str(tmp_path / "app.tar"), "app")
    cli("image", "rm", "app")
    assert cli.out("load", "-i", str(tmp_path / "app.tar")) == "Loaded image: app:latest"
    packed = subprocess.run(["gzip", "-c", str(tmp_path / "app.tar")], check=True, stdout=-1)
    assert cli("load", input_bytes=packed.stdout).stdout == b"Loaded image: app:latest\n"
    cli("tag", "app", "other:x")
    shown = cli.out("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=o*")
    assert shown == "other:x"
    assert "made by a test" in cli.out("history", "app")
    assert '"unpacked_bytes"' in cli.out("image", "inspect", "other:x")
    refused = cli("load", status=125, input_bytes=b"no archive at all")
    assert b"failed to read the archive" in refused.stderr
    refused = cli("save", "nothing-like-it", status=125)
    assert b"'nothing-like-it': no such image" in refused.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
@pytest.mark.parametrize("megabytes", [2, 6, 14])
def test_a_full_disk_leaves_the_store_as_it_was(
    cli: Cli, registry: Registry, private_home: Home, tmp_path: Path, megabytes: int
) -> None:
    """The disk is full when a blob comes, when the root is made, or before all that."""
    layer = root(entry("random", os.urandom(8 << 20)))
    name = f"{registry.address}/app"
    cli("import", "-", name, input_bytes=layer)
    cli("push", name)
    cli("rmi", name)
    home = tmp_path / "small"
    home.mkdir()
    env = {**cli.env, "XDG_DATA_HOME": str(home)}
    mount = f"mount -t tmpfs -o size={megabytes}m none {home}"
    look = f"find {home} -type f -size +0 | grep -v -e /lock -e /use"
    for verb in (("pull", name), ("import", str(tmp_path / "layer.tar"), "app")):
        (tmp_path / "layer.tar").write_bytes(layer)
        script = f'{mount}; "$@" || echo "status $?"; {look}; rm -rf {home}/drupe/images/partial'
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "sh", *cli.argv(*verb)],
            env=env,
            capture_output=True,
            check=False,
        )
        lines = done.stdout.decode().splitlines()
        assert lines[0] == "status 125", done
        assert b"No space left on device" in done.stderr
        assert b"Traceback" not in done.stderr
        left = [line for line in lines[1:] if "/records/" in line or "/refs/" in line]
        assert not left
        assert not [line for line in lines[1:] if "/partial/" in line and "/blob-" not in line]
