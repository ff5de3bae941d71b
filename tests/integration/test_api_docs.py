"""Every Python example of docs/api.md, run in order against a real container kernel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/api.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[int, str]]:
    """(line, code) of each fenced block."""
    text = DOCUMENT.read_text()
    return [(text.count("\n", 0, m.start(1)) + 1, m[1]) for m in _BLOCK.finditer(text)]


@pytest.mark.usefixtures("kernel", "no_leaks")
def test_the_examples_work() -> None:
    found = blocks()
    assert len(found) > 10
    names: dict[str, object] = {"__name__": "example"}
    for line, code in found:
        # The empty lines give errors the line numbers of the document.
        program = compile("\n" * (line - 1) + code, str(DOCUMENT), "exec")
        exec(program, names)  # noqa: S102


def test_all_fences_are_examples_that_run() -> None:
    fences = re.findall(r"^```(\S*)$", DOCUMENT.read_text(), re.MULTILINE)
    assert fences == ["python", ""] * len(blocks())
