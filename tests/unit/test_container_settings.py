"""What users write of rights, limits, kernel settings and stopping, in docker's notation."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drupe.container.settings import (
    CAPABILITIES,
    ULIMITS,
    Settings,
    check_oom_score,
    parse_capabilities,
    parse_security_options,
    parse_ulimits,
    parse_umask,
)
from drupe.container.stopping import check_grace, parse_signal
from drupe.container.tuning import parse_shm_size, parse_sysctls
from drupe.errors import SpecError
from drupe.guest.spec import UNLIMITED, Process

NAMES = st.sampled_from(CAPABILITIES)


@given(st.sampled_from(sorted(ULIMITS)), st.integers(0, 10**17), st.integers(0, 10**17))
def test_ulimits_are_what_they_say(name: str, soft: int, more: int) -> None:
    number = ULIMITS[name]
    assert parse_ulimits([f"{name}=1", f"{name}={soft}:{soft + more}"]) == (
        (number, soft, soft + more),
    )
    assert parse_ulimits([f"{name}={soft}:-1"]) == ((number, soft, UNLIMITED),)
    assert parse_ulimits([f"{name}=-1"]) == ((number, UNLIMITED, UNLIMITED),)


def test_ulimits_have_linux_numbers() -> None:
    assert ULIMITS["nofile"] == resource.RLIMIT_NOFILE == 7
    assert sorted(ULIMITS.values()) == list(range(16))


@given(st.lists(NAMES), st.lists(NAMES, min_size=1))
def test_capabilities_are_all_without_the_dropped(add: list[str], drop: list[str]) -> None:
    kept = parse_capabilities(add, drop)
    assert kept is not None
    assert set(kept) == set(CAPABILITIES) - set(drop) | set(add)
    assert parse_capabilities(add, []) is None
    assert parse_capabilities(add, drop, privileged=True) is None
    assert set(parse_capabilities(add, [*drop, "all"]) or ()) == set(add)


def test_capabilities_go_by_several_names() -> None:
    assert parse_capabilities(["cap_chown", "Kill"], ["ALL"]) == ("CHOWN", "KILL")
    settings = Settings(capabilities=("CHOWN", "KILL"), no_new_privileges=True)
    assert settings.apply(Process(("a",))).capabilities == 1 << 0 | 1 << 5
    assert settings.apply(Process(("a",)), privileged=True).capabilities is None
    assert settings.apply(Process(("a",)), privileged=True).no_new_privileges is False


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["no-new-privileges"], True),
        (["no-new-privileges:true"], True),
        (["no-new-privileges=false"], False),
        (["seccomp=unconfined", "apparmor=unconfined", "label:disable"], False),
    ],
)
def test_security_options(texts: list[str], found: bool) -> None:
    assert parse_security_options(texts) is found


def test_sysctls_are_paths() -> None:
    wanted = {"net.ipv4.ip_forward": "1", "net/ipv4/conf/eth0.1/rp_filter": "2", "a.b/c": "x y"}
    assert parse_sysctls(wanted) == {
        "net/ipv4/ip_forward": "1",
        "net/ipv4/conf/eth0.1/rp_filter": "2",
        "a/b/c": "x y",
    }


def test_signals_go_by_several_names() -> None:
    assert {parse_signal(text) for text in ("TERM", "sigterm", "15")} == {signal.SIGTERM}
    assert parse_signal("SIGRTMIN+3") == signal.SIGRTMIN + 3


def test_sizes_of_shared_memory() -> None:
    assert parse_shm_size("64m") == 64 << 20


@pytest.mark.parametrize(
    ("parse", "wrong", "message"),
    [
        (lambda t: parse_ulimits([t]), "nofile", "failed to use ulimit 'nofile': not NAME=SOFT"),
        (lambda t: parse_ulimits([t]), "a=1", "failed to use ulimit 'a=1': not NAME=SOFT"),
        (lambda t: parse_ulimits([t]), "cpu=2:1", "the soft limit is above the hard one"),
        (lambda t: parse_ulimits([t]), "cpu=-1:1", "the soft limit is above the hard one"),
        (lambda t: parse_capabilities([t], []), "CAP_X", "failed to use capability 'CAP_X': no"),
        (lambda t: parse_security_options([t]), "seccomp=x", "failed to use security option 'sec"),
        (parse_umask, "8", "failed to use umask '8': not an octal number"),
        (parse_umask, "1000", "failed to use umask '1000': not an octal number"),
        (lambda t: check_oom_score(int(t)), "1001", "failed to use OOM score 1001"),
        (lambda t: parse_sysctls({t: "1"}), "../x", "failed to use sysctl '../x': not a name"),
        (lambda t: parse_sysctls({t: "1"}), "kernel", "failed to use sysctl 'kernel': not a name"),
        (lambda t: parse_sysctls({"a.b": t}), "", "failed to use sysctl 'a.b': its value has"),
        (parse_shm_size, "0", "failed to use shared memory '0'"),
        (parse_shm_size, "many", "failed to use shared memory 'many': not a size"),
        (parse_signal, "NOPE", "failed to use signal 'NOPE': no such signal"),
        (parse_signal, "65", "failed to use signal '65': no such signal"),
        (lambda t: check_grace(float(t)), "nan", "failed to use time 'nan'"),
    ],
)
def test_what_is_wrong_is_refused(parse: Callable[[str], object], wrong: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(wrong)
    assert message in str(caught.value)


@given(st.text(max_size=20))
def test_any_text_is_taken_or_refused(text: str) -> None:
    for parse in (parse_umask, parse_signal, parse_shm_size):
        with contextlib.suppress(SpecError):
            parse(text)
    for parse_many in (parse_ulimits, parse_security_options):
        with contextlib.suppress(SpecError):
            parse_many([text])
    with contextlib.suppress(SpecError):
        for path in parse_sysctls({text: text}):
            assert ".." not in path.split("/")
            assert not path.startswith("/")
