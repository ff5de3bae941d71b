"""``drupe.aio.Container.fs``: the files of a container, for asyncio."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO, TypeVar, overload

from drupe.api.files import FileSystem as Blocking
from drupe.api.files import Path
from drupe.api.results import Sink
from drupe.api.threads import in_thread
from drupe.container.files import FileInfo
from drupe.container.record import Record
from drupe.container.service import Call
from drupe.container.store import Store
from drupe.container.unpacking import LeftOut

T = TypeVar("T")


class FileSystem:
    """The files of a container; arguments, results and errors are those of ``drupe.FileSystem``.

    What is given as a sink or as pieces to be written is called in another thread. A call that is
    cancelled ends at once; a copy may be there in part.
    """

    def __init__(self, store: Store, record: Record) -> None:
        """Use ``Container.fs``."""
        self._blocking = Blocking(store, record)

    @overload
    async def read(self, path: str) -> bytes: ...

    @overload
    async def read(self, path: str, sink: Sink) -> None: ...

    async def read(self, path: str, sink: Sink | None = None) -> bytes | None:
        """A file's content."""
        if sink is None:
            return await called(lambda: self._blocking.read(path))
        return await called(lambda: self._blocking.read(path, sink))

    async def write(
        self, path: str, data: bytes | BinaryIO | Iterable[bytes], *, mode: int = 0o644
    ) -> None:
        """Gives a file another content; it is made if missing."""
        await called(lambda: self._blocking.write(path, data, mode=mode))

    async def list(self, path: str = "/") -> list[FileInfo]:
        """What is in a directory, by name; links are not followed."""
        return await called(lambda: self._blocking.list(path))

    async def stat(self, path: str, *, follow: bool = True) -> FileInfo:
        """What is known of a file; its ``name`` is its path without links that lead to it."""
        return await called(lambda: self._blocking.stat(path, follow=follow))

    async def exists(self, path: str) -> bool:
        """Whether there is something, a dangling link not among it."""
        return await called(lambda: self._blocking.exists(path))

    async def mkdir(self, path: str, *, mode: int = 0o755, parents: bool = False) -> None:
        """Makes a directory."""
        await called(lambda: self._blocking.mkdir(path, mode=mode, parents=parents))

    async def remove(self, path: str, *, recursive: bool = False) -> None:
        """Removes a file or an empty directory."""
        await called(lambda: self._blocking.remove(path, recursive=recursive))

    async def copy_in(
        self, source: Path, destination: str, *, archive: bool = False, follow: bool = False
    ) -> None:
        """Copies a file or a directory of this host into the container, as ``drupe cp`` does."""
        await called(
            lambda: self._blocking.copy_in(source, destination, archive=archive, follow=follow)
        )

    async def copy_out(
        self, source: str, destination: Path, *, archive: bool = False, follow: bool = False
    ) -> LeftOut:
        """Copies a file or a directory of the container to this host, as ``drupe cp`` does."""
        return await called(
            lambda: self._blocking.copy_out(source, destination, archive=archive, follow=follow)
        )


async def called(work: Callable[[], T]) -> T:
    """Does some work with services in a thread; when cancelled, it ends soon."""
    call = Call()
    return await in_thread(lambda: call.run(work), abort=call.call_off)
