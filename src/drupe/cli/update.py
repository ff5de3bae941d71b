"""``drupe update``: changes limits and restart policies of containers, while they run."""

from __future__ import annotations

import argparse

from drupe.cli.several import add_containers, for_each
from drupe.container.record import Record
from drupe.container.store import Store
from drupe.container.update import Changes, update
from drupe.errors import SpecError

EXAMPLES = (
    ("half a processor from now on", "drupe update --cpus 0.5 web"),
    ("start it again when it fails", "drupe update --restart on-failure web"),
)
SEE_ALSO = ("run", "stats")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    add("--cpus", metavar="N", help="processors' worth of time; 0: no limit")
    add("-c", "--cpu-shares", type=int, metavar="N", help="weight against other containers")
    add("--cpuset-cpus", metavar="LIST", help="processors of the host to run on: 0-2,5")
    add("--pids-limit", type=int, metavar="N", help="processes and threads; 0: no limit")
    add("--restart", metavar="POLICY", help="no, on-failure[:N], always, unless-stopped")
    add("-m", "--memory", metavar="SIZE", help="refused: a kernel's memory is fixed at its start")
    add_containers(parser)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    if args.memory is not None:
        raise SpecError(
            "failed to update memory: a container's kernel keeps what it was started with",
            hint="make a new container; memory that it frees goes back to the host anyway",
        )
    changes = Changes(args.cpus, args.cpu_shares, args.cpuset_cpus, args.pids_limit, args.restart)
    if changes == Changes():
        raise SpecError("failed to update containers: no change given", hint="see --help")

    def change(store: Store, record: Record) -> None:
        update(store, record, changes)

    return for_each(args, change)
