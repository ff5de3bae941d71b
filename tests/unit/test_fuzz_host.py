"""A short run of the fuzzer of what the host parses; tests/fuzz/README.md tells of long ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.fuzz_host import _SEEDS, mutate, one_input


@given(st.randoms(use_true_random=False), st.sampled_from(_SEEDS))
def test_mutated_input(chance: object, seed: bytes) -> None:
    one_input(mutate(seed, chance))  # type: ignore[arg-type]


@given(st.binary(max_size=400))
def test_any_input(data: bytes) -> None:
    one_input(data)
