"""The store of images: archives in and out, names, what goes and what stays. No kernel needed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
import zstandard

from drupe.container.images import confirm_image
from drupe.errors import DrupeError, NotFoundError, SpecError, StateError
from drupe.image import blobs
from drupe.image.blobs import collect
from drupe.image.commit import commit
from drupe.image.find import find_image, listed_images
from drupe.image.load import load
from drupe.image.remove import Removed, prune, remove
from drupe.image.save import Form, save
from drupe.image.store import Image, ImageStore
from drupe.image.tag import tag
from drupe.oci.reference import parse_reference
from tests.conftest import Home
from tests.erofs_reader import read_image
from tests.fakes.specs import make_spec
from tests.unit.test_image_root import Member, archive, member

NAME = parse_reference("one:1")


@pytest.fixture
def store(private_home: Home, monkeypatch: pytest.MonkeyPatch) -> ImageStore:
    """A user's store with nothing in it; the machine's own images are not found."""
    monkeypatch.setenv("XDG_DATA_DIRS", str(private_home.path / "nowhere"))
    return ImageStore()


def make(*members: Member, name: str | None = "one:1", base: Image | None = None) -> Image:
    reference = None if name is None else parse_reference(name)
    return commit(base, iter([archive(*members)]), ["CMD run"], reference)


def saved(*images: Image, form: Form = Form.DOCKER) -> bytes:
    data = io.BytesIO()
    save(images, form, data.write)
    return data.getvalue()


def files(store: ImageStore) -> set[str]:
    """All that the store holds, but for its locks."""
    found = (path for path in store.home.rglob("*") if path.is_file())
    return {str(path.relative_to(store.home)) for path in found} - {"lock", "use"}


def nobody() -> Mapping[str, str]:
    return {}


def test_an_image_is_found_by_its_names_and_its_id(store: ImageStore) -> None:
    image = make(member("a", b"A"))
    for name in ("one:1", "docker.io/library/one:1", image.id, image.id[:6], f"sha256:{image.id}"):
        assert find_image(name).id == image.id
    assert find_image("one:1").name == find_image(image.id).name == "one:1"
    assert read_image(image.root)[b"a"].content == b"A"
    assert image.config.cmd == ("/bin/sh", "-c", "run")
    with pytest.raises(NotFoundError, match="failed to find image 'one': no such image"):
        find_image("one")
    with pytest.raises(SpecError, match="not an image's name"):
        find_image("One")


def test_layers_are_laid_over_the_base_and_shared_with_it(store: ImageStore) -> None:
    base = make(member("a", b"A"), member("b", b"B"))
    upper = make(member(".wh.a"), member("c"), base=base, name="two")
    assert set(read_image(upper.root)) == {b"", b"b", b"c"}
    assert upper.layers[0] == base.layers[0]
    assert [step.empty for step in upper.config.history] == [False, False]
    plain = commit(upper, None, ["ENV A=1"], parse_reference("three"))
    assert (plain.root, plain.config.env) == (upper.root, {"A": "1"})
    assert remove(store, "two", nobody).deleted == (upper.id,)
    assert find_image("three").root.exists()


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_what_is_saved_can_be_loaded_elsewhere(
    store: ImageStore,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    form: Form,
    pack: type[bytes],
) -> None:
    image = make(member("a", b"A" * 5000))
    upper = make(member("b"), base=image, name="two/x")
    data = pack(saved(find_image("one:1"), find_image("two/x"), form=form))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "other"))
    loaded = load(io.BytesIO(data))
    assert [(entry.name, entry.id) for entry in loaded] == [
        ("one:1", image.id),
        ("two/x:latest", upper.id),
    ]
    assert read_image(find_image("two/x").root) == read_image(upper.root)
    assert blobs_are_whole(ImageStore())


def blobs_are_whole(store: ImageStore) -> bool:
    found = list((store.home / "blobs").iterdir())
    return bool(found) and all(
        hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in found
    )


def test_a_layout_may_be_a_directory(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = make(member("a"))
    with tarfile.open(fileobj=io.BytesIO(saved(find_image("one:1"), form=Form.OCI))) as tar:
        tar.extractall(tmp_path / "layout")  # noqa: S202 (our own)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "other"))
    assert [entry.id for entry in load(tmp_path / "layout")] == [image.id]
    (tmp_path / "layout/index.json").unlink()
    with pytest.raises(SpecError, match="no OCI image layout"):
        load(tmp_path / "layout")


def changed(data: bytes, **content: bytes | None) -> bytes:
    """An archive with files replaced: names are given with _ for what is no letter."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for info in old:
            file = old.extractfile(info)
            assert file is not None
            key = info.name.rpartition("/")[2].replace(".", "_").replace("-", "_")[:9]
            body = content.get(key, file.read())
            if body is not None:
                info.size = len(body)
                new.addfile(info, io.BytesIO(body))
    return out.getvalue()


