"""First and second derivatives at hostile arguments, by torch's judgement; and which gradients can be differentiated.

Where torch is wrong itself, by rounding or by the range of float32, the judges are mpmath and torch in float64. What
differs on purpose stands with the rows.
"""

from __future__ import annotations

import inspect
import itertools
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from numgrad.engine import dispatch
from numgrad.nn import functional
from numgrad.registry import OPS
from tests.tensor import derivative_rows_surface  # noqa: F401 - more rows of the same tables
from tests.tensor.derivative_rows import ARRAYS, NUMBERS, PAIRS, Row, points, scenes
from tests.tensor.gradient_rows import GRADIENTS
from tests.tensor.not_walked import FUNCTIONS_NOT_WALKED

DTYPES = ("float32", "float64")
pytestmark = pytest.mark.filterwarnings("ignore")


# ---- both libraries ---------------------------------------------------------------------------------------------


def numbers(lib: Any, value: Any) -> np.ndarray:
    """A tensor's values; torch has zeros without memory."""
    return np.array((lib.zeros(tuple(value.shape), dtype=value.dtype) + value.detach()).numpy())


def weights(lib: Any, like: Any) -> Any:
    """A cotangent that is not the same everywhere."""
    count = int(np.prod(tuple(like.shape)))
    return lib.tensor((np.arange(count) % 5 - 1.5).reshape(tuple(like.shape))).to(like.dtype)


def derivatives(lib: Any, row: Row, *arrays: np.ndarray, ones: bool) -> dict[str, Any]:
    """Values by name: 'value', 'first' and 'second' with the numbers of the inputs; and which can be differentiated."""
    f = functional if lib is ng else lib.nn.functional
    inputs = [lib.tensor(x).requires_grad_() for x in arrays]
    found: dict[str, Any] = {"recorded": []}

    def cotangent(y: Any) -> Any:
        return lib.ones_like(y.detach()) if ones else weights(lib, y)

    y = row.function(lib, f, *inputs)
    found["value"] = numbers(lib, y)
    found["recorded"].append(bool(y.requires_grad))
    if not y.requires_grad:
        return found
    plain = lib.autograd.grad(row.function(lib, f, *inputs), inputs, cotangent(y), allow_unused=True)
    if not row.twice:
        return found | {f"plain {i}": numbers(lib, g) for i, g in enumerate(plain) if g is not None}
    first = lib.autograd.grad(y, inputs, cotangent(y), create_graph=True, allow_unused=True)
    for i, (g, same) in enumerate(zip(first, plain, strict=True)):
        found["recorded"].append(g is not None and bool(g.requires_grad))
        if g is None:
            continue
        found[f"plain {i}"], found[f"first {i}"] = numbers(lib, same), numbers(lib, g)
        if g.requires_grad:
            second = lib.autograd.grad(g, inputs, cotangent(g), retain_graph=True, allow_unused=True)
            found["recorded"].append([h is not None for h in second])
            found.update({f"second {i} {j}": numbers(lib, h) for j, h in enumerate(second) if h is not None})
    return found


def near(found: np.ndarray, judge: np.ndarray, row: Row, alone: bool) -> np.ndarray:
    """Where they agree but for rounding; NaN with NaN, infinity with its like. ``alone``: each element by itself."""
    info, finite = np.finfo(found.dtype), np.abs(judge[np.isfinite(judge)])
    with np.errstate(all="ignore"):
        judge = judge.astype(found.dtype)
        digits, size = (64 * row.rough, np.abs(judge)) if alone else (4096, finite.max(initial=0.0))
        close = np.abs(found - judge) <= digits * info.eps * (size + row.scale) + info.tiny
    return close | (found == judge) | (np.isnan(found) & np.isnan(judge))


