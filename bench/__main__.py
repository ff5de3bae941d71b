"""``python -m bench NAME``: runs one benchmark, prints its table, writes its results."""

from __future__ import annotations

import importlib
import sys

from bench.launcher import NoLauncherError

_BENCHMARKS = (
    "apps", "density", "fs", "image", "memory", "net", "process", "start", "syscall",
)  # fmt: skip


def main() -> int:
    """Runs the benchmark that the command line names."""
    if len(sys.argv) < 2 or sys.argv[1] not in _BENCHMARKS:
        print(f"usage: python -m bench NAME [OPTION ...]; NAME: {', '.join(_BENCHMARKS)}")
        return 2
    module = importlib.import_module(f"bench.{sys.argv[1]}")
    try:
        status: int = module.main(sys.argv[2:])
    except NoLauncherError as error:
        print(error)
        return 1
    return status


sys.exit(main())
