"""docs/cli.md says what the verbs themselves say."""

from __future__ import annotations

from pathlib import Path

from drupe.cli.manual import markdown

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/cli.md"


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == markdown(), "make it again: make docs"
