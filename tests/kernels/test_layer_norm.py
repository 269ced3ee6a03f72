from __future__ import annotations

import numpy as np
import pytest

from numgrad.kernels.layer_norm import plan_layer_norm, plan_layer_norm_backward

from .running import run

rng = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(
    ("shape", "normalized"),
    [((5, 7), 1), ((2, 3, 4, 5), 2), ((300, 768), 1), ((3, 9001), 1), ((4, 1), 1), ((0, 6), 1), ((8,), 1)],
)
def test_layer_norm(shape, normalized: int, affine: bool, dtype) -> None:
    split = len(shape) - normalized
    x = (rng.standard_normal(shape) * 3 + 100).astype(dtype)
    g = rng.standard_normal(shape).astype(dtype)
    weight, bias = rng.standard_normal((2, *shape[split:])).astype(dtype) if affine else (None, None)
    rows = (*shape[:split], *(1,) * normalized)

    def forward(b, x_, weight_, bias_):
        d = x_.spec.dtype
        outputs = b.output(d, shape), b.output(d, rows), b.output(d, rows)
        plan_layer_norm(b, x_, weight_, bias_, *outputs, normalized=normalized, eps=1e-5)

    out, mean, rstd = run(forward, x, weight, bias, counts=(1, 2, 3))
    axes = tuple(range(split, len(shape)))
    wide = x.astype(np.float64)
    k = 1 / np.sqrt(wide.var(axes, keepdims=True) + 1e-5)
    hat = (wide - wide.mean(axes, keepdims=True)) * k
    tolerance = {"rtol": 1e-4, "atol": 5e-5} if dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-9}
    np.testing.assert_allclose(mean, wide.mean(axes, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(rstd, k, rtol=1e-4)
    np.testing.assert_allclose(out, hat * weight + bias if affine else hat, **tolerance)

    for wants in [(True, True, True), (True, False, False), (False, True, False), (False, False, True)]:

        def backward(b, g_, x_, weight_, mean_, rstd_, wants=wants):
            shapes = shape, shape[split:], shape[split:]
            outputs = [b.output(x_.spec.dtype, s) if wanted else None for s, wanted in zip(shapes, wants, strict=True)]
            plan_layer_norm_backward(b, g_, x_, weight_, mean_, rstd_, *outputs, normalized=normalized)

        got = run(backward, g, x, weight, mean, rstd, counts=(1, 2, 3))
        h = g * weight if affine else g.astype(np.float64)
        grad_x = k * (h - h.mean(axes, keepdims=True) - hat * (h * hat).mean(axes, keepdims=True))
        outer = tuple(range(split))
        every = [grad_x, (g * hat).sum(outer), g.astype(np.float64).sum(outer)]
        expected = [e for e, wanted in zip(every, wants, strict=True) if wanted]
        for a, e in zip(got, expected, strict=True):
            scale = 1 + np.abs(e).max(initial=0)
            np.testing.assert_allclose(a, e, rtol=tolerance["rtol"], atol=tolerance["atol"] * scale)
