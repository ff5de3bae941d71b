"""``python -m bench NAME``: runs one benchmark, prints its table, writes its results."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_NOT_BENCHMARKS = {"__init__", "__main__", "measure", "peers"}


def main() -> int:
    """Runs the benchmark that the command line names."""
    here = Path(__file__).parent
    names = sorted(p.stem for p in here.glob("*.py") if p.stem not in _NOT_BENCHMARKS)
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        print(f"usage: python -m bench NAME [OPTION ...]; NAME: {', '.join(names)}")
        return 2
    module = importlib.import_module(f"bench.{sys.argv[1]}")
    status: int = module.main(sys.argv[2:])
    return status


sys.exit(main())
