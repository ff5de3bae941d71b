"""``--format`` of verbs that show everything about a few things: JSON, or a template on each."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from drupe.cli.output import print_json
from drupe.cli.template import parse_template


def add_format(parser: argparse._ActionsContainer) -> None:
    """Declares the option."""
    parser.add_argument(
        "-f",
        "--format",
        default="json",
        metavar="TEMPLATE",
        help="json (default), or a template such as '{{.state.pid}}', a line for each",
    )


def show_documents(
    documents: Sequence[Mapping[str, object]], form: str, *, alone: bool = False
) -> None:
    """Prints what is known of each thing; ``alone``: JSON is that of the only one, not a list.

    Raises:
        SpecError: the format is none, or names a field that is not there.
    """
    if form == "json":
        print_json(documents[0] if alone else documents)
        return
    template = parse_template(form)
    for document in documents:
        print(template.render(document))
