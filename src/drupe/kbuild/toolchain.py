"""The compilers of this machine, and the environment that builds run in."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from drupe import process
from drupe.errors import HostError

_PACKAGES = "install gcc make flex bison bc xz-utils patch cpio musl-tools (tools/setup.sh does)"
# What would change a build behind its key's back.
_DROPPED = {"ARCH", "SUBARCH", "SRCARCH", "CROSS_COMPILE", "LLVM", "O", "V"}
_DROPPED |= {"CC", "HOSTCC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "KCFLAGS", "KCPPFLAGS"}


def compiler() -> str:
    """The C compiler's own name and version, such as ``gcc (Debian 12.2.0-14) 12.2.0``.

    Raises:
        HostError: there is none.
    """
    return _first_line(["gcc", "--version"])


def kernel_tools() -> None:
    """Checks that what a kernel build runs is there.

    Raises:
        HostError: names what is missing.
    """
    names = ("gcc", "make", "ld", "strip", "flex", "bison", "bc", "patch", "tar", "xz")
    if missing := [name for name in names if shutil.which(name) is None]:
        raise HostError(
            f"failed to find '{missing[0]}': a kernel build needs {', '.join(missing)}",
            hint=_PACKAGES,
        )


def guest_compiler() -> tuple[str, str]:
    """The compiler command for static guest programs, and its version.

    Raises:
        HostError: there is no compiler.
    """
    if shutil.which("musl-gcc"):
        return "musl-gcc", f"musl-gcc {compiler()}"
    return "gcc -static", f"gcc -static {compiler()}"


def cached(command: str) -> str:
    """The compiler command by way of ccache, where that is installed."""
    return f"ccache {command}" if shutil.which("ccache") else command


def environment(base: Path) -> dict[str, str]:
    """The environment for make; ccache sees paths below ``base`` as relative ones."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MAKE", "KBUILD_", "KCONFIG_")) and key not in _DROPPED
    }
    return kept | {
        "LC_ALL": "C",
        "CCACHE_BASEDIR": str(base),
        "CCACHE_NOHASHDIR": "1",
        "KBUILD_BUILD_USER": "drupe",
        "KBUILD_BUILD_HOST": "drupe",
    }


def _first_line(argv: list[str]) -> str:
    return process.run(argv, hint=_PACKAGES).decode(errors="replace").splitlines()[0]
