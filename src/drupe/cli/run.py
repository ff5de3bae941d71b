"""``drupe run``: a program in a new container."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from drupe.cli import terminal
from drupe.cli.options import life, machine, process, rights, storage
from drupe.cli.output import open_store
from drupe.cli.stream import DETACH_KEYS, attach, detach_bytes
from drupe.container import lifecycle
from drupe.container.record import KILLED_STATUS, Record
from drupe.container.request import RunRequest, resolve
from drupe.container.spec import ContainerSpec, check_name
from drupe.container.store import Store
from drupe.errors import GuestError, HostError, NotFoundError
from drupe.guest.session import Session

_PARTS = (process, storage, machine, rights, life)
"""Options that describe a container, by concern."""

EXAMPLES = (
    ("one program, and nothing left of it", "drupe run --rm busybox uname -sr"),
    ("a shell in a terminal; ctrl-p ctrl-q leaves it running", "drupe run -it --rm busybox"),
    ("a container that goes on by itself", "drupe run -d --name clock busybox sleep 1000"),
    ("a directory of the host", "drupe run --rm -v ./shared:/data busybox ls /data"),
    ("the programs of this host, on another kernel", "drupe run --rm --rootfs / uname -r"),
)
SEE_ALSO = ("exec", "ps", "logs", "stop", "rm")

_POWER_OFF_TIMEOUT_S = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    add = parser.add_argument
    parser.usage = "drupe run [OPTION ...] (IMAGE | --rootfs DIR [--]) [COMMAND [ARGUMENT ...]]"
    add("-d", "--detach", action="store_true", help="leave it running, print its id")
    add(
        "--rm",
        action="store_true",
        help="remove the container when it ends; a foreground one then keeps no log",
    )
    add("--name", help="a name for it (default: one is made up)")
    add("-h", "--hostname", metavar="NAME", help="default: the first 12 digits of the id")
    add("-l", "--label", action="append", default=[], metavar="NAME[=VALUE]", help="a note")
    add(
        "--detach-keys",
        default=DETACH_KEYS,
        metavar="KEYS",
        help=f"what to type to leave it running (default: {DETACH_KEYS})",
    )
    add("--cidfile", metavar="FILE", help="write its id to a file that does not exist yet")
    for part in _PARTS:
        part.add_arguments(parser)
    add("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def main(args: argparse.Namespace) -> int:
    """Runs the verb; returns the exit status."""
    request = _request(args)
    if args.tty and not args.detach:
        terminal.require("-t")
    detach_bytes(args.detach_keys)
    name = None if args.name is None else check_name(args.name)
    store = open_store()
    written: list[Path] = []

    def make(container_id: str, taken: str) -> ContainerSpec:
        spec = resolve(request, container_id, taken)
        if args.cidfile:
            written.append(_write_id(Path(args.cidfile), container_id))
        return spec

    window = terminal.size() if args.tty else None
    try:
        with lifecycle.launched(store, name, make, detached=args.detach, window=window) as (
            record,
            session,
        ):
            written.clear()
            if args.detach:
                print(record.id)
                return 0
            try:
                status = _attend(record, session, args)
            except BaseException:
                if record.spec.remove:
                    store.remove(record, force=True)
                raise
    finally:
        for path in written:  # the container that they name did not come to be
            path.unlink(missing_ok=True)
    return 0 if status is None else _finish(store, record, status)


def _request(args: argparse.Namespace) -> RunRequest:
    words = [word for index, word in enumerate(args.words) if index or word != "--"]
    image = words.pop(0) if args.rootfs is None and words else None
    request = RunRequest(
        image=image,
        args=tuple(words),
        hostname=args.hostname,
        remove=args.rm,
        labels=dict(label.partition("=")[::2] for label in args.label),
        log=args.detach or not args.rm,
    )
    for part in _PARTS:
        request = part.apply(request, args)
    return request._replace(stdin=request.stdin and not args.detach)


def _attend(record: Record, session: Session, args: argparse.Namespace) -> int | None:
    try:
        return attach(session, stdin=args.interactive, tty=args.tty, detach_keys=args.detach_keys)
    except GuestError as error:
        # The session broke off: its kernel was killed or crashed, unless it still runs.
        kernel = record.process()
        if kernel is None or kernel.wait(1.0):
            condition = record.condition()
            print(f"drupe: container '{record.spec.name}' ended: {error}", file=sys.stderr)
            for line in record.console_tail().splitlines()[-5:]:
                print(f"  {line}", file=sys.stderr)
            # Nothing is told of one that somebody has removed.
            return KILLED_STATUS if condition.status is None else condition.status
        raise


def _finish(store: Store, record: Record, status: int) -> int:
    """Waits for the power-off, after which all writes to volumes are on the host.

    A container that is removed anyway and has nothing to write is not waited for but ended.
    """
    spec, kernel = record.spec, record.process()
    if kernel is not None:
        if spec.remove and all(volume.readonly for volume in spec.volumes):
            kernel.kill()
        elif not kernel.wait(_POWER_OFF_TIMEOUT_S):
            kernel.kill()
            print(
                f"drupe: container '{spec.name}' did not power off and was killed",
                file=sys.stderr,
            )
    if spec.remove:
        with suppress(NotFoundError):  # somebody else has removed it
            store.remove(record)
    return status


def _write_id(path: Path, container_id: str) -> Path:
    try:
        with path.open("x") as file:
            file.write(container_id)
    except OSError as error:
        raise HostError(f"failed to write '{path}': {error.strerror}") from error
    return path
