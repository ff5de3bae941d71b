"""All containers of a user: finding, making, removing them, and cleaning up what was left behind.

A container's lock is held by whoever makes it, from the directory on until it is whole, and
released by the host's kernel if that one dies. So a directory whose lock is free and which is not
marked as whole was left by a dead command.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from drupe.container.holdings import release
from drupe.container.members import tell_left
from drupe.container.record import Record
from drupe.container.spec import ContainerSpec, check_name
from drupe.errors import HostError, NotFoundError, SpecError, StateError
from drupe.store.lock import locked
from drupe.store.paths import private_dir, state_home

_ID_DIGITS = 64
_ADJECTIVES = "amber brisk calm dusky eager fair gentle hazy ivory jolly keen lively mellow"
_FRUITS = "almond apricot cherry coconut damson date greengage lychee mango olive peach plum sloe"


class Store:
    """The containers of one user."""

    def __init__(self, home: Path | None = None) -> None:
        self._home = home or state_home()
        self._containers = self._home / "containers"
        self._names = self._home / "names"

    def prepare(self) -> None:
        """Makes the directories.

        Raises:
            HostError: they cannot be made.
        """
        private_dir(self._containers)
        private_dir(self._names)

    @contextmanager
    def creating(
        self, name: str | None, make: Callable[[str, str], ContainerSpec]
    ) -> Iterator[Record]:
        """Makes a container and holds its lock for the block, at whose end it is whole.

        ``make`` gets the id and the name and returns the specification. An error in the block ends
        what was started there, and removes the container again.

        Raises:
            SpecError: the name is taken.
            HostError: the disk refused.
        """
        self.prepare()
        container_id = os.urandom(_ID_DIGITS // 2).hex()
        directory = self._containers / container_id
        try:
            with locked(self._home / "lock"):
                directory.mkdir(mode=0o700)
                try:
                    lock = _open_lock(directory)
                except OSError:
                    directory.rmdir()
                    raise
                fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise HostError(f"failed to make '{directory}': {error.strerror}") from error
        record = Record(directory)
        try:
            with locked(self._home / "lock"):
                taken = self._claim(name, container_id)
            record.write_spec(make(container_id, taken))
            yield record
            record.mark_whole()
        except BaseException:
            _end_machine(record)
            self._remove(record, volumes=True)
            raise
        finally:
            os.close(lock)

    def list(self) -> Sequence[Record]:
        """All containers, the oldest first; those still being made or spoilt are left out."""
        found = []
        for record in self._records():
            with suppress(NotFoundError, StateError):
                found.append((record.spec.created_ns, record.id, record))
        return [record for _, _, record in sorted(found)]

    def find(self, reference: str) -> Record:
        """A container by name, id, or the beginning of its id.

        Raises:
            NotFoundError: there is none.
            SpecError: there are several.
        """
        usable = "/" not in reference and not reference.startswith(".")
        if usable and 0 < len(reference) <= _ID_DIGITS:
            link = self._names / reference
            with suppress(OSError, ValueError):  # no such name, gone in between, or never one
                record = Record(self._containers / link.readlink().name)
                if _is_named(record, reference):
                    return record
            if set(reference) <= set("0123456789abcdef"):
                found = [r for r in self._records() if r.id.startswith(reference)]
                if len(found) > 1:
                    raise SpecError(
                        f"failed to find container '{reference}': {len(found)} begin so",
                        hint="give more digits of the id, or the name",
                    )
                if found:
                    return found[0]
        raise NotFoundError(
            f"failed to find container '{reference}': no such container",
            hint="'drupe ps -a' lists them",
        )

    @contextmanager
    def held(self, record: Record) -> Iterator[None]:
        """Holds a container's lock for the block.

        Raises:
            NotFoundError: it was removed meanwhile.
        """
        try:
            lock = _open_lock(record.directory, create=False)
        except FileNotFoundError as error:
            raise NotFoundError(f"failed to find container '{record.id[:12]}': gone") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (record.directory / "config.json").exists():
                raise NotFoundError(f"failed to find container '{record.id[:12]}': gone")
            yield
        finally:
            os.close(lock)

    def remove(self, record: Record, *, force: bool = False, volumes: bool = False) -> None:
        """Removes a container that does not run, or with ``force`` any, one with spoilt files too.

        With ``volumes``, its anonymous volumes go, too, as they always do with one that goes when
        it ends.

        Raises:
            StateError: it runs, or its files are spoilt.
            NotFoundError: it is gone already.
        """
        with self.held(record):
            try:
                if (record.condition() if force else record.settled_condition()).pid is not None:
                    if not force:
                        raise StateError(
                            f"failed to remove container '{record.spec.name}': it is running",
                            hint="stop it first, or use --force",
                        )
                    _end_machine(record)
            except StateError:
                if not force:
                    raise
            spec = None
            with suppress(NotFoundError, StateError):
                spec = record.spec
            self._remove(record, volumes=volumes)
        if spec is not None:
            tell_left(record, spec)

    def rename(self, record: Record, name: str) -> None:
        """Gives a container another name.

        Raises:
            SpecError: the name is taken, or cannot be one.
            NotFoundError: it was removed meanwhile.
        """
        check_name(name)
        with self.held(record), locked(self._home / "lock"):
            spec = record.read_spec()
            self._claim(name, record.id)
            try:
                # From here on it has the new name, and a link of the old one counts no longer.
                record.write_spec(spec._replace(name=name))
            except BaseException:
                (self._names / name).unlink()
                raise
            (self._names / spec.name).unlink(missing_ok=True)

    def sweep(self) -> Sequence[str]:
        """Removes what commands that died left behind, and --rm containers that have ended.

        Returns a line for each of the former, and for each that has spoilt files.
        """
        said = []
        for record in self._records():
            short = record.id[:12]
            with _free_lock(self._home / "lock", record.directory) as free:
                try:
                    if free and self._is_leftover(record):
                        said.append(
                            f"removed container {short}, which an interrupted command left behind "
                            "unfinished"
                        )
                    elif not (free and self._is_over(record)):
                        if free and record.condition().ended:
                            release(record)
                        continue
                    self._remove(record, volumes=True)
                except StateError as error:
                    said.append(f"{error}; 'drupe rm --force {short}' removes container {short}")
        return said

    def _is_leftover(self, record: Record) -> bool:
        """Whether it was never finished; what there is of its machine is ended."""
        if record.is_whole:
            return False
        _end_machine(record)
        return True

    def _is_over(self, record: Record) -> bool:
        return record.condition().ended and record.spec.remove and not record.is_attended()

    def _records(self) -> Sequence[Record]:
        try:
            return [
                Record(path) for path in self._containers.iterdir() if len(path.name) == _ID_DIGITS
            ]
        except FileNotFoundError:
            return []

    def _claim(self, name: str | None, container_id: str) -> str:
        """Takes a name; without one, makes one up. The caller holds the lock for all."""
        for _ in range(1000):
            chosen = name or _invent_name()
            link = self._names / chosen
            try:
                link.symlink_to(f"../containers/{container_id}")
            except FileExistsError:
                try:
                    holder = self._containers / link.readlink().name
                except FileNotFoundError:
                    continue  # freed in between
                if not holder.exists() or not _is_named(Record(holder), chosen, unknown=True):
                    link.unlink(missing_ok=True)  # left behind; the next turn takes it
                elif name:
                    raise SpecError(
                        f"failed to use name '{name}': container {holder.name[:12]} has it",
                        hint=f"'drupe rm {name}' frees it; or use another --name",
                    ) from None
            else:
                return chosen
        raise StateError(f"failed to use name '{name}': others keep taking it")

    def _remove(self, record: Record, *, volumes: bool = False) -> None:
        """Takes a container off the disk; the caller holds its lock, and has ended its machine."""
        release(record)
        owned = _volumes_of(record, volumes=volumes)
        # From here on the next command brings to an end what this one does not.
        (record.directory / "whole").unlink(missing_ok=True)
        for link in self._names_of(record):
            link.unlink(missing_ok=True)
        # Without config.json nobody takes it for a container any more.
        (record.directory / "config.json").unlink(missing_ok=True)
        # All files lie in it flat; the lock goes last, so that nobody takes a half removed one.
        for path in set(record.directory.iterdir()) - {record.directory / "lock"}:
            path.unlink(missing_ok=True)
        # Held by whoever opens the lock to sweep, and would make it again in between.
        with locked(self._home / "lock"):
            (record.directory / "lock").unlink(missing_ok=True)
            record.directory.rmdir()
        if owned:
            from drupe.container.volumes import remove_anonymous

            remove_anonymous(self, owned)

    def _names_of(self, record: Record) -> Sequence[Path]:
        """Links to a container: one more than its name where ``rename`` was killed."""
        links = []
        for link in self._names.iterdir():
            with suppress(OSError):  # another command has freed it in between; or it is no link
                if link.readlink().name == record.id:
                    links.append(link)
        return links


def _volumes_of(record: Record, *, volumes: bool) -> Sequence[str]:
    """Names of volumes that may have to go with a container."""
    try:
        spec = record.spec
    except (NotFoundError, StateError):
        return []
    return [one.name for one in spec.volumes if one.name and (volumes or spec.remove)]


def _is_named(record: Record, name: str, *, unknown: bool = False) -> bool:
    """Whether a container that a link of that name leads to has it.

    A killed command may leave the link of a name that its container has no longer, or has not yet.
    ``unknown``: the answer for a container without a specification.
    """
    try:
        return record.spec.name == name
    except NotFoundError:
        return unknown
    except StateError:
        return True  # spoilt: nobody knows better


def _open_lock(directory: Path, *, create: bool = True) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    return os.open(directory / "lock", flags, 0o600)


@contextmanager
def _free_lock(makers: Path, directory: Path) -> Iterator[bool]:
    """Holds a container's lock if nobody else does; yields whether it is held."""
    try:
        # Whoever makes a container holds this from its directory to its lock.
        with locked(makers):
            lock = _open_lock(directory)
    except (OSError, HostError):
        yield False
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Without a name: the container was removed after its lock was opened.
            free = os.fstat(lock).st_nlink > 0
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(lock)


def _end_machine(record: Record) -> None:
    process = record.process()
    if process is not None:
        process.kill()


def _invent_name() -> str:
    first, second, *rest = os.urandom(4)
    adjectives, fruits = _ADJECTIVES.split(), _FRUITS.split()
    words = (adjectives[first % len(adjectives)], fruits[second % len(fruits)])
    return f"{'-'.join(words)}-{bytes(rest).hex()}"
