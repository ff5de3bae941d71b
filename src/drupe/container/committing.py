"""A new image of a container: its image, and what it has changed above that."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from drupe.container.record import Record
from drupe.container.service import serving
from drupe.container.spec import ContainerSpec
from drupe.errors import SpecError
from drupe.image.commit import commit
from drupe.image.find import find_image
from drupe.image.store import Image
from drupe.oci.reference import Reference


def commit_container(
    record: Record,
    reference: Reference | None,
    *,
    changes: Sequence[str] = (),
    author: str = "",
    message: str = "",
) -> Image:
    """Makes an image of a container that can be reached.

    Its command, environment, user and directory are the container's; ``changes`` come on top.
    Volumes and other mounts are not part of it.

    Raises:
        SpecError: a change is wrong, or the container runs a directory.
        NotFoundError: its image is gone.
        GuestError: the container refused.
        HostError: the disk is full.
    """
    spec = record.spec
    if not spec.image_id:
        raise SpecError(
            f"failed to make an image of container '{spec.name}': it runs a directory, "
            f"'{spec.rootfs}'",
            hint="'drupe export' makes a tar of all that it sees, 'drupe import' an image of that",
        )
    base = find_image(spec.image_id)
    with serving(record, "layer") as service:
        return commit(
            base,
            service.pieces(),
            changes,
            reference,
            run=_run(spec, base),
            author=author,
            message=message,
            created_by=shlex.join(spec.args),
        )


def _run(spec: ContainerSpec, base: Image) -> dict[str, object]:
    """What the container was told, in the words of an image's configuration."""
    entrypoint = base.config.entrypoint
    if spec.args[: len(entrypoint)] == entrypoint:
        command = {"Cmd": list(spec.args[len(entrypoint) :])}
    else:
        command = {"Entrypoint": [], "Cmd": list(spec.args)}
    return {
        **command,
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "WorkingDir": spec.cwd,
        "User": spec.user,
    }
