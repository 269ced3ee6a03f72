from __future__ import annotations

import numpy as np
import pytest

from numgrad.errors import KernelError
from numgrad.kernels.norm import plan_batch_norm, plan_batch_norm_backward

from .running import run

rng = np.random.default_rng(0)
EPS = 1e-5
SHAPES = [(4, 5), (2, 3, 7), (3, 5, 4, 6), (2, 64, 9, 11), (1, 7, 1, 1), (5, 1, 3, 3), (67, 40, 13, 12), (0, 3, 2, 2)]


def laid_out(x: np.ndarray, channels_last: bool) -> np.ndarray:
    if not channels_last:
        return np.ascontiguousarray(x)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def strides_of(x: np.ndarray) -> tuple[int, ...]:
    return tuple(s // x.itemsize for s in x.strides)


def per_channel(v: np.ndarray, ndim: int) -> np.ndarray:
    return v.reshape(1, -1, *(1,) * (ndim - 2))


def tolerance(dtype) -> dict[str, float]:
    return {"rtol": 2e-5, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-11}


def forward(x, weight, bias, mean, var, *, training, momentum=0.1, relu=False, residual=None, counts=(0,)):
    def planner(b, x_, weight_, bias_, mean_, var_, residual_):
        c = (x.shape[1],)
        outputs = [b.output(x_.spec.dtype, x.shape, strides_of(x)), *(b.output(x_.spec.dtype, c) for _ in range(2))]
        plan_batch_norm(
            b, x_, weight_, bias_, mean_, var_, *outputs,
            training=training, momentum=momentum, eps=EPS, relu=relu, residual=residual_,
        )  # fmt: skip

    return run(planner, x, weight, bias, mean, var, residual, counts=counts)


def backward(
    grad, x, weight, mean, spread, *, training, out=None, residual=False, mask=(True, True, True), counts=(0,)
):
    def planner(b, grad_, x_, weight_, mean_, spread_, out_):
        dtype, strides, c = x_.spec.dtype, strides_of(x), (x.shape[1],)
        grad_input = b.output(dtype, x.shape, strides) if mask[0] else None
        parameters = [b.output(dtype, c) if wanted else None for wanted in mask[1:]]
        grad_residual = b.output(dtype, x.shape, strides) if residual else None
        plan_batch_norm_backward(
            b, grad_, x_, weight_, mean_, spread_, grad_input, *parameters,
            training=training, eps=EPS, out=out_, grad_residual=grad_residual,
        )  # fmt: skip

    return run(planner, grad, x, weight, mean, spread, out, counts=counts)


def axes_of(x: np.ndarray) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def oracle(x, weight, bias, mean, var):
    x = x.astype(np.float64)
    hat = (x - per_channel(mean, x.ndim)) / np.sqrt(per_channel(var, x.ndim) + EPS)
    y = hat if weight is None else hat * per_channel(weight.astype(np.float64), x.ndim)
    return hat, y if bias is None else y + per_channel(bias.astype(np.float64), x.ndim)


def oracle_grads(g, hat, weight, var, training):
    axes, ndim = axes_of(g), g.ndim
    grad_weight, grad_bias = (g * hat).sum(axes), g.sum(axes)
    k = 1 / np.sqrt(var + EPS) * (1 if weight is None else weight.astype(np.float64))
    if not training:
        return g * per_channel(k, ndim), grad_weight, grad_bias
    count = g.size // g.shape[1]
    inner = g - per_channel(grad_bias, ndim) / count - hat * per_channel(grad_weight, ndim) / count
    return per_channel(k, ndim) * inner, grad_weight, grad_bias


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_training(shape, channels_last: bool, dtype) -> None:
    c = shape[1]
    x = laid_out((rng.standard_normal(shape) * 2 + 3).astype(dtype), channels_last)
    residual = laid_out(rng.standard_normal(shape).astype(dtype), channels_last)
    g = laid_out(rng.standard_normal(shape).astype(dtype), channels_last)
    weight, bias = rng.standard_normal((2, c)).astype(dtype)
    axes, count = axes_of(x), x.size // c
    if count == 0:
        outputs = forward(x, weight, bias, None, None, training=True)
        assert outputs[0].shape == shape
        grads = backward(g, x, weight, *outputs[1:], training=True)
        assert (grads[1] == 0).all()
        assert (grads[2] == 0).all()
        return
    mean, var = x.astype(np.float64).mean(axes), x.astype(np.float64).var(axes)
    for affine, relu, added in [(True, False, False), (False, False, False), (True, True, False), (True, True, True)]:
        w, h, r = (weight if affine else None), (bias if affine else None), (residual if added else None)
        running = [np.full(c, 0.5, dtype), np.full(c, 2.0, dtype)]
        out, save_mean, save_invstd = forward(x, w, h, *running, training=True, relu=relu, residual=r, counts=(1, 2, 3))
        hat, want = oracle(x, w, h, mean, var)
        want = want + (r if added else 0)
        want = np.maximum(want, 0) if relu else want
        np.testing.assert_allclose(out, want, **tolerance(dtype))
        np.testing.assert_allclose(save_mean, mean, **tolerance(dtype))
        np.testing.assert_allclose(save_invstd, 1 / np.sqrt(var + EPS), **tolerance(dtype))
        np.testing.assert_allclose(running[0], 0.9 * 0.5 + 0.1 * mean, **tolerance(dtype))
        if count > 1:
            np.testing.assert_allclose(running[1], 0.9 * 2 + 0.1 * var * count / (count - 1), **tolerance(dtype))
        saved = laid_out(out, channels_last) if relu else None
        grads = backward(g, x, w, save_mean, save_invstd, training=True, out=saved, residual=added, counts=(1, 2, 3))
        masked = np.where(out <= 0, 0, g) if relu else g
        wanted = oracle_grads(masked.astype(np.float64), hat, w, var, training=True)
        scale = 1 + np.abs(wanted[1]).max()
        # One value per channel leaves a gradient that is nothing but rounding, times 1 / sqrt(eps).
        slack = 30 if count == 1 else 1
        np.testing.assert_allclose(
            grads[0], wanted[0], rtol=tolerance(dtype)["rtol"], atol=slack * tolerance(dtype)["atol"]
        )
        for got, expected in zip(grads[1:3], wanted[1:], strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=slack * scale * tolerance(dtype)["atol"])
        if added:
            np.testing.assert_array_equal(grads[3], masked)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", SHAPES[:5])
def test_evaluation(shape, channels_last: bool, dtype) -> None:
    c = shape[1]
    x = laid_out(rng.standard_normal(shape).astype(dtype), channels_last)
    g = laid_out(rng.standard_normal(shape).astype(dtype), channels_last)
    weight, bias, mean = rng.standard_normal((3, c)).astype(dtype)
    var = (rng.random(c) + 0.5).astype(dtype)
    for w, h in [(weight, bias), (None, None)]:
        hat, want = oracle(x, w, h, mean, var)
        out = forward(x, w, h, mean, var, training=False)[0]
        np.testing.assert_allclose(out, want, **tolerance(dtype))
        wanted = oracle_grads(g.astype(np.float64), hat, w, var.astype(np.float64), training=False)
        for got, expected in zip(backward(g, x, w, mean, var, training=False), wanted, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=5 * tolerance(dtype)["atol"])
        only = backward(g, x, w, mean, var, training=False, mask=(True, False, False))
        np.testing.assert_allclose(only[0], wanted[0], **tolerance(dtype))
        relu_out = laid_out(np.maximum(out, 0), channels_last)
        masked = backward(g, x, w, mean, var, training=False, out=relu_out, residual=True)
        np.testing.assert_array_equal(masked[3], np.where(relu_out <= 0, 0, g))


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_large_mean_costs_no_digits_of_the_variance(channels_last: bool) -> None:
    x = laid_out((rng.standard_normal((16, 8, 20, 20)) + 10_000).astype(np.float32), channels_last)
    invstd = forward(x, None, None, None, None, training=True)[2]
    want = 1 / np.sqrt(x.astype(np.float64).var((0, 2, 3)) + EPS)
    np.testing.assert_allclose(invstd, want, rtol=1e-6)
    wide = laid_out(rng.standard_normal((16, 8, 20, 20)) + 1e8, channels_last)
    invstd = forward(wide, None, None, None, None, training=True)[2]
    np.testing.assert_allclose(invstd, 1 / np.sqrt(wide.var((0, 2, 3)) + EPS), rtol=1e-6)


def test_momentum_as_data() -> None:
    x = rng.standard_normal((6, 3)).astype(np.float32)
    running, factor = [np.zeros(3, np.float32), np.ones(3, np.float32)], np.array([0.25])

    def planner(b, x_, mean_, var_, factor_):
        outputs = [b.output(x_.spec.dtype, shape) for shape in (x.shape, (3,), (3,))]
        plan_batch_norm(b, x_, None, None, mean_, var_, *outputs, training=True, momentum=factor_, eps=EPS)

    run(planner, x, *running, factor)
    np.testing.assert_allclose(running[0], 0.25 * x.mean(0), rtol=1e-5, atol=1e-6)


def test_nan_stays_in_its_channel() -> None:
    x = rng.standard_normal((4, 3, 5, 5)).astype(np.float32)
    x[1, 2, 3, 3] = np.nan
    out = forward(x, None, None, None, None, training=True, relu=True)[0]
    assert np.isnan(out[:, 2]).all()
    assert not np.isnan(out[:, :2]).any()


def test_another_layout_is_refused() -> None:
    x = np.zeros((4, 3, 5, 6), np.float32).transpose(0, 1, 3, 2)
    with pytest.raises(KernelError, match="expected contiguous or channels-last"):
        forward(x, None, None, None, None, training=True)
