"""The embedded image ``busybox``: made on this host from its static busybox, at first use."""

from __future__ import annotations

import io
import shutil
import stat
import tarfile
from pathlib import Path

from drupe import process
from drupe.errors import HostError
from drupe.image.blobs import add_blob, adding
from drupe.image.install import install_new
from drupe.image.store import Image, ImageStore, Layer
from drupe.oci.manifest import OCI_LAYER, THIS
from drupe.oci.reference import parse_reference

_HINT = "apt-get install busybox-static"
_DIRECTORIES = {
    **dict.fromkeys(("bin", "dev", "etc", "home", "mnt", "proc", "run", "sys", "var"), 0o755),
    "root": 0o700,
    "tmp": 0o1777,
}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build_busybox() -> Image:
    """Makes the image, in the user's own store.

    Raises:
        HostError: this host lacks busybox-static.
    """
    layer = _layer(_static_busybox())
    store = ImageStore()
    with adding(store):
        digest = add_blob(store, layer)
        config: dict[str, object] = {
            "os": THIS.os,
            "architecture": THIS.architecture,
            "config": {"Cmd": ["/bin/sh"], "Env": [_PATH]},
            "rootfs": {"type": "layers", "diff_ids": [digest]},
            "history": [{"created_by": "drupe: this host's static busybox"}],
        }
        described = Layer(digest, digest, len(layer), OCI_LAYER)
        return install_new(store, config, [described], parse_reference("busybox"))


def _static_busybox() -> Path:
    found = shutil.which("busybox", path="/bin:/usr/bin")
    if found is None:
        raise HostError("failed to make image 'busybox': this host has no busybox", hint=_HINT)
    # A dynamic program names its loader; this one must not need any.
    if b"/lib64/ld-linux" in Path(found).read_bytes():
        raise HostError(f"failed to make image 'busybox': '{found}' is not static", hint=_HINT)
    return Path(found)


def _layer(busybox: Path) -> bytes:
    """The layer as a tar: the same bytes each time, for the same busybox."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:

        def add(name: str, mode: int, content: bytes = b"", target: str = "") -> None:
            member = tarfile.TarInfo(name)
            member.mode = stat.S_IMODE(mode)
            member.size = len(content)
            member.linkname = target
            kinds = {stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE}
            member.type = kinds.get(stat.S_IFMT(mode), tarfile.REGTYPE)
            archive.addfile(member, io.BytesIO(content))

        for name, mode in _DIRECTORIES.items():
            add(name, stat.S_IFDIR | mode)
        for name, text in _FILES.items():
            add(name, 0o644, text.encode())
        add("bin/busybox", 0o755, busybox.read_bytes())
        applets = process.run([str(busybox), "--list"]).decode().split()
        for applet in sorted(set(applets) - {"busybox"}):
            if "/" not in applet:
                add(f"bin/{applet}", stat.S_IFLNK | 0o777, target="busybox")
        add("sbin", stat.S_IFLNK | 0o777, target="bin")
        add("usr", stat.S_IFLNK | 0o777, target=".")
    return buffer.getvalue()
