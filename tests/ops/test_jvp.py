"""Every op's forward derivative: against the backward of the same row, in place, differentiated, at two levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.autograd import forward_ad as fwAD
from numgrad.ops.family import Elementwise
from numgrad.registry import OPS
from tests.ops.applying import as_array, floating
from tests.ops.rows import Sample
from tests.ops.samples_elementwise import EVERY_FORM
from tests.ops.test_backward import ALL, CHANGED, FIRST, SMOOTH, function_of, inputs_of, takes_gradient

# Parts of backwards: in forward mode the rule made of ops takes their place.
COMPOSITE = {name for name, op in OPS.items() if op.backward_function is None}
RANDOM = {"dropout", "standard_gamma"}
# Of elementwise ops, whose derivatives one generator makes, one row each.
ROWS = [
    s for s in SMOOTH if s.op not in COMPOSITE | RANDOM and (s in FIRST or not isinstance(OPS[s.op], Elementwise))
]  # fmt: skip
# And what of their tangents depends on which inputs have one is the same for all.
ALONE = [s for s in ROWS if s in FIRST and (s.op in EVERY_FORM or not isinstance(OPS[s.op], Elementwise))]


def directions(inputs: list[Any], seed: int = 3) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [
        ng.tensor(rng.normal(size=x.shape), dtype=x.dtype) if x is not None and x.requires_grad else None
        for x in inputs
    ]


def pushed(function: Callable[..., Any], inputs: list[Any], tangents: list[Any]) -> tuple[list[Any], list[Any]]:
    """Outputs and their tangents; the inputs that have none are constants."""
    with fwAD.dual_level():
        duals = [
            x if t is None else fwAD.make_dual(x, t) for x, t in zip(inputs, tangents, strict=True)
        ]  # fmt: skip
        found = [fwAD.unpack_dual(y) for y in floating(function(*duals))]
        return [each.primal for each in found], [each.tangent for each in found]


def test_every_differentiable_op_has_a_forward_derivative() -> None:
    missing = [
        name
        for name, op in OPS.items()
        if op.differentiable and not op.aliases and name not in COMPOSITE and not name.startswith("doctest_")
        and op.jvp_function is None and not op.linear_groups and op.composite_function is None
    ]  # fmt: skip
    assert missing == []


@pytest.mark.parametrize(
    ("sample", "recorded"), [*((s, False) for s in ROWS), *((s, True) for s in ROWS if s in FIRST)], ids=str
)
def test_forward_agrees_with_backward(sample: Sample, recorded: bool) -> None:
    """u . (J v) by a tangent is (J^T u) . v by a cotangent, to the last digits."""
    function, inputs = function_of(sample), inputs_of(sample)
    tangents = directions(inputs)
    outputs = floating(function(*inputs))
    rng = np.random.default_rng(5)
    weights = [ng.tensor(rng.normal(size=y.shape), dtype=y.dtype) for y in outputs]
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    pairs = [(y, u) for y, u in zip(outputs, weights, strict=True) if y.requires_grad]
    back = ng.autograd.grad(
        [y for y, _ in pairs], wanted, [u for _, u in pairs], allow_unused=True, materialize_grads=True
    )
    plain = inputs if recorded else [x if x is None else x.detach() for x in inputs]
    primals, forward = pushed(function, plain, tangents)
    for got, want in zip(primals, outputs, strict=True):
        np.testing.assert_array_equal(as_array(got), as_array(want))
    terms = [as_array(t) * as_array(u) for t, u in zip(forward, weights, strict=True) if t is not None]
    other = [as_array(g) * as_array(t) for g, t in zip(back, [t for t in tangents if t is not None], strict=True)]
    size = sum(float(np.abs(x).sum()) for x in (*terms, *other))
    one, two = sum(float(x.sum()) for x in terms), sum(float(x.sum()) for x in other)
    assert abs(one - two) <= 1e-11 * sample.tolerance * size + 1e-13, (one, two)
    for tangent, y in zip(forward, outputs, strict=True):
        assert tangent is None or (tangent.shape == y.shape and tangent.dtype is y.dtype)


@pytest.mark.parametrize(
    ("sample", "position"), [(s, p) for s in ALONE for p in takes_gradient(s) if len(takes_gradient(s)) > 1], ids=str
)
def test_one_dual_input(sample: Sample, position: int) -> None:
    """The tangent is the part of the whole that belongs to this input."""
    function, inputs = function_of(sample), [x if x is None else x.detach() for x in inputs_of(sample)]
    tangents = directions(inputs_of(sample))
    alone = [t if place == position else None for place, t in enumerate(tangents)]
    others = [None if place == position else t for place, t in enumerate(tangents)]
    whole, part, rest = (pushed(function, inputs, each)[1] for each in (tangents, alone, others))
    for total, one, other in zip(whole, part, rest, strict=True):
        summed = sum(as_array(each) for each in (one, other) if each is not None)
        np.testing.assert_allclose(as_array(total), summed, rtol=1e-10, atol=1e-12 * np.abs(summed).max(initial=1.0))


@pytest.mark.parametrize("sample", [s for s in FIRST if s in ROWS and s.small], ids=str)
def test_tangents_are_differentiable(sample: Sample) -> None:
    """Reverse over forward is forward over forward: the second derivative in two directions, both ways."""
    function, inputs = function_of(sample), inputs_of(sample)
    first, second = directions(inputs, 3), directions(inputs, 4)
    _, tangents = pushed(function, inputs, first)
    rng = np.random.default_rng(6)
    weights = [None if t is None else ng.tensor(rng.normal(size=t.shape), dtype=t.dtype) for t in tangents]
    used = [(t, u) for t, u in zip(tangents, weights, strict=True) if t is not None and t.requires_grad]
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    reverse, size = 0.0, 1e-9
    if used:
        found = ng.autograd.grad(
            [t for t, _ in used], wanted, [u for _, u in used], allow_unused=True, materialize_grads=True
        )  # fmt: skip
        for g, v in zip(found, [v for v in second if v is not None], strict=True):
            reverse += float((as_array(g) * as_array(v)).sum())
            size += float(np.abs(as_array(g) * as_array(v)).sum())
    plain = [x if x is None else x.detach() for x in inputs]
    with fwAD.dual_level():
        outer = [x if v is None else fwAD.make_dual(x, v) for x, v in zip(plain, second, strict=True)]
        _, inner = pushed(function, outer, first)
        forward = 0.0
        for t, u in zip(inner, weights, strict=True):
            twice = None if t is None else fwAD.unpack_dual(t).tangent
            if twice is not None:
                forward += float((as_array(twice) * as_array(u)).sum())
                size += float(np.abs(as_array(twice) * as_array(u)).sum())
    assert abs(reverse - forward) <= 1e-10 * sample.tolerance * size, (reverse, forward)


@pytest.mark.parametrize("sample", [s for s in FIRST if s in ROWS and s.small and s.op not in {"copy_"}], ids=str)
def test_forward_over_reverse(sample: Sample) -> None:
    """The tangent of a gradient is the gradient of the tangent."""
    function, inputs = function_of(sample), inputs_of(sample)
    tangents = directions(inputs)
    outputs = floating(function(*inputs))
    rng = np.random.default_rng(8)
    weights = [ng.tensor(rng.normal(size=y.shape), dtype=y.dtype) for y in outputs]

    def first(*args: Any) -> list[Any]:
        made = floating(function(*args))
        pairs = [(y, u) for y, u in zip(made, weights, strict=True) if y.requires_grad]
        wanted = [x for x in args if x is not None and x.requires_grad]
        return list(
            ng.autograd.grad([y for y, _ in pairs], wanted, [u for _, u in pairs], allow_unused=True, create_graph=True)
        )

    _, pushed_tangents = pushed(function, inputs, tangents)
    pairs = [(t, u) for t, u in zip(pushed_tangents, weights, strict=True) if t is not None and t.requires_grad]
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    expected: list[Any] = [None] * len(wanted)
    if pairs:
        expected = list(ng.autograd.grad([t for t, _ in pairs], wanted, [u for _, u in pairs], allow_unused=True))
    with fwAD.dual_level():
        duals = [x if t is None else fwAD.make_dual(x, t) for x, t in zip(inputs, tangents, strict=True)]
        found = [None if g is None else fwAD.unpack_dual(g).tangent for g in first(*duals)]
    for got, want in zip(found, expected, strict=True):
        a = 0.0 if got is None else as_array(got)
        b = 0.0 if want is None else as_array(want)
        np.testing.assert_allclose(
            a, b, rtol=1e-9, atol=1e-10 * sample.tolerance * max(1.0, float(np.abs(b).max(initial=0)))
        )


@pytest.mark.parametrize("sample", [s for s in CHANGED if s.op not in COMPOSITE | RANDOM], ids=str)
def test_in_place(sample: Sample) -> None:
    """The in-place form gives the op's tangent, and views of its target have theirs."""
    inputs = [x if x is None else x.detach() for x in inputs_of(sample)]
    tangents = directions(inputs_of(sample))
    op = OPS[sample.op]
    try:
        op.in_place(inputs[0].clone(), *inputs[1:])
    except RuntimeError:
        return  # the result does not fit its target
    _, wanted = pushed(lambda *args: (op(*args),), inputs, tangents)

    def in_place(first: Any, *others: Any) -> tuple[Any, ...]:
        first = first.clone()
        flat = first.view(-1)
        op.in_place(first, *others)
        return first, flat

    _, found = pushed(in_place, inputs, tangents)
    np.testing.assert_allclose(as_array(found[0]), as_array(wanted[0]), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(as_array(found[1]), as_array(found[0]).ravel())


def test_rows_are_not_forgotten() -> None:
    assert {s.op for s in ROWS} | COMPOSITE | RANDOM >= {s.op for s in ALL if s.smooth}
