"""Images of real applications: pulled, run, used through a published port, stopped, started again.

``--engine podman`` does the same with podman, and shows whether an exercise itself is right. What
was done, and how long it took, is written to ``images.txt`` in the directory of the images.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.conformance.images import stage
from tests.conformance.images.clients import Client
from tests.conformance.images.engine import (
    DRUPE,
    PODMAN,
    Application,
    Engine,
    until_it_works,
)
from tests.conformance.images.exercises import EXERCISES
from tests.conformance.images.make import Images
from tests.conformance.images.recipes import RECIPES
from tests.registry import Registry, running_registry

BY_SIGNAL = 128
COLUMNS = ("image", "pull", "ready", "stop", "ready again", "rate")


@pytest.fixture(scope="module")
def registry(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that has them."""
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        for name in RECIPES:
            registry.push_layout(images.layout, f"{name}:latest", name)
        yield registry


@pytest.fixture(scope="module")
def client() -> Client:
    """The applications' own clients."""
    return Client()


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, ...]]]:
    """What is told at the end, a row for each application."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    yield rows
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    text = "\n".join(lines) + "\n"
    engine = request.config.getoption("--engine")
    platform = request.config.getoption("--platform") if engine == DRUPE else engine
    (stage.home() / f"images-{platform}.txt").write_text(text)
    print(f"\n{text}")  # noqa: T201 (it is the result)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The engine with a home of its own; in that of drupe nothing may be left."""
    if request.config.getoption("--engine") == DRUPE:
        containers = request.getfixturevalue("containers")
        kind = {"DRUPE_PLATFORM": containers.platform}
        yield Engine(DRUPE, tuple(containers.cli.argv()), {**containers.cli.env, **kind})
        return
    if shutil.which("podman") is None:
        pytest.skip("needs podman: apt-get install podman")
    # Podman allows no long path here.
    with tempfile.TemporaryDirectory(prefix="podman.", ignore_cleanup_errors=True) as place:
        argv = ("podman", "--root", f"{place}/root", "--runroot", f"{place}/run")
        yield Engine(
            PODMAN, (*argv, "--cgroup-manager=cgroupfs", "--runtime=runc"), dict(os.environ)
        )
        subprocess.run(["umount", f"{place}/root/overlay"], check=False)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", EXERCISES)
def test_an_application(
    name: str, engine: Engine, registry: Registry, client: Client, table: list[tuple[str, ...]]
) -> None:
    exercise = EXERCISES[name]
    image = f"{registry.address}/{name}"
    app = Application.of(engine, name, image, exercise, client)
    engine.pull(image)
    app.run()
    try:
        ready_s = until_it_works(lambda: exercise.begin(app.target))
        exercise.check(app.target)
        rate = exercise.load(app.target) if exercise.load else ""
        assert exercise.log in app.log()
        engine("stop", name)
        assert app.exit_code() in good_ends(name)
        stop_s = engine.took_s("stop")
        before = app.log()
        engine("start", name)
        if exercise.forgets:
            until_it_works(lambda: exercise.begin(app.target))
        again_s = until_it_works(lambda: exercise.check(app.target))
        assert app.log().startswith(before), "the log goes on where it ended"
    except BaseException:
        with suppress(Exception):
            print(app.log()[-3000:])  # noqa: T201 (for whoever mends it)
        raise
    finally:
        engine("rm", "-f", name)
    assert name not in engine("ps", "-a")
    row = (engine.took_s("pull"), ready_s, stop_s, again_s)
    table.append((name, *(f"{seconds:.2f} s" for seconds in row), rate))


@pytest.mark.timeout(600)
def test_two_containers_on_a_network(engine: Engine, registry: Registry, client: Client) -> None:
    """WordPress and its database, which it finds by name: installed, written to, restarted."""
    site = Application.of(
        engine, "wordpress", f"{registry.address}/wordpress", EXERCISES["httpd"], client
    )
    base = Application.of(
        engine, "mariadb", f"{registry.address}/mariadb", EXERCISES["mariadb"], client
    )
    engine.pull(site.image)
    engine.pull(base.image)
    engine("network", "create", "blog")
    try:
        base.run("--network", "blog")
        until_it_works(lambda: base.exercise.begin(base.target))
        told = {"HOST": "mariadb", "USER": "drupe", "PASSWORD": "drupe", "NAME": "drupe"}
        variables = [f"--env=WORDPRESS_DB_{name}={value}" for name, value in told.items()]
        site.run("--network", "blog", *variables)
        form = {"weblog_title": "Stones", "user_name": "drupe", "admin_email": "drupe@example.org"}
        form |= {"admin_password": "almond", "admin_password2": "almond", "pw_weak": "1"}
        words = [
            word for name, value in form.items() for word in ("--data-urlencode", f"{name}={value}")
        ]

        def install() -> None:
            said = site.target.curl(80, "/wp-admin/install.php?step=2", *words)
            assert "Success!" in said

        until_it_works(install)
        until_it_works(lambda: _has_title(site))
        for app in (site, base):
            engine("stop", app.name)
        for app in (base, site):
            engine("start", app.name)
        until_it_works(lambda: _has_title(site))
    except BaseException:
        with suppress(Exception):
            print(site.log()[-2000:], base.log()[-1000:])  # noqa: T201 (for whoever mends it)
        raise
    finally:
        for name in ("wordpress", "mariadb"):
            with suppress(AssertionError):  # it never came to be
                engine("rm", "-f", name)
        engine("network", "rm", "blog")


def _has_title(site: Application) -> None:
    # The package has no theme, so what the site is called is asked of its interface.
    assert '"name":"Stones"' in site.target.curl(80, "/?rest_route=/")


def good_ends(name: str) -> set[int]:
    """How a main process may end that was asked to: well, or by that signal."""
    asked = RECIPES[name].stop_signal or "SIGTERM"
    number = signal.Signals[asked]
    # Java says 143 of itself.
    return {0, BY_SIGNAL + number}