def test_a_spoilt_archive_leaves_nothing(store: ImageStore) -> None:
    make(member("a", b"A" * 9000))
    docker, oci = (saved(find_image("one:1"), form=form) for form in Form)
    remove(store, "one:1", nobody)
    assert files(store) == set()
    image = json.dumps([{"Config": "x", "Layers": []}]).encode()
    for data, cause in (
        (b"", "neither 'manifest.json' nor"),
        (docker[:3000], "ends in the middle"),
        (gzip.compress(docker)[:-20], "ends in the middle"),
        (gzip.compress(docker)[:10] + b"\xff" * 50, "not gzip"),
        (zstandard.compress(docker)[:10] + b"\xff" * 50, "not zstd|in the middle"),
        (b"\xfd7zXZ\0" + docker, "compressed with xz"),
        (changed(docker, manifest_=image), "'x' is not in it"),
        (changed(docker, manifest_=b"[]"), "no images are in it"),
        (changed(docker, manifest_=b"{}"), "not a JSON array"),
        (changed(oci, index_jso=b"{}"), "neither a manifest nor an index"),
    ):
        with pytest.raises(SpecError, match=cause):
            load(io.BytesIO(data))
        assert files(store) == set()
    with tarfile.open(fileobj=io.BytesIO(oci)) as tar:
        layer = next(name for name in tar.getnames() if name.startswith("blobs"))
    key = layer.rpartition("/")[2][:9]
    with pytest.raises(DrupeError, match=r"is not in it, or spoilt|'index.json' is no index"):
        load(io.BytesIO(changed(oci, **{key: b"other"})))
    assert files(store) == set()


