"""What the rows of `test_backward` leave out: parts of backwards say by name that they have no derivative."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng
from numgrad.registry import OPS
from tests.ops.applying import apply, floating
from tests.ops.samples import SAMPLES
from tests.ops.test_backward import SMOOTH, inputs_of

PARTS = sorted(name for name, op in OPS.items() if op.differentiable and op.backward_function is None)


def test_every_other_op_has_a_row_for_its_second_derivative() -> None:
    """But for dropout and gamma numbers, which are random, and `copy_slices`, which only changes in place apply."""
    with_rows = {sample.op for sample in SMOOTH if sample.small}
    missing = {name for name, op in OPS.items() if op.differentiable and name not in with_rows}
    assert missing == {*PARTS, "dropout", "standard_gamma", "copy_slices"}


@pytest.mark.parametrize("name", PARTS)
def test_a_fused_part_of_a_backward_says_that_it_has_no_derivative(name: str) -> None:
    sample = SAMPLES[name][0]
    inputs = inputs_of(sample)
    out = floating(apply(name, inputs, sample.params))[0]
    with pytest.raises(RuntimeError, match=f"the derivative of {name} is not implemented"):
        out.sum().backward()


def test_second_derivative_of_dropout() -> None:
    def dropped(x: Any) -> Any:
        ng.manual_seed(5)
        return ng.dropout(x, 0.4) * x

    x = ng.randn(20, dtype=ng.float64, requires_grad=True)
    assert ng.autograd.gradgradcheck(dropped, x, check_fwd_over_rev=True)
