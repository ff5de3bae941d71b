"""``drupe.Image``: an image of this user, or of the system."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Literal

from drupe.container.images import prune_images, remove_image
from drupe.errors import HostError
from drupe.image.calloff import CallOff
from drupe.image.find import find_image, listed_images
from drupe.image.store import Image as Stored
from drupe.oci.config import Healthcheck, History
from drupe.oci.reference import parse_reference

Source = str | os.PathLike[str] | BinaryIO
"""A path, or a file that is open for reading."""


class ImageView:
    """What is known of an image. It was read when this was made, and does not change."""

    def __init__(self, stored: Stored) -> None:
        """Use ``Image.get`` and the like."""
        self._stored = stored

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or '<none>'} {self.id[:12]}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageView) and (self.id, self.name) == (other.id, other.name)

    def __hash__(self) -> int:
        return hash((self.id, self.name))

    @property
    def id(self) -> str:
        """64 hexadecimal digits: the digest of its configuration."""
        return self._stored.id

    @property
    def name(self) -> str:
        """The name that it was found by, with its tag; empty: it has none."""
        return self._stored.name

    @property
    def digest(self) -> str:
        """What its registry calls it: ``sha256:...``; empty where it came from none."""
        return self._stored.digest

    @property
    def command(self) -> tuple[str, ...]:
        """What its containers run by default: entrypoint and command."""
        return (*self._stored.config.entrypoint, *self._stored.config.cmd)

    @property
    def entrypoint(self) -> tuple[str, ...]:
        """The program that gets a container's command as its arguments."""
        return self._stored.config.entrypoint

    @property
    def env(self) -> Mapping[str, str]:
        """Variables of its containers."""
        return MappingProxyType(dict(self._stored.config.env))

    @property
    def workdir(self) -> str:
        """The directory of its containers' main processes."""
        return self._stored.config.cwd or "/"

    @property
    def user(self) -> str:
        """user[:group] of its containers' processes; empty: root."""
        return self._stored.config.user

    @property
    def labels(self) -> Mapping[str, str]:
        """Notes."""
        return MappingProxyType(dict(self._stored.config.labels))

    @property
    def ports(self) -> tuple[str, ...]:
        """What its containers listen at: "80/tcp"."""
        return self._stored.config.ports

    @property
    def volumes(self) -> tuple[str, ...]:
        """Paths whose content is to outlive a container."""
        return self._stored.config.volumes

    @property
    def stop_signal(self) -> str:
        """What ends its containers in order; empty: SIGTERM."""
        return self._stored.config.stop_signal

    @property
    def healthcheck(self) -> Healthcheck | None:
        """How to find out whether a container does its work."""
        return self._stored.config.healthcheck

    @property
    def history(self) -> tuple[History, ...]:
        """How it was made, the first step first."""
        return self._stored.config.history

    @property
    def size_bytes(self) -> int:
        """What its root takes, which all of its containers share."""
        return self._stored.root_bytes


