"""Convolutions, forward and both gradients, against sums written out in NumPy in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from numgrad import dtypes
from numgrad.kernels.conv import plan_conv2d_backward_input, plan_conv2d_forward
from numgrad.kernels.conv_backward import plan_conv2d_backward_weight
from numgrad.kernels.conv_choice import DIRECTIONS, choose
from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.kernels.gemm_rows import lanes
from numgrad.runtime.plan import Operand, PlanBuilder

from .running import run

TOLERANCE = {"float32": 2e-6, "float64": 2e-14}
LOSS = {"direct": 1, "winograd2": 1, "winograd4": 4}  # how much less exact
ONE, TWO, NONE = (1, 1), (2, 2), (0, 0)


def taps(g: Conv2dGeometry):
    """For each tap: (r, s), and the slices of the padded input that the output's pixels see through it."""
    for r, s in itertools.product(range(g.r), range(g.s)):
        y, x = r * g.dilation[0], s * g.dilation[1]
        yield (
            r,
            s,
            slice(y, y + (g.out_h - 1) * g.stride[0] + 1, g.stride[0]),
            slice(x, x + (g.out_w - 1) * g.stride[1] + 1, g.stride[1]),
        )


def expected(g: Conv2dGeometry, x: np.ndarray, weight: np.ndarray, grad: np.ndarray) -> tuple[np.ndarray, ...]:
    """(output, gradient of the input, gradient of the weight), all channels last."""
    pad = ((0, 0), (g.padding[0],) * 2, (g.padding[1],) * 2, (0, 0))
    padded = np.pad(x.astype(np.float64), pad)
    out = np.zeros((g.n, g.out_h, g.out_w, g.k))
    grad_padded, grad_weight = np.zeros_like(padded), np.zeros(weight.shape)
    for r, s, ys, xs in taps(g):
        for group in range(g.groups):
            c = slice(group * g.group_c, (group + 1) * g.group_c)
            k = slice(group * g.group_k, (group + 1) * g.group_k)
            seen, w = padded[:, ys, xs, c], weight[k, r, s].astype(np.float64)
            out[..., k] += seen @ w.T
            grad_padded[:, ys, xs, c] += grad[..., k] @ w
            grad_weight[k, r, s] += np.tensordot(grad[..., k].astype(np.float64), seen, ((0, 1, 2), (0, 1, 2)))
    return out, grad_padded[:, g.padding[0] : g.padding[0] + g.h, g.padding[1] : g.padding[1] + g.w], grad_weight


def check(g: Conv2dGeometry, dtype: str = "float32", counts: tuple[int, ...] = (0,), algorithm: str = "direct") -> None:
    rng = np.random.default_rng(g.c * g.k + g.h)
    x = rng.standard_normal((g.n, g.h, g.w, g.c)).astype(dtype)
    weight = rng.standard_normal((g.k, g.r, g.s, g.group_c)).astype(dtype)
    bias = rng.standard_normal(g.k).astype(dtype)
    grad = rng.standard_normal((g.n, g.out_h, g.out_w, g.k)).astype(dtype)
    kind = dtypes.from_numpy_dtype(np.dtype(dtype))

    def forward(b: PlanBuilder, x: Operand, w: Operand, bias: Operand) -> None:
        plan_conv2d_forward(b, x, w, bias, b.output(kind, grad.shape), g, algorithm)

    def forward_without_bias(b: PlanBuilder, x: Operand, w: Operand) -> None:
        plan_conv2d_forward(b, x, w, None, b.output(kind, grad.shape), g, algorithm)

    def backward_input(b: PlanBuilder, grad: Operand, w: Operand) -> None:
        plan_conv2d_backward_input(b, grad, w, b.output(kind, x.shape), g, algorithm)

    def backward_weight(b: PlanBuilder, grad: Operand, x: Operand) -> None:
        plan_conv2d_backward_weight(b, grad, x, b.output(kind, weight.shape), g, algorithm)

    out, grad_x, grad_weight = expected(g, x, weight, grad)
    for planner, inputs, wanted in [
        (forward, (x, weight, bias), out + bias),
        (forward_without_bias, (x, weight), out),
        (backward_input, (grad, weight), grad_x),
        (backward_weight, (grad, x), grad_weight),
    ]:
        if wanted.size:
            (got,) = run(planner, *inputs, counts=counts)
            limit = TOLERANCE[dtype] * max(1.0, np.abs(wanted).max()) * LOSS[algorithm]
            np.testing.assert_allclose(got, wanted, rtol=0, atol=limit, err_msg=f"{planner.__name__} {g}")