def accept(row: Row, torch: ModuleType, *arrays: np.ndarray, ones: bool, exact: bool = False) -> list[str]:
    """What differs from torch, beyond rounding and what the row allows."""
    ours, theirs = derivatives(ng, row, *arrays, ones=ones), derivatives(torch, row, *arrays, ones=ones)
    wrong, wide = [], None
    can_be, could_be = ours.pop("recorded"), theirs.pop("recorded")
    if can_be != could_be and "recorded" not in row.but:
        wrong.append(f"can be differentiated: {can_be}, in torch {could_be}")
    for name, found in ours.items():
        judge = theirs.get(name, np.zeros_like(found))
        if (found.dtype, found.shape) != (judge.dtype, judge.shape):
            wrong.append(f"{name}: {found.dtype} {found.shape}, torch's {judge.dtype} {judge.shape}")
            continue
        fits = near(found, judge, row, ones)
        if not fits.all() and arrays[0].dtype == np.float32:
            wide = wide or derivatives(torch, row, *[x.astype(np.float64) for x in arrays], ones=ones)
            fits |= near(found, wide[name], row, ones)
        with np.errstate(all="ignore"):
            if "torch nonfinite" in row.but or "torch nan" in row.but:
                fits |= ~np.isfinite(judge) if "torch nonfinite" in row.but else np.isnan(judge)
            if "nan second" in row.but and name.startswith("second"):
                fits |= np.isnan(ours["value"])
            if "value" in row.but and name == "value":
                fits |= True
            if "far" in row.but and ones:
                fits |= np.abs(arrays[0]) > 1e9
            if "alike" in row.but and ones:
                fits |= np.abs(arrays[0]) == np.abs(arrays[-1])
            if "ratio" in row.but and ones:
                fits |= ~np.isfinite(arrays[0] / arrays[-1])
            if "denormal" in row.but and ones:
                fits |= np.minimum(*map(np.abs, (arrays[0], arrays[-1]))) <= np.finfo(found.dtype).tiny
            if "poles" in row.but and ones:
                fits |= (arrays[0] <= 0) & (arrays[0] == np.floor(arrays[0]))
            if "-inf" in row.but and ones:
                fits |= np.isneginf(arrays[0])
        if exact and not fits.all():
            fits |= near(found, precise(row, name, arrays[0], ~fits), row, alone=True)
        for place in np.argwhere(~fits)[:4]:
            at = tuple(place)
            where = [float(x[at]) for x in arrays] if ones else at
            wrong.append(f"{name} at {where}: {found[at]}, torch's {judge[at]}")
    return wrong


