"""Makes images, each once: three layers, of which the first is one for all, in one OCI layout.

``python -m tests.conformance.images.make [NAME ...]`` makes them outside of tests.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from drupe.store import atomic
from drupe.store.lock import locked
from tests.conformance.images import stage
from tests.conformance.images.layer import Layer, pack
from tests.conformance.images.recipes import RECIPES, Recipe

FILES = Path(__file__).with_name("files")
CREATED = "2026-01-01T00:00:00Z"
_OCI = "application/vnd.oci.image"
_NAME = "org.opencontainers.image.ref.name"


class Images:
    """The OCI layout and the stages of the images in it.

    Attributes:
        layout: the directory; its index has each image as ``NAME:latest``.
    """

    def __init__(self) -> None:
        self.layout = stage.home() / "layout"
        self._blobs = self.layout / "blobs/sha256"

    def make(self, names: Iterable[str] = RECIPES) -> None:
        """Makes those that are missing, or whose recipe has changed."""
        self._blobs.mkdir(parents=True, exist_ok=True)
        with locked(stage.home() / ".lock"):
            for name in names:
                self._make(name, RECIPES[name])
            self._write_index()

    def lowers(self, name: str) -> list[Path]:
        """The directories that make the image's root, the lowest first."""
        own = [stage.home() / "stages" / name / part for part in ("packages", "files")]
        return [path for path in (stage.home() / "base", *own) if path.is_dir()]

    def _make(self, name: str, recipe: Recipe) -> None:
        known = stage.home() / f"{name}.json"
        key = _key(name, recipe)
        if known.exists() and json.loads(known.read_text())["key"] == key:
            return
        known.unlink(missing_ok=True)
        print(f"making image {name}", file=sys.stderr, flush=True)  # noqa: T201 (takes a minute)
        root = stage.home() / "stages" / name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        layers = [] if recipe.bare else [self._base_layer()]
        lowers = [stage.base()]
        if recipe.packages:
            packages = root / "packages"
            packages.mkdir()
            stage.install(lowers, packages, recipe.packages)
            lowers.append(packages)
            layers.append(pack(packages, self._blobs))
        files = root / "files"
        files.mkdir()
        if recipe.build is not None:
            _compile(name, recipe, lowers, root / "build")
            shutil.copytree(root / "build/out", files, dirs_exist_ok=True)
            shutil.rmtree(root / "build")
        if not recipe.bare:
            if (FILES / name).is_dir():
                shutil.copytree(FILES / name, files, dirs_exist_ok=True)
            stage.run_stage(lowers, files, f"{recipe.setup or ':'}\nrm -rf /src")
        layers.append(pack(files, self._blobs))
        atomic.write_json(known, {"key": key, **self._describe(recipe, layers)})

    def _base_layer(self) -> Layer:
        """The layer that all have in common."""
        base = stage.base()
        known = stage.home() / "base-layer.json"
        made = (stage.home() / "base.json").stat().st_mtime_ns
        if known.exists() and (found := json.loads(known.read_text()))["made"] == made:
            return Layer(*found["layer"])
        layer = pack(base, self._blobs)
        atomic.write_json(known, {"made": made, "layer": list(layer)})
        return layer

    def _describe(self, recipe: Recipe, layers: list[Layer]) -> dict[str, Any]:
        """Writes configuration and manifest; returns the latter's descriptor."""
        config = self._put(
            f"{_OCI}.config.v1+json",
            {
                "created": CREATED,
                "architecture": "amd64",
                "os": "linux",
                "config": recipe.config(),
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
                "history": [{"created": CREATED, "created_by": "drupe's tests"} for _ in layers],
            },
        )
        parts = [
            {
                "mediaType": f"{_OCI}.layer.v1.tar+gzip",
                "digest": layer.digest,
                "size": layer.size,
            }
            for layer in layers
        ]
        kind = f"{_OCI}.manifest.v1+json"
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": parts}
        return {"manifest": self._put(kind, manifest)}

    def _put(self, media_type: str, value: object) -> dict[str, Any]:
        raw = json.dumps(value).encode()
        digest = hashlib.sha256(raw).hexdigest()
        atomic.write_bytes(self._blobs / digest, raw)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(raw)}

    def _write_index(self) -> None:
        manifests = []
        for name in sorted(RECIPES):
            known = stage.home() / f"{name}.json"
            if known.exists():
                descriptor = json.loads(known.read_text())["manifest"]
                manifests.append({**descriptor, "annotations": {_NAME: f"{name}:latest"}})
        kind = f"{_OCI}.index.v1+json"
        index = {"schemaVersion": 2, "mediaType": kind, "manifests": manifests}
        atomic.write_json(self.layout / "index.json", index)
        atomic.write_json(self.layout / "oci-layout", {"imageLayoutVersion": "1.0.0"})
        self._sweep([manifest["digest"] for manifest in manifests])

    def _sweep(self, digests: list[str]) -> None:
        """Removes blobs that no image has any more."""
        wanted = {digest.removeprefix("sha256:") for digest in digests}
        for digest in list(wanted):
            manifest = json.loads((self._blobs / digest).read_text())
            parts = (manifest["config"], *manifest["layers"])
            wanted.update(part["digest"].removeprefix("sha256:") for part in parts)
        for blob in self._blobs.iterdir():
            if blob.name not in wanted:
                blob.unlink()


def _key(name: str, recipe: Recipe) -> str:
    """Changes with the recipe and with its files."""
    content = hashlib.sha256(repr(recipe).encode())
    for path in sorted((FILES / name).rglob("*")):
        if path.is_file():
            content.update(f"{path.relative_to(FILES)} {path.stat().st_mode}".encode())
            content.update(path.read_bytes())
    return content.hexdigest()


def _compile(name: str, recipe: Recipe, lowers: list[Path], upper: Path) -> None:
    assert recipe.build is not None
    upper.mkdir()
    shutil.copytree(FILES / name, upper, dirs_exist_ok=True)
    stage.install(lowers, upper, recipe.build.packages)
    scripted = upper.with_name("compiled")
    scripted.mkdir()
    stage.run_stage([*lowers, upper], scripted, recipe.build.script)
    shutil.rmtree(upper)
    scripted.rename(upper)


if __name__ == "__main__":
    Images().make(sys.argv[1:] or RECIPES)
