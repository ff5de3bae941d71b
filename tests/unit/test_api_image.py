"""``drupe.Image`` and its twin for asyncio: no container is needed to move images about."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path

import pytest

import drupe
from drupe import aio
from drupe.errors import NotFoundError, SpecError, StateError
from drupe.image.store import ImageStore
from tests.bad_registry import BadRegistry, Handler
from tests.unit.test_image_root import archive, member
from tests.unit.test_image_store import store as store  # noqa: PLC0414 (a fixture)
from tests.unit.test_registry import registry as registry  # noqa: PLC0414 (a fixture)

LAYER = archive(member("a", b"A"))
CHANGES = ['CMD ["run", "it"]', "ENV A=1", "EXPOSE 80", "USER me", "LABEL l=1", "VOLUME /v"]


def test_an_image_tells_what_it_is(store: ImageStore) -> None:
    image = drupe.Image.import_root(io.BytesIO(LAYER), "one", changes=CHANGES)
    assert image == drupe.Image.get("one") == drupe.Image.list()[0]
    assert (image.name, image.command, image.user) == ("one:latest", ("run", "it"), "me")
    assert (image.ports, image.volumes, image.workdir) == (("80/tcp",), ("/v",), "/")
    assert (dict(image.env), dict(image.labels)) == ({"A": "1"}, {"l": "1"})
    assert image.size_bytes % 4096 == 0
    assert repr(image) == f"<Image one:latest {image.id[:12]}>"
    assert image.history[0].empty is False


def test_images_are_saved_loaded_tagged_and_removed(store: ImageStore, tmp_path: Path) -> None:
    image = drupe.Image.import_root(io.BytesIO(LAYER), "one")
    image.save(tmp_path / "one.tar")
    image.save(tmp_path / "oci.tar", format="oci-archive")
    other = image.tag("two:2")
    assert (other.id, other.name) == (image.id, "two:2")
    image.remove()
    other.remove()
    with pytest.raises(NotFoundError, match="no such image"):
        image.remove()
    for name in ("one.tar", "oci.tar"):
        assert drupe.Image.load(tmp_path / name)[0] == image
    assert drupe.Image.prune() == []
    assert drupe.Image.prune(all=True) == [image.id]
    with pytest.raises(drupe.errors.HostError, match="failed to read '/nowhere': No such file"):
        drupe.Image.load("/nowhere")


def test_the_same_for_asyncio(store: ImageStore, tmp_path: Path) -> None:
    async def work() -> None:
        image = await aio.Image.import_root(io.BytesIO(LAYER), "one", changes=CHANGES)
        assert image == (await aio.Image.get("one")) == (await aio.Image.list())[0]
        await image.save(tmp_path / "one.tar")
        other = await image.tag("two")
        await image.remove()
        await other.remove()
        assert (await aio.Image.load(tmp_path / "one.tar"))[0] == image
        assert await aio.Image.prune(all=True) == [image.id]
        with pytest.raises(SpecError, match="not an image's name"):
            await aio.Image.pull("Nonsense")

    asyncio.run(work())


def test_a_pull_that_is_cancelled_ends_at_once(registry: BadRegistry) -> None:
    begun, end = threading.Event(), threading.Event()

    def hang(handler: Handler) -> bool:
        begun.set()
        end.wait(5)
        return False

    registry.trick(f"/v2/x/blobs/{registry.layer}", hang)

    async def work() -> None:
        task = asyncio.create_task(aio.Image.pull(registry.name))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 1)

    try:
        asyncio.run(work())
        with pytest.raises(NotFoundError):
            drupe.Image.get(registry.name)
    finally:
        end.set()


def test_a_pull_that_was_called_off_says_so(registry: BadRegistry) -> None:
    from drupe.image.calloff import CallOff
    from drupe.image.pull import pull

    call_off = CallOff()
    call_off()
    with pytest.raises(StateError, match="called off"):
        pull(registry.name, call_off=call_off)


def test_pull_and_push(registry: BadRegistry) -> None:
    image = drupe.Image.pull(registry.name)
    assert image.digest.startswith("sha256:")
    with pytest.raises(drupe.errors.HostError, match="answers 501"):
        image.push()
