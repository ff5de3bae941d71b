"""The applications' own clients, from a Debian root beside the images; they run on the host."""

from __future__ import annotations

import json
import shutil
import subprocess

from drupe.store.lock import locked
from tests.conformance.images import stage

PACKAGES = (
    "amqp-tools",
    "curl",
    "libmemcached-tools",
    "mariadb-client",
    "postgresql-client",
    "redis-tools",
    "wrk",
)

# $1: the lower directories, $2: a directory to mount upon.
_MOUNTED = """\
set -eu
lower=$1 root=$2
shift 2
mount -t tmpfs tmpfs "$root"
mkdir "$root/root" "$root/upper" "$root/work"
mount -t overlay overlay "$root/root" -o "lowerdir=$lower,upperdir=$root/upper,workdir=$root/work"
mount -t proc proc "$root/root/proc"
mount --rbind /dev "$root/root/dev"
exec chroot "$root/root" "$@"
"""
LIMIT_S = 60.0


class Client:
    """Runs programs of that root; what they change there is lost."""

    def __init__(self) -> None:
        self._upper = stage.home() / "stages/clients"
        made = stage.home() / "clients.json"
        with locked(stage.home() / ".clients.lock"):
            if made.exists() and json.loads(made.read_text()) == list(PACKAGES):
                return
            made.unlink(missing_ok=True)
            shutil.rmtree(self._upper, ignore_errors=True)
            base = stage.base()
            self._upper.mkdir(parents=True)
            stage.install([base], self._upper, PACKAGES)
            made.write_text(json.dumps(PACKAGES))

    def argv(self, *argv: str) -> list[str]:
        """What to execute for a program."""
        spot = stage.home() / "spot"
        spot.mkdir(exist_ok=True)
        lower = f"{self._upper}:{stage.home() / 'base'}"
        return ["unshare", "--mount", "/bin/sh", "-c", _MOUNTED, "sh", lower, str(spot), *argv]

    def __call__(self, *argv: str, said: str = "", limit_s: float = LIMIT_S) -> str:
        """Runs a program with ``said`` as its input; returns its output.

        Raises:
            AssertionError: it failed.
        """
        done = subprocess.run(
            self.argv(*argv),
            input=said,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(argv)}: status {done.returncode}: {said[-2000:]}"
        return done.stdout
