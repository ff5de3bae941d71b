"""What the guest's init does for a container while it lives: restarts and health checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from drupe.errors import SpecError
from drupe.guest.protocol import RestartPolicy
from drupe.oci.config import Healthcheck

_POLICIES = {
    "no": RestartPolicy.NO,
    "on-failure": RestartPolicy.ON_FAILURE,
    "always": RestartPolicy.ALWAYS,
    "unless-stopped": RestartPolicy.ALWAYS,
}
_ATTEMPTS_MOST = 1_000_000
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOST_S = 86_400.0
_RETRIES_MOST = 1000


class Restart(NamedTuple):
    """Whether the main process is started again when it has ended.

    Attributes:
        policy: no, on-failure, always, or unless-stopped, which is the same as always here.
        attempts: on failure: so many at most; 0: no end.
    """

    policy: str = "no"
    attempts: int = 0

    @property
    def number(self) -> RestartPolicy:
        """The policy in the guest's words."""
        return _POLICIES[self.policy]

    def check(self, *, remove: bool) -> None:
        """Raises SpecError where the container is removed when its main process ends."""
        if remove and self.number is not RestartPolicy.NO:
            raise SpecError(
                f"failed to use restart policy '{self}': the container is removed when it ends",
                hint="leave out --rm, or --restart",
            )

    def __str__(self) -> str:
        return f"{self.policy}:{self.attempts}" if self.attempts else self.policy


class Checks(NamedTuple):
    """A command that tells whether a container does its work.

    Attributes:
        command: the program and its arguments; empty: no checks.
        interval_s: from the end of one check to the next.
        timeout_s: a check that takes longer has failed.
        start_period_s: in which failures do not count.
        start_interval_s: instead of the interval until a check was good, in that period.
        retries: failures in a row that make it unhealthy.
    """

    command: tuple[str, ...] = ()
    interval_s: float = 30.0
    timeout_s: float = 30.0
    start_period_s: float = 0.0
    start_interval_s: float = 5.0
    retries: int = 3


def parse_restart(text: str) -> Restart:
    """no, on-failure[:N], always, unless-stopped.

    Raises:
        SpecError: none of these.
    """
    policy, colon, attempts = text.partition(":")
    known = policy in _POLICIES and (not colon or policy == "on-failure")
    if not known or not re.fullmatch(r"\d{0,7}", attempts) or int(attempts or 0) > _ATTEMPTS_MOST:
        raise SpecError(
            f"failed to use restart policy '{text}': no such policy",
            hint="no, on-failure, on-failure:N, always or unless-stopped",
        )
    return Restart(policy, int(attempts or 0))


def parse_duration(what: str, text: str) -> float:
    """Seconds from docker's notation: 30s, 1m30s, 500ms; a bare number is seconds.

    Raises:
        SpecError: not a time, or more than a day.
    """
    number = r"\d{1,7}(?:\.\d{1,6})?"
    if re.fullmatch(number, text):
        text += "s"
    if not re.fullmatch(rf"(?:{number}(?:ms|[smh]))+", text):
        raise SpecError(f"failed to use {what} '{text}': not a time", hint="such as 30s or 1m30s")
    seconds = sum(
        float(amount) * _UNITS_S[unit]
        for amount, unit in re.findall(rf"({number})(ms|[smh])", text)
    )
    if seconds > _MOST_S:
        raise SpecError(f"failed to use {what} '{text}': a day at most")
    return seconds


def _check(health: Checks) -> Checks:
    """Returns health checks that can be.

    Raises:
        SpecError: a time of nothing, or a count out of bounds.
    """
    if health.command and min(health.interval_s, health.timeout_s) < 0.001:
        raise SpecError("failed to use health checks: interval and timeout are 1ms at least")
    if not 1 <= health.retries <= _RETRIES_MOST:
        raise SpecError(
            f"failed to use health retries {health.retries}: 1 to {_RETRIES_MOST}, please"
        )
    return health


class HealthRequest(NamedTuple):
    """What was asked for of health checks; what is unset is as the image has it.

    Attributes:
        cmd: a command for a shell.
        interval, timeout, start_period, start_interval: times in docker's notation.
        retries: failures in a row that make it unhealthy.
        disabled: none, whatever the image has.
    """

    cmd: str | None = None
    interval: str | None = None
    timeout: str | None = None
    start_period: str | None = None
    start_interval: str | None = None
    retries: int | None = None
    disabled: bool = False


def resolve_health(wanted: HealthRequest, image: Healthcheck | None) -> Checks:
    """The health checks of a container; those of its image are the defaults.

    Raises:
        SpecError: a time, a count or the image's command is none.
    """
    if wanted.disabled:
        if wanted != HealthRequest(disabled=True):
            raise SpecError("failed to use health checks: both wanted and not")
        return Checks()
    base = Checks() if image is None else _of_image(image)
    command = base.command if wanted.cmd is None else _for_shell(wanted.cmd)
    return _check(
        Checks(
            command,
            _time("health interval", wanted.interval, base.interval_s),
            _time("health timeout", wanted.timeout, base.timeout_s),
            _time("health start period", wanted.start_period, base.start_period_s),
            _time("health start interval", wanted.start_interval, base.start_interval_s),
            base.retries if wanted.retries is None else wanted.retries,
        )
    )


def _time(what: str, text: str | None, usual: float) -> float:
    return usual if text is None else parse_duration(what, text)


def _of_image(image: Healthcheck) -> Checks:
    told = Checks(
        _image_command(image.test),
        image.interval_ns / 1e9,
        image.timeout_ns / 1e9,
        image.start_period_ns / 1e9,
        image.start_interval_ns / 1e9,
        image.retries,
    )
    # A zero is nothing said.
    return Checks._make(value or usual for value, usual in zip(told, Checks(), strict=True))


def _image_command(test: Sequence[str]) -> tuple[str, ...]:
    match list(test):
        case [] | ["NONE"]:
            return ()
        case ["CMD", *command] if command:
            return tuple(command)
        case ["CMD-SHELL", text]:
            return _for_shell(text)
    raise SpecError(f"failed to use health check {list(test)!r}: not one of an image's")


def _for_shell(text: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", text)
