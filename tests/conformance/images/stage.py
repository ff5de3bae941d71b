"""Stages of an image: an upper directory of an overlay, made by a script inside the root below it.

Takes root. All mounts are in a mount namespace of their own, so nothing is left even where a stage
fails.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from drupe.store import paths
from drupe.store.lock import locked
from tests.conformance.tree import SUITE, mirror

LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*/*")
_POLICY = "#!/bin/sh\n# No service is started where packages are installed.\nexit 101\n"
_INSTALL = """\
export DEBIAN_FRONTEND=noninteractive
apt-get -q -o APT::Keep-Downloaded-Packages=true --no-install-recommends -y install "$@"
find /var/log -type f -delete
rm -rf /var/cache/apt/*.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old /tmp/*
"""

# $1: the lower directories, $2: the upper, $3: its work directory, $4: what apt keeps,
# $5: the script.
_MOUNTED = """\
set -eu
lower=$1 upper=$2 work=$3 apt=$4 script=$5
shift 5
root=$work.root
mkdir -p "$root"
mount -t overlay overlay "$root" \
    -o "lowerdir=$lower,upperdir=$upper,workdir=$work,redirect_dir=off,metacopy=off"
mount --bind "$apt/archives" "$root/var/cache/apt/archives"
mount --bind "$apt/lists" "$root/var/lib/apt/lists"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" /bin/sh -euc "$script" sh "$@"
"""


@functools.cache
def home() -> Path:
    """Where stages and images are kept, of whoever runs the tests: it stays where it was first."""
    return paths.private_dir(paths.cache_home() / "conformance-images")


def base() -> Path:
    """The Debian system that all images begin with: a directory, made once."""
    recipe = {"suite": SUITE, "left out": LEFT_OUT, "policy": _POLICY, "without lists": True}
    path, made = home() / "base", home() / "base.json"
    with locked(home() / ".base.lock"):
        if made.exists() and json.loads(made.read_text()) == json.loads(json.dumps(recipe)):
            return path
        made.unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
        argv = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"]
        argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        source = f"deb {mirror()} {SUITE} main\n"
        argv += ["--dpkgopt=force-unsafe-io", SUITE, str(path), "-"]
        subprocess.run(["unshare", "--mount", *argv], input=source.encode(), check=True)
        for left in (*(path / "var/lib/apt/lists").iterdir(), *path.glob("var/cache/apt/*.bin")):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        policy = path / "usr/sbin/policy-rc.d"
        policy.write_text(_POLICY)
        policy.chmod(0o755)
        for part in ("archives/partial", "lists/partial"):
            (home() / "apt" / part).mkdir(parents=True, exist_ok=True)
        made.write_text(json.dumps(recipe))
    return path


def run_stage(lowers: Sequence[Path], upper: Path, script: str, *args: str) -> None:
    """Runs a script in the root made of ``lowers``, the lowest first; changes go to ``upper``.

    ``upper`` may hold files already. Where the script fails, what it says is in the error.
    """
    work = upper.with_name(f"{upper.name}.work")
    work.mkdir()
    try:
        argv = ["unshare", "--mount", "/bin/sh", "-c", _MOUNTED, "sh"]
        where = (":".join(map(str, reversed(lowers))), upper, work, home() / "apt")
        done = subprocess.run(
            [*argv, *map(str, where), script, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:]
    finally:
        shutil.rmtree(work)
        shutil.rmtree(f"{work}.root", ignore_errors=True)


def install(lowers: Sequence[Path], upper: Path, packages: Sequence[str]) -> None:
    """Installs packages, without those that are only recommended."""
    with locked(home() / ".apt.lock"):
        run_stage(lowers, upper, f"apt-get -q update\n{_INSTALL}", *packages)
