"""A short run of the fuzzer of what the host parses; tests/fuzz/README.md tells of long ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.fuzz_host import _SEEDS, mutate, one_input


@given(st.randoms(use_true_random=False), st.sampled_from(_SEEDS))
def test_mutated_input(chance: object, seed: bytes) -> None:
    one_input(mutate(seed, chance))  # type: ignore[arg-type]


@given(st.binary(max_size=400))
def test_any_input(data: bytes) -> None:
    one_input(data)


@pytest.mark.parametrize(
    "data", [b"-5 0 0 1 1 0 1 0\0name\0\0", b"exited 0 0 999999999999.000000000"]
)
def test_what_was_found(data: bytes) -> None:
    """A mode below zero, and a time that no calendar knows, are refused and do not confuse."""
    one_input(data)
