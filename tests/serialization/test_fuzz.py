"""A short, repeatable run of the fuzz targets; the long one is ``python -m tests.serialization.fuzz``."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.serialization.fuzz import MAX_EXTRA_BYTES, check, mutated, run_guided_by_reasons, targets

TARGETS = targets()


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_read(name: str) -> None:
    for start in TARGETS[name].seeds:
        expected = "read with placeholders" if name == "classes" else "read"
        assert check(TARGETS[name].as_file(start), TARGETS[name].skip) == expected


@pytest.mark.parametrize("name", TARGETS)
def test_mutations(name: str) -> None:
    outcomes = run_guided_by_reasons(name, inputs=1000, seed=1)
    assert sum(outcomes.values()) == 1000
    assert len(outcomes) > 5, "the mutations reach hardly any check"


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_that_hypothesis_chooses_and_shrinks(name: str) -> None:
    target = TARGETS[name]

    @seed(0)
    @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False), st.lists(st.sampled_from(target.words), max_size=4))
    def run(generator: object, extra: list[bytes]) -> None:
        seeds = [start + b"".join(extra) for start in target.seeds] + target.seeds
        check(target.as_file(mutated(generator, seeds, target.words)), target.skip)  # type: ignore[arg-type]

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_arbitrary_bytes(name: str) -> None:
    target = TARGETS[name]

    @seed(0)
    @settings(max_examples=200, deadline=None, database=None)
    @given(st.binary(max_size=300), st.sampled_from([b"", *(start[:40] for start in target.seeds)]))
    def run(data: bytes, start: bytes) -> None:
        check(target.as_file(start + data), target.skip)

    run()


def test_memory_stays_in_bounds() -> None:
    tracemalloc.start()
    try:
        for name in TARGETS:
            run_guided_by_reasons(name, inputs=100, seed=2)
        assert tracemalloc.get_traced_memory()[1] < MAX_EXTRA_BYTES
    finally:
        tracemalloc.stop()
