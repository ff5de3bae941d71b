"""Where the sources in C and the kernel overlay are: in the package, or beside src/."""

from __future__ import annotations

from pathlib import Path

from drupe.errors import NotFoundError

_PACKAGE = Path(__file__).resolve().parent.parent


def kernel_dir() -> Path:
    """The directory of files/, patches/, configs/ and versions.toml.

    Raises:
        NotFoundError: neither the package nor a checkout around it holds one.
    """
    return _find("_kernel", "kernel", "versions.toml")


def guest_dir() -> Path:
    """The directory of the guest's source, with its Makefile.

    Raises:
        NotFoundError: neither the package nor a checkout around it holds one.
    """
    return _find("_guest", "guest", "Makefile")


def netpolicy_dir() -> Path:
    """The directory of the source of what enforces network policies, with its Makefile.

    Raises:
        NotFoundError: neither the package nor a checkout around it holds one.
    """
    return _find("_netpolicy", "netpolicy", "Makefile")


def _find(packaged: str, checkout: str, witness: str) -> Path:
    for candidate in (_PACKAGE / packaged, _PACKAGE.parent.parent / checkout):
        if (candidate / witness).is_file():
            return candidate
    raise NotFoundError(
        f"failed to find '{checkout}/{witness}': it is neither in {_PACKAGE} nor in a checkout",
        hint="install drupe again, or run it from a checkout",
    )
