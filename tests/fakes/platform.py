"""A platform whose machine is the guest's init as an ordinary program of this host."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from drupe.errors import HostError
from drupe.jail.enter import take_descriptors
from drupe.platform.base import Finding, GuestMount, MachineFiles, MachineSpec

_GUEST = Path(__file__).resolve().parents[2] / "guest"
_PID = struct.Struct("=i")


def build_fake_guest(output: Path) -> Path:
    """Compiles the program that ``FakePlatform`` takes for a kernel; skips without a compiler."""
    if not shutil.which("gcc") or not shutil.which("make"):
        pytest.skip("gcc or make is missing: the fake guest cannot be built")
    command = ["make", "-s", "-j2", "-C", str(_GUEST), f"O={output}", "fake"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return output / "drupe-fake-guest"


class FakePlatform:
    """The contract of a platform, without a kernel: ``spec.kernel`` is the fake guest.

    It mounts nothing; its processes are processes of this host.
    """

    name = "fake"

    def probe(self) -> list[Finding]:
        return []

    def start(self, spec: MachineSpec, files: MachineFiles, on_pid: Callable[[int], None]) -> int:
        """Two forks, so that init reaps it; it waits for ``on_pid`` and for us being alive."""
        reports, report = os.pipe()
        orders, order = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reports)
            os.close(order)
            _first_fork(spec, files, report, orders)
        os.close(report)
        os.close(orders)
        try:
            with os.fdopen(reports, "rb") as answers:
                os.waitpid(child, 0)
                (pid,) = _PID.unpack(answers.read(_PID.size))
                try:
                    on_pid(pid)
                    os.write(order, b"G")
                finally:
                    os.close(order)
                    failure = answers.read().decode()
            if failure:
                raise HostError(f"failed to start a fake guest: {failure}")
            return int(pid)
        except struct.error as error:
            raise HostError("failed to start a fake guest: it ended early") from error

    def image_mount(self) -> GuestMount:
        return GuestMount("none", "image", "")

    def layer_mount(self) -> GuestMount:
        return GuestMount("none", "layer", "")

    def share_mount(self, index: int) -> GuestMount:
        return GuestMount("none", f"share{index}", "")

    def describe(self, spec: MachineSpec) -> Mapping[str, object]:
        return {"fake": str(spec.kernel)}


def _first_fork(spec: MachineSpec, files: MachineFiles, report: int, orders: int) -> None:
    """Never returns."""
    try:
        guest = os.fork()
        if guest == 0:
            _guest(spec, files, report, orders)
        os.write(report, _PID.pack(guest))
    finally:
        os._exit(0)


def _guest(spec: MachineSpec, files: MachineFiles, report: int, orders: int) -> None:
    """Never returns."""
    try:
        if os.read(orders, 1) == b"G":
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            handed = [null, files.console, files.console, files.control, files.status]
            handed += [] if files.log is None else [files.log]
            (report,) = take_descriptors(handed, report)
            os.execve(spec.kernel, ["drupe-fake-guest"], {"PATH": os.defpath})  # noqa: S606
    except OSError as error:
        os.write(report, str(error).encode())
    finally:
        os._exit(1)
