"""``drupe.aio.Image``: an image, for asyncio."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import BinaryIO, Literal

from drupe.api import image as sync
from drupe.api.image import ImageView, Source
from drupe.api.threads import in_thread
from drupe.container.images import prune_images, remove_image
from drupe.image.calloff import CallOff
from drupe.image.find import find_image, listed_images


class Image(ImageView):
    """An image, by ``Image.pull``, ``load``, ``get`` or ``list``.

    ``drupe.Image`` for asyncio: arguments, results and errors are the same. A pull or a push that
    is cancelled ends at once; what has come is used by the next one. All else is brought to its
    end first.
    """

    @classmethod
    async def get(cls, name: str) -> Image:
        """An image by its name or id: ``drupe.Image.get``."""
        return cls(await in_thread(lambda: find_image(name)))

    @classmethod
    async def list(cls) -> Sequence[Image]:
        """All images: ``drupe.Image.list``."""
        return [cls(stored) for _, stored in await in_thread(listed_images)]

    @classmethod
    async def pull(cls, name: str, *, tls_verify: bool | None = None) -> Image:
        """Brings an image from its registry: ``drupe.Image.pull``."""
        end = CallOff()
        call = lambda: sync.pull_stored(name, tls_verify, end)  # noqa: E731
        return cls(await in_thread(call, abort=end))

    @classmethod
    async def load(cls, source: Source) -> Sequence[Image]:
        """The images in an archive: ``drupe.Image.load``."""
        return [cls(stored) for stored in await in_thread(lambda: sync.load_stored(source))]

    @classmethod
    async def import_root(
        cls, source: Source, name: str | None = None, *, changes: Sequence[str] = ()
    ) -> Image:
        """Makes an image of the files of a root: ``drupe.Image.import_root``."""
        return cls(await in_thread(lambda: sync.import_stored(source, name, changes)))

    @classmethod
    async def prune(cls, *, all: bool = False) -> Sequence[str]:  # noqa: A002 (as in drupe.Image)
        """Removes images that nobody needs: ``drupe.Image.prune``."""
        return [*(await in_thread(lambda: prune_images(every=all))).deleted]

    async def tag(self, name: str) -> Image:
        """Gives it another name: ``drupe.Image.tag``."""
        return type(self)(await in_thread(lambda: sync.tag_stored(self._stored, name)))

    async def save(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        format: Literal["docker-archive", "oci-archive"] = "docker-archive",  # noqa: A002
    ) -> None:
        """Writes it to an archive: ``drupe.Image.save``."""
        await in_thread(lambda: sync.save_stored([self._stored], target, format))

    async def push(self, destination: str | None = None, *, tls_verify: bool | None = None) -> str:
        """Sends it to a registry: ``drupe.Image.push``."""
        end = CallOff()
        call = lambda: sync.push_stored(self._stored, destination, tls_verify, end)  # noqa: E731
        return await in_thread(call, abort=end)

    async def remove(self, *, force: bool = False) -> None:
        """Takes its name away, and with the last one the image: ``drupe.Image.remove``."""
        await in_thread(lambda: remove_image(self.name or self.id, force=force))
