"""Specifications of containers, for tests that do not care what is in them."""

from __future__ import annotations

from typing import Any

from drupe.container.spec import ContainerSpec


def make_spec(container_id: str, name: str, **changes: Any) -> ContainerSpec:
    """A container that runs ``true``; ``changes`` replace fields."""
    values: dict[str, Any] = {
        "platform": "um-strict",
        "kernel": "/nowhere/linux",
        "initramfs": "/nowhere/initramfs.cpio",
        "memory_bytes": 64 << 20,
        "image": "/nowhere/root.erofs",
        "image_name": "test",
        "rootfs": None,
        "hostname": "test",
        "volumes": (),
        "args": ("true",),
        "env": {"PATH": "/usr/bin:/bin"},
        "cwd": "/",
        "user": "",
        "groups": (),
        "terminal": False,
        "stdin": False,
        "remove": False,
        "labels": {},
    }
    return ContainerSpec(id=container_id, name=name, **{**values, **changes})
