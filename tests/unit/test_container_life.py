"""Restart policies, health checks and the status file: what users and guests write of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.container.life import (
    Checks,
    HealthRequest,
    Restart,
    parse_duration,
    parse_restart,
    resolve_health,
)
from drupe.container.status import Health, Status, parse_status
from drupe.errors import SpecError
from drupe.guest.protocol import RestartPolicy
from drupe.oci.config import Healthcheck


@pytest.mark.parametrize(
    ("text", "policy", "number"),
    [
        ("no", Restart(), RestartPolicy.NO),
        ("always", Restart("always"), RestartPolicy.ALWAYS),
        ("unless-stopped", Restart("unless-stopped"), RestartPolicy.ALWAYS),
        ("on-failure", Restart("on-failure"), RestartPolicy.ON_FAILURE),
        ("on-failure:5", Restart("on-failure", 5), RestartPolicy.ON_FAILURE),
    ],
)
def test_restart_policies(text: str, policy: Restart, number: RestartPolicy) -> None:
    parsed = parse_restart(text)
    assert (parsed, parsed.number, str(parsed)) == (policy, number, text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("7", 7), ("0.25", 0.25)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration("time", text) == pytest.approx(seconds)


IMAGE = Healthcheck(("CMD", "check", "it"), 10**10, 2 * 10**9, 3 * 10**9, 0, 7)


@pytest.mark.parametrize(
    ("wanted", "image", "checks"),
    [
        (HealthRequest(), None, Checks()),
        (HealthRequest(), IMAGE, Checks(("check", "it"), 10, 2, 3, 5, 7)),
        (HealthRequest(disabled=True), IMAGE, Checks()),
        (HealthRequest(), Healthcheck(("NONE",)), Checks()),
        (HealthRequest(), Healthcheck(("CMD-SHELL", "a b")), Checks(("/bin/sh", "-c", "a b"))),
        (
            HealthRequest("a b", "1s", "2s", "3s", "4s", 5),
            IMAGE,
            Checks(("/bin/sh", "-c", "a b"), 1, 2, 3, 4, 5),
        ),
        (HealthRequest(retries=2), IMAGE, Checks(("check", "it"), 10, 2, 3, 5, 2)),
    ],
)
def test_health_checks_are_the_images_unless_told(
    wanted: HealthRequest, image: Healthcheck | None, checks: Checks
) -> None:
    assert resolve_health(wanted, image) == checks


@pytest.mark.parametrize(
    ("parse", "message"),
    [
        (lambda: parse_restart("often"), "failed to use restart policy 'often': no such policy"),
        (lambda: parse_restart("always:3"), "failed to use restart policy 'always:3'"),
        (lambda: parse_restart("on-failure:x"), "failed to use restart policy 'on-failure:x'"),
        (lambda: parse_restart("on-failure:9999999"), "no such policy"),
        (lambda: parse_duration("time", "soon"), "failed to use time 'soon': not a time"),
        (lambda: parse_duration("time", "25h"), "failed to use time '25h': a day at most"),
        (lambda: parse_duration("time", ""), "failed to use time '': not a time"),
        (
            lambda: resolve_health(HealthRequest("a", interval="0s"), None),
            "interval and timeout are 1ms at least",
        ),
        (lambda: resolve_health(HealthRequest("a", retries=0), None), "health retries 0: 1 to"),
        (
            lambda: resolve_health(HealthRequest("a", disabled=True), None),
            "failed to use health checks: both wanted and not",
        ),
        (
            lambda: resolve_health(HealthRequest(), Healthcheck(("WHAT",))),
            r"failed to use health check ['WHAT']: not one of an image's",
        ),
    ],
)
def test_what_is_wrong_is_refused(parse: Callable[[], object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse()
    assert message in str(caught.value)


@given(st.text(max_size=12))
def test_any_text_is_taken_or_refused(text: str) -> None:
    for parse in (parse_restart, lambda text: parse_duration("time", text)):
        with contextlib.suppress(SpecError):
            parse(text)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("running", Status("running")),
        ("running 3", Status("running", 3)),
        ("running 0 starting ", Status("running", 0, Health("starting", ""))),
        ("running 2 unhealthy a  b ", Status("running", 2, Health("unhealthy", "a  b"))),
        ("exited 3 0 5.000000001", Status("exited", 0, None, 3, 5_000_000_001)),
        ("exited 0 9 5.000000001 4", Status("exited", 4, None, 137, 5_000_000_001)),
        ("restarting 1 0 5.000000000 1", Status("restarting", 1, None, 1, 5_000_000_000)),
    ],
)
def test_status_lines(line: str, status: Status) -> None:
    assert parse_status(line) == status


@pytest.mark.parametrize(
    "line",
    ["", "run", "running x", "running 0 well", "running 0 healthy " + "x" * 513, "exited 256 0 1.0",
     "exited 1 65 1.000000000", "restarting", "running 0\n",
     "exited 0 0 253402300800.000000000"],
)  # fmt: skip
def test_status_lines_that_no_guest_of_ours_writes(line: str) -> None:
    assert parse_status(line) is None


@given(st.text(max_size=80) | st.from_regex(r"(running|exited|restarting)[ 0-9.a-z]*"))
def test_any_line_is_read_or_not(line: str) -> None:
    status = parse_status(line)
    if status is not None and status.health is not None:
        assert status.health.output.isprintable()
