"""Images of Dockerfiles: another engine's builder makes them, its archive is loaded.

The builder has a store of its own: there are the images that a Dockerfile begins with, and what it
has built before. What comes of it is handed over as an archive, of which layers that are here
already are not stored again.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from drupe import process
from drupe.errors import CommandError, HostError
from drupe.image.install import Progress, silent
from drupe.image.load import load
from drupe.image.store import Image
from drupe.image.tag import tag
from drupe.store.paths import cache_home, private_dir

VARIABLE = "DRUPE_BUILDER"
_BUILDERS = ("buildah", "podman")


def build(
    options: Sequence[str],
    names: Sequence[str],
    *,
    quiet: bool = False,
    report: Progress = silent,
) -> Image:
    """Has an image built and loads it.

    Args:
        options: of the builder's ``build``, the context included.
        names: what the image is to be called.
        quiet: what the builder writes to standard output is dropped.
        report: is told what goes on.

    Raises:
        HostError: there is no builder.
        CommandError: it failed, which it has said itself, or does not hand over what it has built.
    """
    builder = find_builder()
    home = private_dir(cache_home() / "build")
    with tempfile.TemporaryDirectory(dir=home) as directory:
        id_file, archive = Path(directory, "id"), Path(directory, "image.tar")
        tags = [word for name in names for word in ("-t", name)]
        argv = [*builder, "build", "--iidfile", str(id_file), *tags, *options]
        status = process.attend(argv, quiet=quiet)
        if status:
            raise CommandError(argv, status, "")
        built = id_file.read_text().strip().removeprefix("sha256:")
        report(f"taking over {built[:12]}")
        process.run([*builder, "push", built, f"docker-archive:{archive}"])
        with archive.open("rb") as source:
            (image,) = load(source, report)
    for name in names:
        image = tag(image.id, name)
    return image


def find_builder() -> list[str]:
    """The builder's program, and options that it always gets.

    Raises:
        HostError: there is none.
    """
    wanted = shlex.split(os.environ.get(VARIABLE, ""))
    for name in [wanted[0]] if wanted else _BUILDERS:
        found = shutil.which(name)
        if found is not None:
            return [found, *wanted[1:]]
    raise HostError(
        f"failed to find a builder: no {' or '.join(wanted[:1] or _BUILDERS)} on PATH",
        hint="apt-get install buildah; drupe leaves the reading of Dockerfiles to it",
    )
