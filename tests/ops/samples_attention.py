"""Rows of attention."""

from __future__ import annotations

import numpy as np

import numgrad as ng
from tests.ops.rows import Arrays, Rng, bad, good, normal, together

ROUGH = 20.0  # sums of products in another order than NumPy's

for label, causal, (b, h, rows, keys, inner, columns) in (
    ("plain", False, (2, 3, 5, 4, 3, 2)),
    ("causal", True, (1, 2, 5, 7, 2, 3)),
    ("causal, fewer keys", True, (2, 1, 6, 3, 4, 4)),
    ("one of each", True, (1, 1, 1, 1, 1, 1)),
    ("blocks", True, (1, 2, 131, 133, 17, 5)),
    ("more blocks", False, (2, 1, 261, 67, 16, 33)),
):
    shapes = (b, h, rows, inner), (b, h, keys, inner), (b, h, keys, columns)
    params = {"scale": 0.7, "causal": causal}
    good("attention", label, *(normal(*s) for s in shapes), params=params, small=rows < 20, tolerance=ROUGH)


def _saved(shapes: tuple[tuple[int, ...], ...], scale: float, causal: bool) -> together:
    """A gradient, the inputs of the forward, and what it would have saved."""

    def make(rng: Rng) -> Arrays:
        q, k, v = (rng.normal(size=shape) for shape in shapes)
        scores = scale * q @ k.swapaxes(2, 3)
        if causal:
            scores = np.where(np.tri(*scores.shape[2:], dtype=bool), scores, -np.inf)
        logs = np.log(np.exp(scores).sum(3))
        out = np.exp(scores - logs[..., None]) @ v
        return rng.normal(size=out.shape), q, k, v, out, logs

    return together(make)


for label, causal, shapes in (
    ("plain", False, ((2, 3, 5, 3), (2, 3, 4, 3), (2, 3, 4, 2))),
    ("causal", True, ((1, 2, 70, 9), (1, 2, 66, 9), (1, 2, 66, 17))),
):
    params = {"scale": 1.3, "causal": causal}
    good("attention_backward", label, _saved(shapes, 1.3, causal), params=params, tolerance=100, small=not causal)

bad(
    "attention",
    "shapes",
    normal(1, 2, 3, 4),
    normal(1, 2, 3, 5),
    normal(1, 2, 3, 4),
    error=RuntimeError,
    match=r"attention: query, key and value have shapes \[1, 2, 3, 4\], \[1, 2, 3, 5\]",
)
bad(
    "attention",
    "dtypes",
    normal(1, 2, 3, 4),
    lambda rng: rng.normal(size=(1, 2, 3, 4)).astype("float32"),
    normal(1, 2, 3, 4),
    error=RuntimeError,
    match="Expected query, key, and value to have the same dtype",
    call=ng.scaled_dot_product_attention,
)
bad(
    "attention_backward",
    "grad",
    normal(1, 2, 3, 5),
    *[normal(1, 2, 3, 4)] * 4,
    normal(1, 2, 3),
    error=RuntimeError,
    match="attention_backward: grad is",
)