GEOMETRIES = [
    Conv2dGeometry(1, 3, 20, 22, 64, 7, 7, TWO, (3, 3)),
    Conv2dGeometry(2, 16, 9, 9, 32, 3, 3, ONE, ONE),
    Conv2dGeometry(1, 64, 16, 16, 64, 3, 3, ONE, ONE),
    Conv2dGeometry(1, 64, 16, 16, 128, 3, 3, TWO, ONE),
    Conv2dGeometry(1, 64, 16, 16, 128, 1, 1, TWO),
    Conv2dGeometry(1, 512, 2, 2, 512, 3, 3, ONE, ONE),
    Conv2dGeometry(1, 256, 4, 4, 512, 3, 3, TWO, ONE),
    Conv2dGeometry(1, 48, 4, 4, 64, 3, 3, ONE, ONE),
    Conv2dGeometry(2, 16, 1, 2, 64, 3, 3, ONE, TWO, TWO),
    Conv2dGeometry(4, 16, 1, 1, 128, 5, 5, ONE, TWO),
    Conv2dGeometry(1, 32, 5, 3, 64, 2, 1, (3, 2), (0, 1)),
    Conv2dGeometry(1, 16, 2, 2, 64, 1, 1, TWO, ONE),
    Conv2dGeometry(3, 5, 11, 7, 9, 3, 2, (1, 2), (0, 1), (2, 1)),
    Conv2dGeometry(2, 8, 10, 10, 12, 3, 3, ONE, TWO, TWO, 4),
    Conv2dGeometry(2, 6, 8, 8, 6, 3, 3, ONE, ONE, ONE, 6),
    Conv2dGeometry(2, 6, 8, 8, 12, 3, 3, (3, 2), ONE, ONE, 6),
    Conv2dGeometry(1, 1, 5, 5, 1, 5, 5),
    Conv2dGeometry(1, 32, 7, 7, 48, 5, 5, ONE, TWO),
    Conv2dGeometry(4, 64, 20, 20, 64, 3, 3, ONE, ONE),
    Conv2dGeometry(1, 3, 8, 8, 7, 3, 3, ONE, NONE, (1, 2)),
    Conv2dGeometry(2, 4, 13, 5, 64, 3, 3, (3, 3), TWO),
    Conv2dGeometry(1, 1, 1, 1, 1, 3, 3, ONE, ONE),
    Conv2dGeometry(2, 3, 6, 6, 5, 2, 2, (4, 4)),
    Conv2dGeometry(0, 3, 6, 6, 5, 2, 2),
    Conv2dGeometry(8, 64, 14, 14, 72, 3, 3, ONE, ONE),
    Conv2dGeometry(33, 32, 3, 2, 32, 3, 3, ONE, ONE),
    Conv2dGeometry(2, 48, 15, 14, 48, 3, 3, TWO, ONE, ONE, 48),
    Conv2dGeometry(1, 20, 9, 9, 20, 5, 3, ONE, (2, 1), (1, 2), 20),
    Conv2dGeometry(2, 32, 6, 7, 32, 3, 3, TWO, ONE, ONE, 8),
    Conv2dGeometry(1, 16, 5, 5, 32, 3, 3, ONE, ONE, ONE, 16),
    Conv2dGeometry(2, 12, 5, 6, 18, 3, 2, ONE, ONE, TWO, 6),
    Conv2dGeometry(2, 40, 9, 8, 24, 1, 1),
    Conv2dGeometry(1, 17, 3, 3, 1, 1, 1),
    Conv2dGeometry(2, 3, 30, 33, 24, 3, 3, TWO, ONE),
    Conv2dGeometry(3, 3, 12, 150, 17, 3, 5, ONE, (1, 2)),
    Conv2dGeometry(2, 8, 16, 16, 96, 4, 4, (4, 4)),
    Conv2dGeometry(1, 512, 8, 8, 256, 1, 1, TWO),
    Conv2dGeometry(1, 33, 4, 4, 300, 1, 1, TWO, NONE, ONE, 3),
    Conv2dGeometry(2, 32, 40, 34, 32, 3, 3, ONE, ONE, ONE, 4),  # several bands, rows longer than two vectors
    Conv2dGeometry(2, 20, 30, 41, 10, 3, 5, TWO, (3, 4), (2, 1), 2),
    Conv2dGeometry(1, 24, 20, 20, 40, 3, 3, ONE, (5, 5), ONE, 8),  # more padding than the kernel reaches
    Conv2dGeometry(1, 16, 70, 18, 16, 3, 3, (1, 3), ONE, (1, 2), 4),
    Conv2dGeometry(5, 64, 14, 14, 64, 3, 3, ONE, ONE, ONE, 4),  # a vector of channels
    Conv2dGeometry(3, 14, 7, 7, 21, 3, 3, TWO, ONE, ONE, 7),
    Conv2dGeometry(2, 32, 5, 6, 192, 2, 2, ONE, NONE, ONE, 2),  # wide groups of outputs, narrow ones of inputs
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_directions(geometry: Conv2dGeometry, dtype: str) -> None:
    check(geometry, dtype)


@pytest.mark.parametrize("seed", range(40))
def test_any_geometry(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 1, 2, 3]))
    r, s, high, wide = (int(v) for v in rng.integers(1, [5, 5, 12, 12]))
    pairs = [(int(a), int(b)) for a, b in rng.integers([[1], [0], [1]], [[4], [3], [3]], (3, 2))]
    geometry = Conv2dGeometry(
        int(rng.integers(1, 4)), groups * int(rng.choice([1, 2, 5, 16, 32])), r + 4 + high, s + 4 + wide,
        groups * int(rng.choice([1, 3, 16, 33, 64])), r, s, *pairs,
        groups,
    )  # fmt: skip
    check(geometry)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_sample(dtype: str) -> None:
    for geometry in [
        GEOMETRIES[0],
        GEOMETRIES[3],
        GEOMETRIES[7],
        GEOMETRIES[8],
        Conv2dGeometry(1, 128, 4, 4, 64, 3, 3, TWO, ONE),
        GEOMETRIES[19],
    ]:
        check(geometry, dtype)


