from __future__ import annotations

import numpy as np
import pytest

from numgrad.errors import KernelError
from numgrad.kernels.softmax import plan_nll_loss, plan_nll_loss_backward, plan_softmax, plan_softmax_backward

from .running import run

rng = np.random.default_rng(0)


def tolerance(dtype) -> dict[str, float]:
    return {"rtol": 3e-6, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}


def strides_of(x: np.ndarray) -> tuple[int, ...]:
    return tuple(s // x.itemsize for s in x.strides)


def oracle(x: np.ndarray, dim: int, log: bool) -> np.ndarray:
    x = x.astype(np.float64)
    shifted = x - x.max(dim, keepdims=True)
    total = np.exp(shifted).sum(dim, keepdims=True)
    return shifted - np.log(total) if log else np.exp(shifted) / total


def forward(x, dim, log, counts=(0,)):
    return run(
        lambda b, x_: plan_softmax(b, x_, b.output(x_.spec.dtype, x.shape, strides_of(x)), dim, log=log),
        x,
        counts=counts,
    )[0]


def backward(g, out, dim, log, counts=(0,)):
    def planner(b, g_, out_):
        plan_softmax_backward(b, g_, out_, b.output(g_.spec.dtype, out.shape, strides_of(out)), dim, log=log)

    return run(planner, g, out, counts=counts)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    ("shape", "dim"),
    [
        ((7,), 0), ((5, 11), 1), ((5, 11), 0), ((64, 1000), 1), ((1, 1), 1), ((3, 4, 5), 1), ((2, 21, 37, 41), 1),
        ((2, 3, 70_001), 2), ((0, 5), 1), ((3, 0), 1), ((4, 1, 6), 1),
    ],
)  # fmt: skip
def test_softmax(shape, dim: int, log: bool, dtype) -> None:
    x = (rng.standard_normal(shape) * 5).astype(dtype)
    g = rng.standard_normal(shape).astype(dtype)
    for transposed in (False, True):
        if transposed:
            x, g = (np.ascontiguousarray(a.T).T for a in (x, g))
        out = forward(x, dim, log, counts=(1, 2, 3))
        got = backward(g, out.copy(order="K"), dim, log, counts=(1, 2, 3))
        if x.size == 0:
            assert out.shape == got.shape == shape
            continue
        want = oracle(x, dim, log)
        np.testing.assert_allclose(out, want, **tolerance(dtype))
        if log:
            expected = g - np.exp(want) * g.astype(np.float64).sum(dim, keepdims=True)
        else:
            expected = want * (g - (g * want).sum(dim, keepdims=True))
        bound = {"rtol": 1e-5, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-10}
        np.testing.assert_allclose(got, expected, **bound)


@pytest.mark.parametrize("dim", [0, 1])
def test_large_and_infinite_logits(dim: int) -> None:
    x = np.array([[1e30, -1e30, 0], [1e4, 1e4, -np.inf], [88.0, 89, 90]], np.float32)
    with np.errstate(all="ignore"):
        for log in (False, True):
            np.testing.assert_allclose(forward(x, dim, log), oracle(x, dim, log), rtol=1e-5)
    x = np.array([[-np.inf, -np.inf], [np.inf, 0], [np.nan, 0], [1, 2]], np.float32)
    out = forward(x if dim else np.ascontiguousarray(x.T), dim, False)
    out = out if dim else out.T
    assert np.isnan(out[0]).all()
    assert np.isnan(out[1, 0])
    assert np.isnan(out[2]).all()
    assert not np.isnan(out[3]).any()


def test_layouts_must_agree() -> None:
    with pytest.raises(KernelError, match="expected dense"):
        forward(np.zeros((4, 8), np.float32)[:, ::2], 1, False)


# ---- negative log-likelihood ------------------------------------------------------------------------------------


def nll(x, target, weight, reduction, ignore=-100, counts=(0,), status=0):
    def planner(b, x_, target_, weight_):
        shape = target.shape if reduction == "none" else ()
        plan_nll_loss(
            b, x_, target_, weight_, b.output(x_.spec.dtype, shape), b.output(x_.spec.dtype, ()),
            reduction=reduction, ignore_index=ignore,
        )  # fmt: skip

    return run(planner, x, target, weight, counts=counts, status=status)


def nll_grad(g, target, weight, total, x, reduction, ignore=-100, counts=(0,), status=0):
    def planner(b, g_, target_, weight_, total_):
        grad_input = b.output(g_.spec.dtype, x.shape, strides_of(x))
        plan_nll_loss_backward(b, g_, target_, weight_, total_, grad_input, reduction=reduction, ignore_index=ignore)

    return run(planner, g, target, weight, total, counts=counts, status=status)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("shape", [(6, 5), (1, 1), (30_000, 7), (3, 4, 5, 6), (2, 3, 101), (5,), (0, 4)])
def test_nll_loss(shape, reduction: str, weighted: bool, dtype) -> None:
    x = (
        oracle(rng.standard_normal(shape), min(1, len(shape) - 1), True).astype(dtype)
        if 0 not in shape
        else np.zeros(shape, dtype)
    )
    classes = shape[1] if len(shape) > 1 else shape[0]
    target = rng.integers(0, classes, (shape[0], *shape[2:]) if len(shape) > 1 else ())
    target = np.where(rng.random(target.shape) < 0.1, -100, target)
    weight = (rng.random(classes) + 0.5).astype(dtype) if weighted else None
    g = rng.standard_normal(target.shape if reduction == "none" else ()).astype(dtype)
    if len(shape) == 4:
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    w = (np.ones(classes) if weight is None else weight.astype(np.float64))[np.maximum(target, 0)] * (target >= 0)
    one_hot = np.moveaxis(np.eye(classes)[np.maximum(target, 0)], -1, 1 if len(shape) > 1 else 0)
    per_position = -w * (one_hot * x.astype(np.float64)).sum(min(1, len(shape) - 1))
    with np.errstate(all="ignore"):
        want = {"none": per_position, "sum": per_position.sum(), "mean": per_position.sum() / w.sum()}[reduction]
    loss, total = nll(x, target, weight, reduction, counts=(1, 2, 3))
    np.testing.assert_allclose(loss, want, rtol=1e-5)
    np.testing.assert_allclose(total, w.sum(), rtol=1e-6)
    got = nll_grad(g, target, weight, total, x, reduction, counts=(1, 2, 3))
    scale = -w * g / (w.sum() if reduction == "mean" else 1)
    if x.size:
        np.testing.assert_allclose(got, one_hot * (np.expand_dims(scale, 1) if len(shape) > 1 else scale), rtol=1e-5)


def test_nll_tells_the_position_of_a_bad_target() -> None:
    x, target = np.zeros((4, 3), np.float32), np.array([0, 2, 3, 1])
    nll(x, target, None, "mean", status=3)
    nll(x, np.array([0, -1, 1, 1]), None, "sum", status=2)
    nll(x, np.array([0, -1, 1, 1]), None, "sum", ignore=-1)
    nll_grad(np.ones((), np.float32), target, None, np.ones((), np.float32), x, "mean", status=3)
