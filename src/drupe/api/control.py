"""What a container is told, and asked, while it runs: pauses, limits, figures."""

from __future__ import annotations

from drupe.api.options import check_seconds, option_text
from drupe.api.view import ContainerView
from drupe.container import lifecycle, pausing
from drupe.container.description import describe
from drupe.container.figures import Figures, figures, tasks
from drupe.container.update import Changes, update
from drupe.guest.figures import Task


class Control(ContainerView):
    """The part of a Container that needs no process of its own in it."""

    def wait_until(self, condition: str, timeout: float | None = None) -> None:
        """Waits until the container is "running" or "healthy".

        Args:
            condition: one of these.
            timeout: seconds.

        Raises:
            StateError: it ended before, or has no health checks.
            TimedOutError: it is not so in time.
        """
        check_seconds("timeout", timeout)
        lifecycle.await_condition(self._record, condition, timeout)

    def pause(self) -> None:
        """Stops all processes of the container where they are.

        Raises:
            StateError: it does not run, or is paused already.
        """
        pausing.pause(self._record)

    def unpause(self) -> None:
        """Has a paused container go on.

        Raises:
            StateError: it is not paused.
        """
        pausing.unpause(self._record)

    def stats(self) -> Figures:
        """What the container uses now, of the host and inside.

        Raises:
            StateError: it does not run.
        """
        return figures(self._record)

    def top(self) -> list[Task]:
        """Its processes, as its own kernel sees them.

        Raises:
            StateError: it does not run.
        """
        return tasks(self._record)

    def inspect(self) -> dict[str, object]:
        """All that is known of it, as ``drupe inspect`` prints it: by docker's names, and "Drupe".

        Raises:
            NotFoundError: it was removed.
        """
        return describe(self._record)

    def update(
        self,
        *,
        cpus: float | str | None = None,
        cpu_shares: int | None = None,
        cpuset_cpus: str | None = None,
        pids_limit: int | None = None,
        restart: str | None = None,
    ) -> None:
        """Changes its limits and its restart policy, at once where it runs; None: as it is.

        Raises:
            SpecError: a value is none.
            HostError: this host grants no control group for it.
        """
        changes = Changes(option_text(cpus), cpu_shares, cpuset_cpus, pids_limit, restart)
        update(self._store, self._record, changes)