class Image(ImageView):
    """An image, by ``Image.pull``, ``load``, ``get`` or ``list``. Several threads may use it."""

    @classmethod
    def get(cls, name: str) -> Image:
        """An image by its name, its id, or the beginning of that; no registry is asked.

        Raises:
            NotFoundError: there is none.
            SpecError: it cannot be a name, or several ids begin so.
        """
        return cls(find_image(name))

    @classmethod
    def list(cls) -> Sequence[Image]:
        """All images, once for each name, what was added last first."""
        return [cls(stored) for _, stored in listed_images()]

    @classmethod
    def pull(cls, name: str, *, tls_verify: bool | None = None) -> Image:
        """Brings an image from its registry, or what is missing of it.

        Passwords are those of ``drupe login``, podman and docker.

        Args:
            name: [REGISTRY/]NAME[:TAG|@DIGEST], as with docker.
            tls_verify: whether TLS is demanded, and its certificates are checked; None: yes, but
                for registries on this machine, which may speak plain HTTP.

        Raises:
            NotFoundError: there is no such image, or none for this platform.
            SpecError: the name is none, or what came is not what it should be.
            HostError: the network failed, the registry refused, or the disk is full; what has
                come is used by the next call.
        """
        return cls(pull_stored(name, tls_verify))

    @classmethod
    def load(cls, source: Source) -> Sequence[Image]:
        """The images in an archive that ``save``, docker or podman wrote, or in an OCI layout.

        Args:
            source: a file, plain or compressed with gzip or zstd, or a directory with a layout.

        Raises:
            SpecError: it is no such archive.
            HostError: it cannot be read, or the disk is full.
        """
        return [cls(stored) for stored in load_stored(source)]

    @classmethod
    def import_root(
        cls, source: Source, name: str | None = None, *, changes: Sequence[str] = ()
    ) -> Image:
        """Makes an image of the files of a root.

        Args:
            source: a tar, plain or compressed with gzip or zstd.
            name: what to call it.
            changes: instructions as in a Dockerfile: 'CMD ["/bin/sh"]', "ENV A=1", "USER me".

        Raises:
            SpecError: it is no tar, or an instruction is wrong.
            HostError: it cannot be read, or the disk is full.
        """
        return cls(import_stored(source, name, changes))

    @classmethod
    def prune(cls, *, all: bool = False) -> Sequence[str]:  # noqa: A002 (the command's option)
        """Removes images without a name that no container needs; returns their ids.

        Args:
            all: those with a name, too.
        """
        return [*prune_images(every=all).deleted]

    def tag(self, name: str) -> Image:
        """Gives it another name; returns it by that.

        Raises:
            SpecError: it cannot be a name.
        """
        return type(self)(tag_stored(self._stored, name))

    def save(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        format: Literal["docker-archive", "oci-archive"] = "docker-archive",  # noqa: A002
    ) -> None:
        """Writes it to an archive, a path or a file that is open for writing.

        Raises:
            HostError: that cannot be written.
        """
        save_stored([self._stored], target, format)

    def push(self, destination: str | None = None, *, tls_verify: bool | None = None) -> str:
        """Sends it to a registry, or what that lacks of it; returns its digest there.

        Args:
            destination: a name that tells where to; None: its own.
            tls_verify: as for ``pull``.

        Raises:
            HostError: the network failed, or the registry refused.
        """
        return push_stored(self._stored, destination, tls_verify)

    def remove(self, *, force: bool = False) -> None:
        """Takes its name away, and with the last one the image.

        Args:
            force: also if a container needs it: then it has no name, and ``prune`` removes it when
                no container does.

        Raises:
            StateError: a container needs it.
            NotFoundError: it was removed already.
        """
        remove_image(self.name or self.id, force=force)


def pull_stored(name: str, tls_verify: bool | None, call_off: CallOff | None = None) -> Stored:
    """See ``Image.pull``."""
    from drupe.image.pull import pull

    return pull(name, checked=tls_verify, call_off=call_off or CallOff())


def push_stored(
    stored: Stored, to: str | None, tls_verify: bool | None, call_off: CallOff | None = None
) -> str:
    """See ``Image.push``."""
    from drupe.image.push import push

    name = stored.name or stored.id
    return push(name, to, checked=tls_verify, call_off=call_off or CallOff())


def load_stored(source: Source) -> Iterable[Stored]:
    """See ``Image.load``."""
    from drupe.image.load import load

    if isinstance(source, str | os.PathLike) and Path(source).is_dir():
        return load(Path(source))
    with _opened(source, "rb") as file:
        return load(file)


def import_stored(source: Source, name: str | None, changes: Sequence[str]) -> Stored:
    """See ``Image.import_root``."""
    from drupe.image.commit import commit
    from drupe.image.compression import unpacked

    reference = None if name is None else parse_reference(name)
    with _opened(source, "rb") as file:
        return commit(None, unpacked(file, "the archive"), changes, reference)


def tag_stored(stored: Stored, name: str) -> Stored:
    """See ``Image.tag``."""
    from drupe.image.tag import tag

    return tag(stored.id, name)


def save_stored(
    stored: Sequence[Stored], target: str | os.PathLike[str] | BinaryIO, form: str
) -> None:
    """See ``Image.save``."""
    from drupe.image.save import Form, save

    with _opened(target, "wb") as file:
        save(stored, Form(form), file.write)


@contextmanager
def _opened(
    place: str | os.PathLike[str] | BinaryIO, mode: Literal["rb", "wb"]
) -> Iterator[BinaryIO]:
    if not isinstance(place, str | os.PathLike):
        yield place
        return
    verb = "read" if mode == "rb" else "write"
    try:
        with Path(place).open(mode) as file:
            yield file
    except OSError as error:
        raise HostError(f"failed to {verb} '{os.fspath(place)}': {error.strerror}") from error
