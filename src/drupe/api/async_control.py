"""What a container is told, and asked, while it runs: pauses, limits, figures (for asyncio)."""

from __future__ import annotations

import threading

from drupe.api.options import check_seconds, option_text
from drupe.api.threads import in_thread
from drupe.api.view import ContainerView
from drupe.container import lifecycle, pausing
from drupe.container.description import describe
from drupe.container.figures import Figures, figures, tasks
from drupe.container.update import Changes, update
from drupe.guest.figures import Task


class AsyncControl(ContainerView):
    """The part of a Container that needs no process of its own in it."""

    async def wait_until(self, condition: str, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Waits until it is "running" or "healthy": ``drupe.Container.wait_until``."""
        check_seconds("timeout", timeout)
        called_off = threading.Event()
        await in_thread(
            lambda: lifecycle.await_condition(
                self._record, condition, timeout, called_off=called_off.is_set
            ),
            abort=called_off.set,
        )

    async def pause(self) -> None:
        """Stops all its processes where they are: ``drupe.Container.pause``."""
        await in_thread(lambda: pausing.pause(self._record))

    async def unpause(self) -> None:
        """Has it go on: ``drupe.Container.unpause``."""
        await in_thread(lambda: pausing.unpause(self._record))

    async def stats(self) -> Figures:
        """What it uses now: ``drupe.Container.stats``."""
        return await in_thread(lambda: figures(self._record))

    async def top(self) -> list[Task]:
        """Its processes: ``drupe.Container.top``."""
        return await in_thread(lambda: tasks(self._record))

    async def inspect(self) -> dict[str, object]:
        """All that is known of it: ``drupe.Container.inspect``."""
        return await in_thread(lambda: describe(self._record))

    async def update(
        self,
        *,
        cpus: float | str | None = None,
        cpu_shares: int | None = None,
        cpuset_cpus: str | None = None,
        pids_limit: int | None = None,
        restart: str | None = None,
    ) -> None:
        """Changes its limits and its restart policy: ``drupe.Container.update``."""
        changes = Changes(option_text(cpus), cpu_shares, cpuset_cpus, pids_limit, restart)
        await in_thread(lambda: update(self._store, self._record, changes))
