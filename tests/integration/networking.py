"""What tests of networks share: free ports, a server to fetch from, waiting."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable

from tests.integration.conftest import Cli

SERVE = "mkdir /srv; echo served >/srv/f; exec httpd -f -p 80 -h /srv"


def alone(cli: Cli, script: str, namespaces: str = "-n") -> subprocess.CompletedProcess[bytes]:
    """Runs a script where there is no network but what it makes."""
    return subprocess.run(
        ["unshare", namespaces, "sh", "-c", script],
        env=cli.env,
        capture_output=True,
        check=False,
        timeout=60,
    )


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def fetch(port: int, address: str = "127.0.0.1") -> bytes:
    """What a web server sends; empty while there is none."""
    try:
        with socket.create_connection((address, port), timeout=5) as peer:
            peer.sendall(b"GET /f HTTP/1.0\r\n\r\n")
            got = b""
            while part := peer.recv(4096):
                got += part
            return got
    except OSError:
        return b""
