"""The engine under exercise: drupe, or podman, which shows whether an exercise itself is right."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.conformance.images.clients import Client
from tests.conformance.images.exercises import Exercise, Target
from tests.conformance.images.recipes import RECIPES

READY_S = 120.0
"""How long an application may take until it answers, its first start included."""

DRUPE, PODMAN = "drupe", "podman"
LIMIT_S = 180.0


@dataclass(frozen=True)
class Engine:
    """Runs verbs that both engines have.

    Attributes:
        name: ``drupe`` or ``podman``.
        argv: what comes before the verb.
        env: of the commands.
        ran: each verb with the seconds it took.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ran: list[tuple[str, float]] = field(default_factory=list)

    def __call__(self, *words: str) -> str:
        """Runs a verb; returns what it wrote, both streams together.

        Raises:
            AssertionError: it failed.
        """
        begin = time.monotonic()
        done = subprocess.run(
            [*self.argv, *words],
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            check=False,
        )
        self.ran.append((words[0], time.monotonic() - begin))
        said = done.stdout.decode(errors="replace")
        assert done.returncode == 0, f"{self.name} {' '.join(words)}: {said[-3000:]}"
        return said

    def pull(self, image: str) -> None:
        """Pulls an image from a registry on loopback."""
        self("pull", *(["--quiet", "--tls-verify=false"] if self.name == PODMAN else []), image)

    def took_s(self, verb: str) -> float:
        """How long the last run of a verb took."""
        return next(took for name, took in reversed(self.ran) if name == verb)


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until_it_works(what: Callable[[], None]) -> float:
    """Tries again until it raises nothing; returns how long that took, in seconds."""
    begin = time.monotonic()
    while True:
        try:
            what()
        except (AssertionError, subprocess.SubprocessError):
            if time.monotonic() - begin > READY_S:
                raise
            time.sleep(0.2)
        else:
            return time.monotonic() - begin


@dataclass(frozen=True)
class Application:
    """One application in a container of its own.

    Attributes:
        name: of its recipe, its exercise, and the container.
        image: what the engine calls its image.
    """

    engine: Engine
    name: str
    image: str
    exercise: Exercise
    client: Client
    ports: Mapping[int, int]

    @classmethod
    def of(
        cls, engine: Engine, name: str, image: str, exercise: Exercise, client: Client
    ) -> Application:
        """With a free port of this host for each that the image exposes."""
        ports = {int(port.partition("/")[0]): free_port() for port in RECIPES[name].ports}
        return cls(engine, name, image, exercise, client, ports)

    @property
    def target(self) -> Target:
        """What the exercise works on."""
        return Target(self.ports, self.client, lambda *argv: self.engine("exec", self.name, *argv))

    def run(self, *options: str) -> None:
        """``run -d``, every port published."""
        words = ["-d", "--name", self.name, "-m", self.exercise.memory]
        for inside, outside in self.ports.items():
            words += ["-p", f"127.0.0.1:{outside}:{inside}"]
        if self.engine.name == PODMAN:
            # More than these may not be had in a machine that is a container itself.
            words += ["--ulimit", "nofile=8192:8192", "--ulimit", "nproc=4096:4096"]
        self.engine("run", *words, *self.exercise.options, *options, self.image)

    def log(self) -> str:
        """All that it wrote."""
        return self.engine("logs", self.name)

    def exit_code(self) -> int:
        """Of the main process, once it has ended."""
        return int(self.engine("wait", self.name))
