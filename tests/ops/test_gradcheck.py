"""The public gradcheck and gradgradcheck over every op: none is left out unless `WITHOUT` says why."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng
from numgrad.autograd import gradcheck, gradgradcheck
from numgrad.ops.family import Elementwise
from numgrad.registry import OPS
from tests.ops.applying import apply, floating
from tests.ops.rows import Sample
from tests.ops.samples_elementwise import EVERY_FORM
from tests.ops.test_backward import SMOOTH, takes_gradient
from tests.ops.test_forward import OF_MEMORY, stepped

# Ops with a backward that finite differences cannot check, each with what does instead.
WITHOUT = {
    "copy_slices": "an alias of what was changed: the random programs of tests/engine",
    "dropout": "random: its gradient is its mask, tests/ops/test_random.py",
    "standard_gamma": "random: its gradient is that of the quantile, tests/distributions/test_gammas.py",
}
CHOSEN = list({sample.op: sample for sample in reversed([s for s in SMOOTH if s.small])}.values())
LAID = [
    (sample, layout)
    for sample in CHOSEN
    for layout in ("plain", "stepped")  # the first derivative of others: `test_backward`
    # The kernels of elementwise ops come from one generator: one sample of each form shows what layouts do.
    if layout == "plain" or not isinstance(OPS[sample.op], Elementwise) or sample.op in EVERY_FORM
]


def test_every_op_with_a_gradient_is_checked() -> None:
    differentiable = {name for name, op in OPS.items() if op.differentiable and op.backward_function is not None}
    assert differentiable - {sample.op for sample in CHOSEN} == set(WITHOUT)


@pytest.mark.parametrize(("sample", "layout"), LAID, ids=str)
def test_first_and_second_derivatives(sample: Sample, layout: str) -> None:
    if layout != "plain" and sample.op in OF_MEMORY:
        layout = "plain"
    make = {"plain": ng.tensor, "stepped": stepped}[layout]
    inputs = [None if x is None else make(x) for x in sample.arrays()]
    places = takes_gradient(sample)
    for place in places:
        inputs[place].requires_grad_()

    def function(*args: Any) -> tuple[Any, ...]:
        given = list(inputs)
        for place, arg in zip(places, args, strict=True):
            given[place] = arg
        return tuple(y for y in floating(apply(sample.op, given, sample.params)) if y.requires_grad)

    args = tuple(inputs[place] for place in places)
    tolerance = {"atol": 1e-5 * sample.tolerance, "rtol": 1e-4 * sample.tolerance}
    assert gradcheck(function, args, fast_mode=True, **tolerance)
    assert gradgradcheck(function, args, fast_mode=True, **{k: 20 * v for k, v in tolerance.items()})