def precise(row: Row, name: str, x: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """A derivative in many digits, at the points that are asked for; infinity is far enough out, where all has settled."""
    import mpmath

    order = {"value": 0, "plain": 1, "first": 1, "second": 2}[name.split()[0]]
    made = np.full(x.shape, np.nan)
    if row.exact is None:
        return made
    with mpmath.workdps(row.digits):
        for place in np.argwhere(asked):
            value = float(x[tuple(place)])
            if np.isnan(value) or (order == 0 and np.isinf(value)):
                continue
            end = 800.0 if row.far is None else row.far
            far = mpmath.mpf(max(-end, min(end, value)) if order else value)
            result = mpmath.diff(lambda z: row.exact(mpmath, z), far, order)  # type: ignore[misc]
            made[tuple(place)] = float("nan") if result.imag else float(result.real)
    return made


# ---- the walk ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", NUMBERS, ids=str)
def test_of_one_number(row: Row, dtype: str, torch: ModuleType) -> None:
    wrong = accept(row, torch, points(dtype), ones=True, exact=True)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", PAIRS, ids=str)
def test_of_two_numbers(row: Row, dtype: str, torch: ModuleType) -> None:
    x, y = (grid.ravel() for grid in np.meshgrid(points(dtype, many=False), points(dtype, many=False)))
    wrong = accept(row, torch, x, y, ones=True)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("row", ARRAYS, ids=str)
def test_of_an_array(row: Row, dtype: str, torch: ModuleType) -> None:
    wrong = {
        name: found
        for name, x in scenes(dtype, row.shape).items()
        if name not in row.but and (found := accept(row, torch, x, ones=False))
    }
    assert not wrong, "\n".join(f"{name}: {line}" for name, lines in wrong.items() for line in lines)


# ---- which gradients require a gradient -------------------------------------------------------------------------

# Where gradients are those of a composition here and of one backward in torch, or the other way round.
OTHERWISE = {"group_norm", "adaptive_avg_pool2d to one", "pow 0"}


def recorded(lib: Any, function: Any, arrays: Any, needs: tuple[bool, ...]) -> Any:
    """For each gradient whether it requires one, and then for each input whether there is a second."""
    inputs = [lib.tensor(x).requires_grad_(need) for x, need in zip(arrays, needs, strict=True)]
    y = function(lib, functional if lib is ng else lib.nn.functional, *inputs)
    if not y.requires_grad:
        return None
    by = [x for x in inputs if x.requires_grad]
    found = []
    for g in lib.autograd.grad(y, by, lib.ones_like(y.detach()), create_graph=True, allow_unused=True):
        second = ()
        if g is not None and g.requires_grad:
            second = lib.autograd.grad(g.sum(), by, allow_unused=True, retain_graph=True)
        found.append((g is not None, g is not None and g.requires_grad, [h is not None for h in second]))
    return found


@pytest.mark.parametrize("name", sorted(set(GRADIENTS) - OTHERWISE))
def test_a_recorded_gradient_requires_one_as_in_torch(name: str, torch: ModuleType) -> None:
    function, *arrays = GRADIENTS[name]
    for needs in itertools.product((False, True), repeat=len(arrays)):
        if any(needs):
            assert recorded(ng, function, arrays, needs) == recorded(torch, function, arrays, needs), needs


def test_the_second_derivative_of_a_step_is_zero() -> None:
    x = ng.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    for function in (ng.relu, functional.leaky_relu, lambda x: functional.relu(x * 1, inplace=True), ng.abs):
        (first,) = ng.autograd.grad(function(x).sum(), x, create_graph=True)
        assert first.requires_grad
        (second,) = ng.autograd.grad((first * first).sum(), x)
        assert second.tolist() == [0, 0, 0]


# ---- the walk leaves nothing out --------------------------------------------------------------------------------

# Drawn at random; without a second derivative in torch; what models fuse, whose parts are here; and what `not_walked` has.
UNREACHED = {
    "dropout", "standard_gamma", "log_gamma_slope", "attention", "igamma", "igammac", "batch_norm_relu_training",
    "batch_norm_relu_eval", "ctc_loss", "gru_layer", "lstm_layer", "rnn_layer", "max_pool2d_values", "max_pool3d_values",
    "sum_rows", "row_products", "continued",
}  # fmt: skip


def test_every_op_is_reached() -> None:
    seen: set[str] = set()

    class Recorder:
        def applied(self, op: Any, inputs: Any, outputs: Any, plan: Any, params: Any) -> None:
            seen.add(op.name)

    dispatch.recorders.append(Recorder())
    try:
        for row in (*NUMBERS, *PAIRS, *ARRAYS):
            arrays = [scenes("float64", row.shape)["normal"] for _ in range(1 + (row in PAIRS))]
            derivatives(ng, row, *arrays, ones=False)
    finally:
        dispatch.recorders.pop()
    parts = {name for name in OPS if "_backward" in name}
    assert {name for name, op in OPS.items() if op.differentiable} - parts - seen == UNREACHED


# What has no derivative, makes tensors, or is about something else.
NO_DERIVATIVE = set(
    "all allclose any arange argmax argmin as_tensor bernoulli bitwise_and bitwise_left_shift bitwise_not "
    "bitwise_or bitwise_right_shift bitwise_xor custom_op elementwise empty "
    "empty_like eq equal eye floor_divide from_dlpack from_numpy to_dlpack "
    "full full_like func ge get_default_dtype get_num_threads get_rng_state gt "
    "initial_seed is_grad_enabled is_inference_mode_enabled isfinite isnan le linspace load logical_not lt manual_seed ne ones "
    "ones_like promote_types rand rand_like randint randn randn_like randperm result_type save seed set_default_dtype "
    "set_num_threads set_rng_state tensor zeros zeros_like".split()
)
# torch has no second derivative of its own, see test_attention; one-sided clamps are parts of clamp
ELSEWHERE = {"scaled_dot_product_attention", "clamp_max", "clamp_min"}


def test_every_public_function_is_reached() -> None:
    public = {name for name in ng.__all__ if inspect.isfunction(getattr(ng, name))} | set(functional.__all__)
    walked = {str(row).split()[0] for row in (*NUMBERS, *PAIRS, *ARRAYS)}
    in_place = {name for name in public if name.endswith("_")}  # see test_in_place
    assert (
        public - walked - in_place
        == {name for name in NO_DERIVATIVE | ELSEWHERE if name in public} | FUNCTIONS_NOT_WALKED
    )


def test_every_layer_is_one_of_the_functions() -> None:
    """Losses, activations and norms call what was walked over."""
    x, target = ng.rand(2, 4, 3, 3), ng.rand(2, 4, 3, 3)
    assert (nn.HuberLoss(delta=0.5)(x, target) == functional.huber_loss(x, target, delta=0.5)).all()
    assert (nn.SmoothL1Loss(beta=0.5)(x, target) == functional.smooth_l1_loss(x, target, beta=0.5)).all()
    expected = functional.binary_cross_entropy_with_logits(x, target)
    assert (nn.BCEWithLogitsLoss()(x, target) == expected).all()
    assert (nn.ELU(0.5)(x) == functional.elu(x, 0.5)).all()
