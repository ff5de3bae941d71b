"""``features``: prints what this runtime can do, as the specification's features.md has it."""

from __future__ import annotations

import json

from drupe.container.settings import CAPABILITIES
from drupe.oci.bundle import HOOKS, VERSION, VERSION_LEAST
from drupe.oci.linux import NAMESPACES
from drupe.runtime.home import Home
from drupe.runtime.options import Option, Parsed

OPTIONS: tuple[Option, ...] = ()

_MOUNT_OPTIONS = (
    "bind", "defaults", "dev", "exec", "nodev", "noexec", "nosuid", "private", "rbind", "ro",
    "rprivate", "rro", "rslave", "rw", "slave", "suid", "tmpcopyup",
)  # fmt: skip


def main(home: Home, given: Parsed) -> int:
    """Prints it as JSON."""
    del home, given
    features = {
        "ociVersionMin": VERSION_LEAST,
        "ociVersionMax": VERSION,
        "hooks": list(HOOKS),
        "mountOptions": list(_MOUNT_OPTIONS),
        "linux": {
            "namespaces": sorted(NAMESPACES - {"time"}),
            "capabilities": [f"CAP_{name}" for name in CAPABILITIES],
            "cgroup": {"v1": False, "v2": False, "systemd": False, "systemdUser": False},
            "seccomp": {"enabled": False},
            "apparmor": {"enabled": False},
            "selinux": {"enabled": False},
        },
    }
    print(json.dumps(features, indent=4))
    return 0


def version() -> str:
    """What --version prints."""
    from drupe import __version__

    return f"drupe-runtime version {__version__}\nspec: {VERSION}"
