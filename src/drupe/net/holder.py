"""The process that keeps a named network: a bridge in a user and network namespace of its own.

It needs no rights, and does the same for root. It sleeps; the namespaces are there as long as it
is.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from drupe import process
from drupe.errors import HostError
from drupe.net.links import MTU
from drupe.net.plug import open_plug

BRIDGE = "bridge"

_SCRIPT = f"""
set -e
cd /
ip link set lo up
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null || :
ip link add {BRIDGE} mtu {MTU} type bridge mcast_snooping 0
ip link set {BRIDGE} up
echo $$ >/proc/self/fd/"$1"
read -r go </proc/self/fd/"$2"
exec sleep infinity >/dev/null 2>&1
"""
"""Tells its process id, and goes on only when somebody has noted it."""

_HINT = "a network needs unshare (util-linux), ip (iproute2), and user namespaces"


def start(note: Callable[[int], None]) -> None:
    """Starts one; ``note`` gets its process id, and only after that does it stay.

    Raises:
        HostError: this host refused.
    """
    from_holder, tells = os.pipe()
    told, to_holder = os.pipe()
    try:
        program = ["sh", "-c", _SCRIPT, "drupe-network", str(tells), str(told)]
        namespaces = ["/usr/bin/unshare", "--user", "--map-root-user", "--net"]
        daemon = process.Daemon(
            ["/usr/bin/setsid", "--fork", *namespaces, *program],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            inherit=(tells, told),
        )
    finally:
        os.close(tells)
        os.close(told)
    try:
        with os.fdopen(from_holder, "rb") as reports:
            pid = reports.readline().strip()
        complaint = daemon.complaints()
        daemon.wait_ready(hint=_HINT)
        if not pid:
            raise HostError(f"failed to make a network: {complaint}", hint=_HINT)
        note(int(pid))
        os.write(to_holder, b"go\n")
    finally:
        os.close(to_holder)


def plug(pid: int, name: str) -> int:
    """Makes a plug in the namespaces of the holder ``pid``, on its bridge; returns it.

    Raises:
        HostError: this host refused.
    """
    return process.open_elsewhere(
        (f"/proc/{pid}/ns/user", f"/proc/{pid}/ns/net"), lambda: open_plug(name, BRIDGE)
    )


def plugged(pid: int) -> frozenset[str]:
    """The plugs that are there: of containers that run, or have just ended."""
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii") as devices:  # noqa: PTH123 (quick)
            names = (line.partition(":")[0].strip() for line in devices.readlines()[2:])
            return frozenset(names) - {"lo", BRIDGE}
    except OSError:
        return frozenset()
