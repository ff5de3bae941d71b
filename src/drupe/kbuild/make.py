"""make on a kernel tree: configured, compiled, its log kept, its failures named."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drupe import process
from drupe.errors import KernelBuildError
from drupe.kbuild import toolchain
from drupe.kbuild.progress import Progress, Reporter

_COMPILED = re.compile(r"\s+(?:CC|AS|USER_CC)\s+(?:\[M\]\s+)?(\S+\.o)\s*")
FAILED = re.compile(r"error:|Error \d|undefined reference|fatal:|\*\*\*")
"""A line of a build's log that tells why it failed."""
_TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class Target:
    """How a platform's kernel is made.

    Attributes:
        arch: make's ARCH.
        srcarch: the directory below arch/.
        goal: what make is asked for.
        image: what comes out, below the output directory.
        strip: whether it is a program that can be stripped.
    """

    arch: str
    srcarch: str
    goal: str
    image: str
    strip: bool


TARGETS = {
    "um": Target("um", "um", "linux", "linux", strip=True),
    "vm": Target("x86_64", "x86", "bzImage", "arch/x86/boot/bzImage", strip=False),
}


class Make:
    """make with one tree, one output directory and one log.

    The output directory is a child of the tree: kbuild then uses relative paths throughout, and
    so ccache hits from any place, and no path gets into the program.
    """

    def __init__(self, tree: Path, name: str, target: Target, report: Reporter) -> None:
        self.output = tree / f"drupe-{name}"
        self.output.mkdir(exist_ok=True)
        self.log = self.output / "drupe.log"
        self.log.write_bytes(b"")
        self._tree = tree
        self._report = report
        stamp = time.gmtime((tree / "Makefile").stat().st_mtime)
        self._env = toolchain.environment(tree) | {
            "KBUILD_BUILD_TIMESTAMP": time.strftime("%a %b %e %H:%M:%S UTC %Y", stamp),
            "KBUILD_BUILD_VERSION": "1",
        }
        compiler = toolchain.cached("gcc")
        self._argv = ["make", f"ARCH={target.arch}", f"O={self.output.name}", f"CC={compiler}"]
        self._argv += [f"HOSTCC={compiler}"]

    def configure(self, allconfig: Path) -> str:
        """Makes a ``.config`` of what a file asks for and nothing else; returns its text.

        Where the outcome is the same as before, the file keeps its time: make has nothing to do.

        Raises:
            KernelBuildError: kconfig failed.
        """
        config = self.output / ".config"
        before = config.stat() if config.exists() else None
        old = config.read_bytes() if before else b""
        self._run("configure", ["allnoconfig"], {"KCONFIG_ALLCONFIG": str(allconfig)})
        if before and config.read_bytes() == old:
            import os

            os.utime(config, ns=(before.st_atime_ns, before.st_mtime_ns))
        return config.read_text(encoding="utf-8")

    def compile(self, goal: str, jobs: int, expected: int) -> int:
        """Makes a goal, going on where an earlier try stopped; returns how many were compiled.

        Raises:
            KernelBuildError: it failed; names the log and the lines that tell why.
        """
        return self._run("compile", [f"-j{jobs}", goal], {}, expected)

    def _run(
        self, step: str, words: Sequence[str], extra: dict[str, str], expected: int = 0
    ) -> int:
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        failures: list[str] = []
        done = 0

        def on_line(line: str) -> None:
            nonlocal done
            tail.append(line)
            if FAILED.search(line) and len(failures) < _TAIL_LINES:
                failures.append(line)
            if compiled := _COMPILED.fullmatch(line):
                done += 1
                self._report(Progress(step, compiled[1], done, max(expected, done)))

        self._report(Progress(step))
        argv = [*self._argv, *words]
        status = process.run_logged(
            argv, self.log, cwd=self._tree, env=self._env | extra, on_line=on_line
        )
        if status != 0:
            told = "\n".join(failures or tail)
            raise KernelBuildError(
                f"failed to {step} '{self.output}': make ended with status {status}:\n{told}",
                log=str(self.log),
                hint=f"the whole log: {self.log}",
            )
        return done
