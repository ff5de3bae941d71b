"""Progress on standard error: on a terminal a line for each thing under way, else one when it ends.

Nothing here is needed for the work itself: what is piped or redirected stays free of it.
"""

from __future__ import annotations

import sys
import time
from typing import Self, TextIO

_REDRAW_S = 0.1
_BAR_COLUMNS = 24
_SETTLED_S = 0.5
"""A rate is told after this time only: before, it would jump."""


class Display:
    """Several things that go on at once; may be used from several threads.

    Use as a context manager: the end leaves the last state of each on the screen.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        """``quiet``: nothing is shown."""
        from threading import Lock

        self._stream = stream if stream is not None else sys.stderr
        self._terminal = not quiet and self._stream.isatty()
        self._plain = not quiet and not self._terminal
        self._lock = Lock()
        self._bars: list[Bar] = []
        self._drawn_lines = 0
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._draw()

    def bar(self, label: str, total_bytes: int | None = None) -> Bar:
        """A new line, below those that are there; ``total_bytes`` may become known later."""
        bar = Bar(self, label, total_bytes)
        with self._lock:
            self._bars.append(bar)
            self._draw()
        return bar

    def changed(self, bar: Bar, *, ended: bool) -> None:
        """Draws anew what has changed, though not too often. For ``Bar``."""
        if ended and self._plain:
            print(f"{bar.label}: {bar.state}", file=self._stream, flush=True)
        elif ended or time.monotonic() - self._drawn_at >= _REDRAW_S:
            with self._lock:
                self._draw()

    def _draw(self) -> None:
        if not self._terminal:
            return
        import shutil

        size = shutil.get_terminal_size()
        # What has scrolled off the top of the screen cannot be drawn again.
        shown = self._bars[-max(1, size.lines - 1) :]
        up = f"\033[{self._drawn_lines}A" if self._drawn_lines else ""
        lines = [f"\r\033[K{bar.line(size.columns - 1)}\n" for bar in shown]
        self._stream.write(up + "".join(lines))
        self._stream.flush()
        self._drawn_lines, self._drawn_at = len(shown), time.monotonic()


class Bar:
    """One thing under way; used by one thread."""

    def __init__(self, display: Display, label: str, total_bytes: int | None) -> None:
        """Use ``Display.bar``."""
        self.label = label
        self.state = ""
        self._display = display
        self._total = total_bytes
        self._done = 0
        self._began = time.monotonic()

    def advance(self, count_bytes: int, total_bytes: int | None = None) -> None:
        """Tells of ``count_bytes`` more."""
        self._done += count_bytes
        self._total = self._total if total_bytes is None else total_bytes
        self._display.changed(self, ended=False)

    def step(self, state: str) -> None:
        """What is done now, instead of an amount: "extracting"."""
        self.state, self._total, self._done = state, None, 0
        self._display.changed(self, ended=False)

    def end(self, state: str = "done") -> None:
        """The last word."""
        self.state, self._total, self._done = state, None, 0
        self._display.changed(self, ended=True)

    def line(self, columns: int) -> str:
        """The line as it is now, at most that wide."""
        return f"{self.label}  {self._amount()}"[:columns]

    def _amount(self) -> str:
        if self.state and not self._done:
            return self.state
        passed = time.monotonic() - self._began
        rate = f"  {megabytes(self._done / passed)}/s" if passed > _SETTLED_S else ""
        if not self._total:
            return megabytes(self._done) + rate
        share = min(1.0, self._done / self._total)
        bar = ("=" * int(share * _BAR_COLUMNS)).ljust(_BAR_COLUMNS)
        return f"[{bar}] {megabytes(self._done)}/{megabytes(self._total)}{rate}"


def megabytes(count_bytes: float) -> str:
    """An amount in decimal megabytes."""
    return f"{count_bytes / 1e6:.1f} MB"
