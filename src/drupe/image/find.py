"""Images by name: this user's, else the system's; embedded ones are made at first use."""

from __future__ import annotations

import re

from drupe.errors import NotFoundError
from drupe.image.store import Image, read_image
from drupe.store import paths

_NAME = r"[a-z0-9][a-z0-9_.-]{0,127}"


def find_image(name: str) -> Image:
    """The image of that name.

    Raises:
        NotFoundError: there is none.
        HostError: an embedded one cannot be made.
    """
    if re.fullmatch(_NAME, name):
        for base in paths.data_dirs():
            image = read_image(base / "images" / name)
            if image is not None:
                return image
        if name == "busybox":
            from drupe.image.busybox import build_busybox

            return build_busybox()
    raise NotFoundError(
        f"failed to find image '{name}': no such image",
        hint="'busybox' is there always; --rootfs DIR runs a directory",
    )
