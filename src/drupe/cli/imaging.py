"""What the verbs of images have in common: how they tell what they do."""

from __future__ import annotations

import sys
from collections.abc import Callable


def reporter(*, quiet: bool) -> Callable[[str], None]:
    """Tells each step on standard error, unless nobody wants to know."""

    def report(step: str) -> None:
        if not quiet:
            print(f"drupe: {step}", file=sys.stderr, flush=True)

    return report
