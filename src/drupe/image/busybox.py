"""The embedded image ``busybox``: made on this host from its static busybox, in a second."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from drupe import process
from drupe.errors import HostError
from drupe.image.store import Image, install

_HINT = "apt-get install busybox-static erofs-utils"
_DIRECTORIES = ("bin", "dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "tmp", "var")
_USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUPS = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"


def build_busybox() -> Image:
    """Makes the image, or finds that another command just has.

    Raises:
        HostError: this host lacks busybox-static or erofs-utils.
    """
    busybox = _static_busybox()
    defaults = Image(
        "busybox",
        Path(),
        args=("/bin/sh",),
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    return install("busybox", defaults, lambda root: _make(busybox, root))


def _static_busybox() -> Path:
    found = shutil.which("busybox", path="/bin:/usr/bin")
    if found is None:
        raise HostError("failed to make image 'busybox': this host has no busybox", hint=_HINT)
    # A dynamic program names its loader; this one must not need any.
    if b"/lib64/ld-linux" in Path(found).read_bytes():
        raise HostError(f"failed to make image 'busybox': '{found}' is not static", hint=_HINT)
    return Path(found)


def _make(busybox: Path, root: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="drupe-image.") as name:
        tree = Path(name)
        tree.chmod(0o755)
        for directory in _DIRECTORIES:
            (tree / directory).mkdir(mode=0o755)
        (tree / "tmp").chmod(0o1777)
        (tree / "root").chmod(0o700)
        (tree / "etc/passwd").write_text(_USERS)
        (tree / "etc/group").write_text(_GROUPS)
        (tree / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        shutil.copyfile(busybox, tree / "bin/busybox")
        (tree / "bin/busybox").chmod(0o755)
        for applet in process.run([str(busybox), "--list"]).decode().split():
            link = tree / "bin" / applet
            if not link.exists() and "/" not in applet:
                link.symlink_to("busybox")
        (tree / "sbin").symlink_to("bin")
        (tree / "usr").symlink_to(".")
        process.run(["mkfs.erofs", "-zlz4", "-T0", "--all-root", str(root), str(tree)], hint=_HINT)
