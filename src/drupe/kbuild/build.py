"""A kernel from start to end: source, overlay, configuration, make, store; or found ready.

The build key is the hash of all that decides what comes out. A build that was interrupted goes on
in its output directory; one that is in the store already costs a few hashes and no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from drupe import process
from drupe.errors import SpecError
from drupe.kbuild import assets, overlay, source, toolchain
from drupe.kbuild.kernels import Kernel, list_kernels, select, shared_dir
from drupe.kbuild.make import TARGETS, Make
from drupe.kbuild.progress import Progress, Reporter, silent
from drupe.kbuild.versions import Versions, read_versions
from drupe.kconfig import Option, allconfig, parse_dotconfig, verify
from drupe.kconfig.profile import Profile, find_profile
from drupe.store import atomic, paths

RECIPE = 1
"""Counts up when this code builds something else from the same inputs."""

_OBJECTS_USUAL = 950


@dataclass(frozen=True, slots=True)
class Request:
    """What to build.

    Attributes:
        profile: name of the kernel and of its output directory.
        platform: ``um`` or ``vm``.
        options: the merged configuration.
        source: a directory, a tarball, a URL; None for Debian's package.
        sha256: of what the URL serves.
        jobs: make's ``-j``; 0 for one per processor.
    """

    profile: str
    platform: str
    options: Mapping[str, Option] = field(repr=False)
    source: str | None = None
    sha256: str | None = None
    jobs: int = 0


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is in the build key besides the source."""

    platform: str
    overlay: str
    config: str
    compiler: str
    recipe: int = RECIPE

    def digest(self) -> str:
        """The hash of all of them."""
        words = (self.platform, self.overlay, self.config, self.compiler, str(self.recipe))
        return hashlib.sha256("\0".join(words).encode()).hexdigest()


def build_key(inputs: Inputs, identity: str) -> str:
    """The key of a kernel: 64 hexadecimal digits; the first 16 are its id."""
    return hashlib.sha256(f"{inputs.digest()}\0{identity}".encode()).hexdigest()


def request_for(profile: Profile, **rest: object) -> Request:
    """The request that builds a profile.

    Raises:
        KernelConfigError: its fragments cannot be parsed or merged.
        NotFoundError: one is missing.
    """
    return Request(profile.name, profile.platform, profile.options(), **rest)  # type: ignore[arg-type]


def request_named(name: str, **rest: object) -> Request:
    """The request that builds one of drupe's own profiles, such as ``general``.

    Raises:
        NotFoundError: there is no such profile.
        KernelConfigError: its fragments cannot be parsed or merged.
    """
    return request_for(find_profile(assets.kernel_dir() / "configs", name), **rest)


def build(request: Request, report: Reporter = silent) -> Kernel:
    """Builds a kernel, or finds it ready, and makes it the one that its profile stands for.

    Raises:
        SpecError: the source is none, or the platform is unknown.
        HostError: a tool is missing, no source can be had, or the disk is full.
        PatchError: the overlay does not apply.
        KernelConfigError: the configuration cannot be met.
        KernelBuildError: make failed.
    """
    if request.platform not in TARGETS:
        raise SpecError(f"failed to build '{request.profile}': unknown platform")
    kernel_dir = assets.kernel_dir()
    versions = read_versions(kernel_dir / "versions.toml")
    over = overlay.read_overlay(kernel_dir)
    compiler = toolchain.compiler()
    config = allconfig(request.options) + "".join(f"# {entry}\n" for entry in versions.renamed)
    inputs = Inputs(request.platform, over.digest(), config, compiler)
    ready = _ready(inputs, None, request, versions)
    if ready is None:
        toolchain.kernel_tools()
        origin = source.obtain(request.source, request.sha256, versions, report)
        with source.holding(origin.name, report):
            ready = _ready(inputs, origin, request, versions)
            if ready is None:
                report(Progress("patch", f"Linux {origin.version}"))
                hint = versions.hint()
                overlay.apply(origin.directory, over, version=origin.version, hint=hint)
                options = versions.translate(request.options, origin.version)
                ready = _make(replace(request, options=options), inputs, origin, report)
    select(ready, request.profile)
    return ready


def _ready(
    inputs: Inputs, origin: source.Source | None, request: Request, versions: Versions
) -> Kernel | None:
    """A kernel in the store that this request would build again.

    Before the source is known, one that was built of Debian's package serves, tested versions
    first; where a source is asked for by name, none does.
    """
    if origin is None and request.source is not None:
        return None
    digest = inputs.digest()
    found = [
        kernel
        for kernel in list_kernels()
        if kernel.inputs == digest
        and (
            kernel.key == build_key(inputs, origin.identity)
            if origin is not None
            else kernel.source.startswith("debian ")
        )
    ]
    tested = versions.tested()
    rank = {version: number for number, version in enumerate(tested)}
    return min(found, key=lambda kernel: rank.get(kernel.version, len(rank)), default=None)


def _make(request: Request, inputs: Inputs, origin: source.Source, report: Reporter) -> Kernel:
    began = time.monotonic()
    target = TARGETS[request.platform]
    make = Make(origin.tree, f"{request.profile}-{request.platform}", target, report)
    wanted = make.output / "drupe.allconfig"
    wanted.write_text(allconfig(request.options))
    config = parse_dotconfig(make.configure(wanted))
    verify(request.options, config, origin.tree, srcarch=target.srcarch)
    before = [kernel.objects for kernel in list_kernels() if kernel.profile == request.profile]
    expected = next((count for count in before if count), _OBJECTS_USUAL)
    jobs = request.jobs or len(os.sched_getaffinity(0))
    compiled = make.compile(target.goal, jobs, expected)
    report(Progress("install"))
    key = build_key(inputs, origin.identity)
    kernel = Kernel(
        id=key[:16],
        profile=request.profile,
        platform=request.platform,
        version=origin.version,
        linux=Path("linux"),
        config=Path("config"),
        key=key,
        inputs=inputs.digest(),
        source=origin.identity,
        compiler=inputs.compiler,
        built_at=round(time.time(), 3),
        seconds=round(time.monotonic() - began, 1),
        objects=max(compiled, *before, 0) if before else compiled,
    )
    return _install(kernel, make.output / target.image, make.output / ".config", target.strip)


def _install(kernel: Kernel, image: Path, config: Path, strip: bool) -> Kernel:
    """Puts a kernel into the store: whole, by one rename."""
    final = shared_dir(paths.data_home() / "kernels") / kernel.id
    with atomic.new_directory(final) as directory:
        if strip:
            process.run(["strip", "-o", str(directory / "linux"), str(image)])
        else:
            shutil.copy2(image, directory / "linux")
        shutil.copyfile(config, directory / "config")
        done = kernel._replace(size_bytes=(directory / "linux").stat().st_size)
        facts = json.dumps(done.describe(), indent=1).encode() + b"\n"
        atomic.write_bytes(directory / "kernel.json", facts, mode=0o644)
    return done._replace(linux=final / "linux", config=final / "config")
