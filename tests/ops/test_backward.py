"""Every op's backward: finite differences, the composite rule, second derivatives, layouts, dtypes, threads, saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.ops.family import Elementwise
from numgrad.registry import OPS
from tests.ops.applying import agree, apply, as_array, directional, floating, gradients, tensors
from tests.ops.rows import Sample
from tests.ops.samples import all_samples
from tests.ops.samples_elementwise import EVERY_FORM
from tests.ops.test_forward import FOR_OTHERS, LAYOUTS, OF_MEMORY, broadcasts, in_place_samples, repeats_a_form


def takes_gradient(sample: Sample) -> list[int]:
    """Positions of the inputs that a gradient can go to."""
    found = enumerate(sample.arrays())
    return [p for p, x in found if x is not None and x.dtype.kind == "f" and p not in sample.fixed]


def is_differentiable(sample: Sample) -> bool:
    op = OPS.get(sample.op)
    if op is None or not op.differentiable or op.backward_function is None or sample.moments:
        return False
    converted = sample.params.get("dtype")
    return bool(takes_gradient(sample)) and (converted is None or converted.is_floating_point)


ALL = [sample for sample in all_samples() if is_differentiable(sample)]
SMOOTH = [sample for sample in ALL if sample.smooth]
FORMS = [sample for sample in SMOOTH if not repeats_a_form(sample)]
FIRST = list({sample.op: sample for sample in reversed(SMOOTH)}.values())  # one for each op


def inputs_of(sample: Sample, dtype: str = "float64", only: Sequence[int] | None = None) -> list[Any]:
    """The inputs; those at ``only``, or all that can, require a gradient."""
    made = tensors(sample.arrays(dtype))
    for position in takes_gradient(sample) if only is None else only:
        made[position].requires_grad_()
    return made


def function_of(sample: Sample) -> Callable[..., tuple[Any, ...]]:
    return lambda *inputs: apply(sample.op, inputs, sample.params)


def cotangents_for(function: Callable[..., Any], inputs: Sequence[Any]) -> list[Any]:
    rng = np.random.default_rng(7)
    return [ng.tensor(rng.normal(size=y.shape), dtype=y.dtype) for y in floating(function(*inputs))]


# ---- against finite differences ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", FORMS, ids=str)
def test_finite_differences(sample: Sample) -> None:
    numerical, analytical, size = directional(function_of(sample), inputs_of(sample))
    assert agree(numerical, analytical, size, sample.tolerance), (numerical, analytical)


@pytest.mark.parametrize(("sample", "position"), [(s, p) for s in FIRST for p in takes_gradient(s)], ids=str)
def test_each_input_alone(sample: Sample, position: int) -> None:
    numerical, analytical, size = directional(function_of(sample), inputs_of(sample, only=[position]))
    assert agree(numerical, analytical, size, sample.tolerance), (numerical, analytical)


@pytest.mark.parametrize("sample", [s for s in FORMS if s.small], ids=str)
def test_second_derivatives(sample: Sample) -> None:
    function, inputs = function_of(sample), inputs_of(sample)
    weights = [u.requires_grad_() for u in cotangents_for(function, inputs)]

    def first_order(*args: Any) -> list[Any]:
        found = gradients(function, args[: len(inputs)], args[len(inputs) :], create_graph=True)
        return [g if g.requires_grad else g.detach() for g in found]

    numerical, analytical, size = directional(first_order, [*inputs, *weights], step=1e-5)
    assert agree(numerical, analytical, size, 20 * sample.tolerance), (numerical, analytical)


# ---- against themselves -----------------------------------------------------------------------------------------


# The fused backward of a product divides by the elements, the composite rule multiplies the others.
OTHER_FORMULA = {"prod-special"}


@pytest.mark.parametrize("sample", [s for s in ALL if str(s) not in OTHER_FORMULA and not repeats_a_form(s)], ids=str)
def test_the_fused_backward_is_the_composite_rule(sample: Sample) -> None:
    function = function_of(sample)
    inputs = inputs_of(sample)
    weights = cotangents_for(function, inputs)
    fused = gradients(function, inputs, weights)
    composite = gradients(function, inputs, weights, create_graph=True)
    for one, other in zip(fused, composite, strict=True):
        a, b = as_array(one), as_array(other)
        scale = np.abs(b[np.isfinite(b)]).max(initial=0.0) if b.size else 0.0
        np.testing.assert_allclose(
            a, b, rtol=1e-12 * sample.tolerance, atol=1e-13 * sample.tolerance * min(scale, 1e6), equal_nan=True
        )


# Those of `EVERY_FORM` show what broadcasts in float64 alone.
NARROW = [
    s for s in FORMS
    if s.small and "dtype" not in s.params and (s in FIRST or not isinstance(OPS[s.op], Elementwise) or not broadcasts(s))
]  # fmt: skip


@pytest.mark.parametrize("sample", NARROW, ids=str)
def test_float32(sample: Sample) -> None:
    function = function_of(sample)
    inputs = inputs_of(sample, "float32")
    weights = cotangents_for(function, inputs)
    found = gradients(function, inputs, weights)
    wide = [x.detach().to(ng.float64) if x is not None and x.is_floating_point() else x for x in inputs]
    for position in takes_gradient(sample):
        wide[position].requires_grad_()
    wanted = gradients(function, wide, [u.to(ng.float64) for u in weights])
    for got, want in zip(found, wanted, strict=True):
        assert got.dtype is ng.float32
        scale = np.abs(as_array(want)).max(initial=0.0)
        np.testing.assert_allclose(
            as_array(got), as_array(want), rtol=2e-5 * sample.tolerance, atol=5e-6 * scale * sample.tolerance
        )


def laid_out() -> list[tuple[Sample, str]]:
    """Of elementwise ops, whose kernels one generator makes, only some; of all others one sample in all layouts."""
    chosen = []
    for sample in SMOOTH:
        elementwise = isinstance(OPS[sample.op], Elementwise)
        if (
            sample.small
            and sample.op not in OF_MEMORY
            and (not elementwise or (sample.op in EVERY_FORM and sample in FIRST))
        ):
            chosen += [(sample, layout) for layout in (sorted(LAYOUTS) if sample in FIRST else FOR_OTHERS)]
    return chosen


@pytest.mark.parametrize(("sample", "layout"), laid_out(), ids=str)
def test_layouts_do_not_matter(sample: Sample, layout: str) -> None:
    """Inputs and cotangents in other layouts give the gradients of contiguous ones."""
    function = function_of(sample)
    laid = [
        None if x is None else ng.tensor(x) if position in sample.changes else LAYOUTS[layout](x).detach()
        for position, x in enumerate(sample.arrays())
    ]
    plain = [None if x is None else ng.tensor(as_array(x)) for x in laid]
    for position in takes_gradient(sample):
        laid[position].requires_grad_()
        plain[position].requires_grad_()
    weights = cotangents_for(function, plain)
    weights_laid = [LAYOUTS[layout](as_array(u)) for u in weights]
    weights = [ng.tensor(as_array(u)) for u in weights_laid]
    for got, want in zip(gradients(function, laid, weights_laid), gradients(function, plain, weights), strict=True):
        scale = np.abs(as_array(want)).max(initial=0.0)
        np.testing.assert_allclose(
            as_array(got), as_array(want), rtol=1e-12 * sample.tolerance, atol=1e-13 * scale * sample.tolerance
        )


@pytest.mark.parametrize("sample", [s for s in ALL if s.label.startswith("large")], ids=str)
def test_the_same_bits_for_any_number_of_threads(sample: Sample) -> None:
    before = ng.get_num_threads()
    function, found = function_of(sample), []
    try:
        for count in (1, 2, 3, 16):
            ng.set_num_threads(count)
            inputs = inputs_of(sample, "float32")
            found.append([as_array(g).tobytes() for g in gradients(function, inputs, cotangents_for(function, inputs))])
    finally:
        ng.set_num_threads(before)
    assert all(one == found[0] for one in found)


# One for each op that has a form in place.
CHANGED = list({sample.op: sample for sample in reversed(in_place_samples(SMOOTH))}.values())


@pytest.mark.parametrize("sample", CHANGED, ids=str)
def test_in_place_gradients_are_right_or_refused(sample: Sample) -> None:
    wanted = gradients(function_of(sample), inputs_of(sample), cotangents_for(function_of(sample), inputs_of(sample)))

    def in_place(first: Any, *others: Any) -> tuple[Any, ...]:
        return (OPS[sample.op].in_place(first.clone(), *others),)

    inputs = inputs_of(sample)
    try:
        found = gradients(in_place, inputs, cotangents_for(in_place, inputs))
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)  # noqa: PT017 (either outcome is right)
        return
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(as_array(got), as_array(want))


# ---- what is saved ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", FIRST, ids=str)
def test_operands_are_unchanged_by_a_backward(sample: Sample) -> None:
    inputs = inputs_of(sample)
    gradients(function_of(sample), inputs, cotangents_for(function_of(sample), inputs))
    for position, (x, before) in enumerate(zip(inputs, sample.arrays(), strict=True)):
        assert x is None or position in sample.changes or as_array(x).tobytes() == before.tobytes()


# What is kept though the gradient of this one input does not read it, by op and position of the input.
# A norm's backward is one kernel for all gradients. TODO: a norm whose input is frozen keeps it for its bias.
NOT_READ = {
    ("pow", 1): {"y"},
    ("recurrence", 0): {"out"},
    ("glu_backward", 0): {"grad"},
    ("linalg_solve_ex", 1): {"result"},
    ("linalg_solve_triangular", 1): {"out"},
    ("linalg_lstsq", 1): {"B"},
    # Read only where a number is 0 or at an end of the range.
    ("xlogy", 0): {"x"},
    ("nansum", 0): {"input"},  # and here, where it is NaN
    ("xlog1py", 0): {"x"},
    ("log_odds", 0): {"out"},
    ("attention", 2): {"value", "out"},
    ("grid_sample", 0): {"input"},  # as in torch
    ("layer_norm", 1): {"weight"},
    ("layer_norm", 2): {"input", "weight", "mean", "rstd"},
    **{(f"batch_norm{relu}_eval", 0): {"input", "running_mean"} for relu in ("", "_relu")},
    **{(f"batch_norm{relu}_{mode}", 1): {"weight"} for relu in ("", "_relu") for mode in ("eval", "training")},
    **{
        (f"batch_norm{relu}_{mode}", position): {"input", "weight", *statistics}
        for relu, positions in (("", (2,)), ("_relu", (2, 5)))
        for mode, statistics in (("eval", ("running_mean", "running_var")), ("training", ("mean", "invstd")))
        for position in positions
    },
}
# These read some of it only where elements are equal, or 0; for the gradient of another output than the first; or for
# derivatives of higher order.
IN_RARE_CASES = {
    "scatter_prod", "scatter_amax", "scatter_amin", "linalg_eigh", "linalg_slogdet", "lstm_layer", "gru_layer", "rnn_layer",
}  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "position"), [(s, p) for s in FIRST for p in takes_gradient(s) if s.op not in IN_RARE_CASES], ids=str
)
def test_what_is_saved_is_read(sample: Sample, position: int) -> None:
    """Another value in a saved tensor gives another gradient: nothing is kept for nothing."""
    op = OPS[sample.op]
    inputs = inputs_of(sample, only=[position])
    out = floating(apply(sample.op, inputs, sample.params))[0]
    node = out.grad_fn
    assert node is not None
    saves = list(zip(op.saves, node.saved or (), strict=bool(node.saved)))
    weight = cotangents_for(function_of(sample), inputs)[0]
    (before,) = ng.autograd.grad(out, inputs[position], weight, retain_graph=True)
    before, not_read = as_array(before), set()
    for name, saved in saves:
        if saved is None or not saved.is_floating_point() or saved.numel() == 0:
            continue
        held, version = as_array(saved), saved._version
        array = saved._array()
        array[...] = np.roll(held, 1) * 1.7 + 0.3
        assert saved._version == version
        (after,) = ng.autograd.grad(out, inputs[position], weight, retain_graph=True)
        array[...] = held
        if np.array_equal(as_array(after), before):
            not_read.add(name)
    assert not_read == NOT_READ.get((sample.op, position), set())