@pytest.mark.parametrize(
    "geometry", [GEOMETRIES[0], GEOMETRIES[2], GEOMETRIES[5], GEOMETRIES[13], *GEOMETRIES[-5:]], ids=str
)
def test_same_bits_for_any_number_of_threads(geometry: Conv2dGeometry) -> None:
    check(geometry, counts=(1, 2, 5))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
@pytest.mark.parametrize(
    "geometry",
    [
        Conv2dGeometry(2, 64, 14, 14, 32, 3, 3, ONE, ONE),
        Conv2dGeometry(1, 16, 7, 9, 48, 3, 3),
        Conv2dGeometry(3, 32, 6, 5, 16, 3, 3, ONE, TWO),
        Conv2dGeometry(1, 64, 2, 2, 64, 3, 3, ONE, ONE),
        Conv2dGeometry(3, 16, 33, 40, 32, 3, 3, ONE, ONE),
        Conv2dGeometry(2, 272, 9, 7, 96, 3, 3, ONE, ONE),
        Conv2dGeometry(5, 32, 8, 12, 32, 3, 3, ONE, ONE),
    ],
    ids=str,
)
def test_winograd(geometry: Conv2dGeometry, algorithm: str, dtype: str) -> None:
    check(geometry, dtype, counts=(1, 2), algorithm=algorithm)


