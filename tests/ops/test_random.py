"""Random ops: the moments that their oracles give, other numbers in every call, the same for the same state."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops.applying import apply, as_array, tensors
from tests.ops.rows import Sample
from tests.ops.samples import all_samples

RANDOM = [sample for sample in all_samples() if sample.moments]


@pytest.mark.parametrize("sample", RANDOM, ids=str)
def test_moments(sample: Sample) -> None:
    arrays = sample.arrays("float32")
    mean, spread = expected_moments(sample)
    values = as_array(apply(sample.op, tensors(arrays), sample.params)[0]).astype(float)
    error = (spread or 0.65) / np.sqrt(values.size)
    assert abs(values.mean() - mean) < 5 * error
    if spread is not None:
        assert abs(values.std() / spread - 1) < 5 / np.sqrt(values.size)


def expected_moments(sample: Sample) -> tuple[float, float | None]:
    from numgrad.registry import OPS

    op = OPS[sample.op]
    assert op.oracle_function is not None
    mean, spread = op.oracle_function(*sample.arrays(), **op.Params(**sample.params)._asdict())
    return float(mean), None if spread is None else float(spread)


@pytest.mark.parametrize("sample", RANDOM, ids=str)
def test_the_state_decides_and_moves_on(sample: Sample) -> None:
    inputs, again = tensors(sample.arrays()), tensors(sample.arrays())
    (first, *_), (second, *_) = (apply(sample.op, inputs, sample.params) for _ in range(2))
    (same, *_) = apply(sample.op, again, sample.params)
    assert as_array(first).tobytes() == as_array(same).tobytes()
    assert as_array(first).tobytes() != as_array(second).tobytes()