def test_a_bomb_is_refused(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drupe.image.compression._SLACK_BYTES", 1 << 20)
    bomb = gzip.compress(archive(member("zeros", bytes(300 << 20))))
    with pytest.raises(SpecError, match=r"unpack to more than .*"):
        load(io.BytesIO(bomb))
    assert files(store) == set()


def test_a_name_goes_before_its_image(store: ImageStore) -> None:
    image = make(member("a"))
    tag("one:1", "localhost:5000/other/name")
    with pytest.raises(StateError, match="it has several names: one:1, localhost:5000/other/name"):
        remove(store, image.id, nobody)
    assert remove(store, "one:1", nobody) == Removed(("one:1",))
    removed = remove(store, image.id[:8], nobody)
    assert removed.untagged == ("localhost:5000/other/name:latest",)
    assert (removed.deleted, removed.freed_bytes > 0, files(store)) == ((image.id,), True, set())
    assert not list((store.home / "refs").iterdir())
    with pytest.raises(NotFoundError, match="no such image"):
        remove(store, "one:1", nobody)


def test_what_a_container_needs_stays_until_it_does_not(store: ImageStore) -> None:
    image = make(member("a"))
    users = {image.id: "box"}
    with pytest.raises(StateError, match="failed to remove image 'one:1': container 'box' needs"):
        remove(store, "one:1", lambda: users)
    assert remove(store, "one:1", lambda: users, force=True) == Removed(("one:1",))
    assert [(reference, entry.id) for reference, entry in listed_images()] == [(None, image.id)]
    assert prune(store, lambda: users).deleted == ()
    assert image.root.exists()
    users.clear()
    assert prune(store, lambda: users).deleted == (image.id,)
    assert files(store) == set()


def test_prune_takes_what_has_no_name_and_what_was_left_half_done(store: ImageStore) -> None:
    make(member("a"), name=None)
    kept = make(member("b"))
    (store.partial / f"{blobs.RESUMABLE}x").write_bytes(b"half")
    make(member("c"), name="two")
    assert "partial/blob-x" in files(store), "who pulls again goes on with it"
    assert len(prune(store, nobody).deleted) == 1
    assert "partial/blob-x" not in files(store)
    assert find_image("one:1").id == kept.id
    assert set(prune(store, nobody, every=True).untagged) == {"one:1", "two:latest"}
    assert files(store) == set()


def test_a_new_image_takes_the_name_of_an_old_one(store: ImageStore) -> None:
    old = make(member("a"))
    new = make(member("b"))
    assert find_image("one:1").id == new.id
    assert find_image(old.id).name == ""


def test_nothing_is_collected_while_somebody_adds(store: ImageStore) -> None:
    make(member("a"))
    with blobs.adding(store):
        digest = blobs.add_blob(store, b"not named by anything yet")
        assert collect(store) == 0
        assert store.blob(digest).exists()
    assert collect(store) > 0
    assert not store.blob(digest).exists()


def test_a_root_that_is_missing_is_made_again_and_a_spoilt_one_told(store: ImageStore) -> None:
    image = make(member("a", b"A"))
    image.root.unlink()
    assert read_image(find_image("one:1").root)[b"a"].content == b"A"
    with image.root.open("ab") as file:
        file.write(b"more")
    with pytest.raises(StateError, match=r"its root has \d+ bytes and should have \d+"):
        find_image("one:1")


def test_a_container_on_record_confirms_that_its_image_is_there(store: ImageStore) -> None:
    image = make(member("a"))
    spec = make_spec("c", "c", image=image.root_file, image_id=image.id, image_name="one:1")
    confirm_image(spec)
    remove(store, "one:1", nobody)
    with pytest.raises(StateError, match="of 'one:1': it was removed meanwhile"):
        confirm_image(spec)
    confirm_image(spec._replace(image=None, image_id=""))


def test_a_spoilt_record_is_told_and_nothing_is_collected(store: ImageStore) -> None:
    image = make(member("a"))
    record = store.home / f"records/{image.id}.json"
    record.write_text("{}")
    with pytest.raises(StateError, match="missing keys"):
        find_image("one:1")
    assert collect(store) == 0
    assert listed_images() == []


def test_an_image_of_the_system_is_run_and_tagged_by_users(
    store: ImageStore, private_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make(member("a"))
    store.home.parent.rename(private_home.path / "system")
    (private_home.path / "system").rename(private_home.path / "drupe")
    monkeypatch.setenv("XDG_DATA_DIRS", str(private_home.path))
    assert find_image("one:1").root.is_relative_to(private_home.path / "drupe")
    tag("one:1", "mine")
    assert find_image("mine").root.is_relative_to(store.home)
    assert remove(store, "mine", nobody).deleted == (image.id,)
    assert find_image("one:1").id == image.id


def test_several_make_the_same_image_at_once(store: ImageStore) -> None:
    data = archive(member("a", b"A" * 100_000))
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            commit(None, iter([data]), [f"ENV N={number % 2}"], parse_reference(f"x:{number}"))
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(list(store.names())) == 6
    assert len(list((store.home / "roots").iterdir())) == 1
    assert blobs_are_whole(store)


_LOAD = "import sys\nfrom drupe.image.load import load\nload(sys.stdin.buffer)\n"


def test_a_load_that_is_killed_leaves_a_store_that_works(store: ImageStore) -> None:
    make(member("a", os.urandom(8 << 20)), member("b", os.urandom(1 << 20)))
    data = saved(find_image("one:1"))
    remove(store, "one:1", nobody)
    for delay_s in (0.0, 0.1, 0.2, 0.25, 0.3, 0.4):
        child = subprocess.Popen([sys.executable, "-c", _LOAD], stdin=subprocess.PIPE)
        assert child.stdin is not None
        timer = threading.Timer(delay_s, child.send_signal, (signal.SIGKILL,))
        timer.start()
        try:
            child.stdin.write(data)
            child.stdin.close()
        except BrokenPipeError:
            pass
        child.wait()
        timer.join()
        for _, image in listed_images():
            assert read_image(image.root)
    assert load(io.BytesIO(data))[0].name == "one:1"
    assert not list(store.partial.iterdir())
    remove(store, "one:1", nobody)
    assert files(store) == set()