def test_algorithms_are_chosen_where_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(geometry: Conv2dGeometry, policy: str | None = None) -> list[str]:
        return [choose(geometry, direction, "f4", policy).algorithm for direction in DIRECTIONS]

    monkeypatch.delenv("NUMGRAD_CONV", raising=False)
    fitting = Conv2dGeometry(8, 64, 56, 56, 64, 3, 3, ONE, ONE)
    assert chosen(fitting) == chosen(fitting, "winograd4") == ["winograd4"] * 3
    assert chosen(fitting, "direct") == ["direct"] * 3
    assert chosen(fitting, "winograd2") == ["winograd2"] * 3
    for other in [
        Conv2dGeometry(8, 64, 56, 56, 64, 3, 3, TWO, ONE),
        Conv2dGeometry(8, 64, 56, 56, 64, 3, 3, ONE, TWO, TWO),
        Conv2dGeometry(8, 64, 56, 56, 64, 3, 3, ONE, ONE, ONE, 2),
        # whole vectors of channels, which 63 are where a vector is one number
        Conv2dGeometry(8, 64, 56, 56, 63, 3, 3, ONE if lanes("f4") > 1 else TWO, ONE),
        Conv2dGeometry(8, 64, 56, 56, 64, 5, 5, ONE, TWO),
        Conv2dGeometry(8, 64, 56, 56, 64, 3, 3, ONE, (1, 0)),
    ]:
        assert chosen(other, "winograd4") == ["direct"] * 3
        assert "direct" not in choose(other, "forward", "f4").reason  # but why it cannot be
    assert chosen(Conv2dGeometry(8, 64, 56, 56, 64, 3, 3, ONE, ONE, ONE, 64), "winograd4") == ["depthwise"] * 3
    assert chosen(Conv2dGeometry(1, 512, 2, 2, 512, 3, 3, ONE, ONE)) == ["direct"] * 3
    monkeypatch.setenv("NUMGRAD_CONV", "direct")
    assert chosen(fitting) == ["direct"] * 3
    monkeypatch.setenv("NUMGRAD_CONV", "fast")
    with pytest.raises(ValueError, match="algorithm is 'fast', expected one of auto, direct"):
        chosen(fitting)


# Forward, input, weight. A plain sum of n products in p interleaved parts rounds by up to 0.35 * eps * sqrt(n / p) of the
# largest output. Forward, few pixels are dot products over 2,304 terms, with a part for each lane of a vector; the
# gradients' sums are of 64 and 196 terms for each tap.
ERRORS = {
    "direct": (2e-6 / lanes("f4") ** 0.5, 5e-7, 5e-7),
    "winograd2": (1e-6, 1e-6, 1e-6),
    "winograd4": (5e-6, 5e-6, 5e-6),
}


@pytest.mark.parametrize("algorithm", ERRORS)
def test_rounding_is_as_documented(algorithm: str) -> None:
    """The largest error of float32 as a part of the largest element, for a layer with many channels."""
    g = Conv2dGeometry(1, 256, 14, 14, 64, 3, 3, ONE, ONE)
    rng = np.random.default_rng(0)
    x, grad = rng.standard_normal((1, 14, 14, 256)).astype("f4"), rng.standard_normal((1, 14, 14, 64)).astype("f4")
    weight = rng.standard_normal((64, 3, 3, 256)).astype("f4")
    f4 = dtypes.float32
    planners = [
        (lambda b, x, w: plan_conv2d_forward(b, x, w, None, b.output(f4, grad.shape), g, algorithm), (x, weight)),
        (lambda b, e, w: plan_conv2d_backward_input(b, e, w, b.output(f4, x.shape), g, algorithm), (grad, weight)),
        (lambda b, e, x: plan_conv2d_backward_weight(b, e, x, b.output(f4, weight.shape), g, algorithm), (grad, x)),
    ]
    wanted = expected(g, x, weight, grad)
    for (planner, inputs), exact, limit in zip(planners, wanted, ERRORS[algorithm], strict=True):
        (got,) = run(planner, *inputs)
        error = np.abs(got - exact).max() / np.abs(exact).max()
        assert limit / 20 < error <= limit, (algorithm, error)
