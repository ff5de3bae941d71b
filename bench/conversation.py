"""A program that runs on one side for the whole benchmark, and is told line by line what to do."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress

_TIMEOUT_S = 240.0
_LAST_WORDS_BYTES = 400


class BrokenError(Exception):
    """The program has ended, or does not answer."""


class Conversation:
    """One running program with its standard input and output.

    Args:
        name: of the side.
        argv: runs the program there, in the foreground.
        clean_up: run after a program that had to be killed; empty: nothing.
        timeout_s: how long an answer may take.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        clean_up: Sequence[str] = (),
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self.name = name
        self._clean_up = clean_up
        self._timeout_s = timeout_s
        self._rest = b""
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (until close)
        self._process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            start_new_session=True,
        )

    def say(self, text: str) -> None:
        """Writes to the program's input.

        Raises:
            BrokenError: it has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text.encode())
        except BrokenPipeError:
            raise self._broken("it has ended") from None

    def line(self) -> str:
        """The next line of its output.

        Raises:
            BrokenError: it has ended, or took too long.
        """
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        limit = time.monotonic() + self._timeout_s
        while b"\n" not in self._rest:
            ready, _, _ = select.select([descriptor], [], [], max(limit - time.monotonic(), 0))
            if not ready:
                raise self._broken(f"no answer in {self._timeout_s:.0f} s")
            read = os.read(descriptor, 65536)
            if not read:
                raise self._broken("it has ended")
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")

    def close(self) -> None:
        """Ends the input, and with it the program and its container."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(ProcessLookupError):  # what the program has left running, on this host
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.returncode and self._clean_up:
            subprocess.run(list(self._clean_up), capture_output=True, check=False)
        self._process.stdout.close()
        self._complaints.close()

    def _broken(self, why: str) -> BrokenError:
        self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(self._complaints.tell() - _LAST_WORDS_BYTES, 0))
        said = self._complaints.read().decode(errors="replace").strip()
        return BrokenError(f"{why}; {said}" if said else why)
