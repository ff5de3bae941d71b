"""A container's main process in the foreground: to its end, or until it is detached from."""

from __future__ import annotations

import argparse
import sys

from drupe.container import lifecycle
from drupe.container.record import KILLED_STATUS, Record, Run
from drupe.container.store import Store
from drupe.errors import GuestError
from drupe.guest.session import Session

DETACH_KEYS = "ctrl-p,ctrl-q"


def add_detach_keys(parser: argparse.ArgumentParser) -> None:
    """Declares the option."""
    parser.add_argument(
        "--detach-keys",
        default=DETACH_KEYS,
        metavar="KEYS",
        help=f"what to type to leave it running (default: {DETACH_KEYS})",
    )


def check_detach_keys(keys: str) -> None:
    """Raises SpecError for keys that are none."""
    if keys != DETACH_KEYS:
        from drupe.cli.stream import detach_bytes

        detach_bytes(keys)


def prepare(step: str) -> None:
    """Imports what ``follow`` needs, while the container kernel boots; a step of the start."""
    if step == "machine":
        import drupe.cli.stream  # noqa: F401


class Foreground:
    """A run of a container that the caller attends.

    Made while the session is new: somebody may start the container again before it is over.
    """

    def __init__(self, store: Store, record: Record, *, owned: bool = True) -> None:
        """``owned``: it ends with the caller."""
        self._owned = owned
        self._store = store
        self._record = record
        self._run: Run | None = record.run()

    def follow(self, session: Session, *, stdin: bool, tty: bool, detach_keys: str) -> int | None:
        """Runs until the main process ends; its status, or None if it was detached from.

        After an error, an owned container that is to be removed at its end is.
        """
        try:
            return self._follow(session, stdin, tty, detach_keys)
        except BaseException:
            if self._owned and self._record.spec.remove:
                self._store.remove(self._record, force=True)
            raise

    def finish(self, status: int | None) -> int:
        """Waits for the power-off, when the session is closed; the exit status of the verb."""
        if status is None:
            return 0
        if not lifecycle.finish(self._store, self._record, self._run):
            print(
                f"drupe: container '{self._record.spec.name}' did not power off and was killed",
                file=sys.stderr,
            )
        return status

    def _follow(self, session: Session, stdin: bool, tty: bool, detach_keys: str) -> int | None:
        from drupe.cli.stream import attach

        record, run = self._record, self._run
        try:
            return attach(session, stdin=stdin, tty=tty, detach_keys=detach_keys)
        except GuestError as error:
            # The session broke off: its kernel was killed or crashed, unless it still runs.
            if run is not None and not run.process.wait(1.0):
                raise
            status = None if run is None else record.condition_of(run).status
            print(f"drupe: container '{record.spec.name}' ended: {error}", file=sys.stderr)
            for line in record.console_tail().splitlines()[-5:]:
                print(f"  {line}", file=sys.stderr)
            # Nothing is told of one that somebody has removed.
            return KILLED_STATUS if status is None else status
