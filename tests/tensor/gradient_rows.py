"""Functions of several inputs, for the question which of their gradients require one; see `test_derivatives`."""

from __future__ import annotations

from typing import Any

import numpy as np

_rng = np.random.default_rng(0)


def _normal(*shape: int) -> np.ndarray:
    return np.asarray(_rng.normal(size=shape))


def _assigned(x: Any, row: Any) -> Any:
    x[0] = row
    return x


GRADIENTS: dict[str, Any] = {
    "mul": (lambda lib, f, a, b: a * b, _normal(3, 4), _normal(3, 4)),
    "div": (lambda lib, f, a, b: a / b, _normal(3, 4), _normal(3, 4)),
    "add": (lambda lib, f, a, b: a + b, _normal(3, 4), _normal(4)),
    "sub": (lambda lib, f, a, b: a - b, _normal(3, 4), _normal(3, 4)),
    "pow of a sum": (lambda lib, f, a, b: (a * a + 1) ** b, _normal(3, 4), _normal(3, 4)),
    "pow": (lambda lib, f, a, b: a**b, np.abs(_normal(3, 4)), _normal(3, 4)),
    "remainder": (lambda lib, f, a, b: lib.remainder(a, b), _normal(3, 4), _normal(3, 4)),
    "maximum": (lambda lib, f, a, b: lib.maximum(a, b), _normal(3, 4), _normal(3, 4)),
    "minimum": (lambda lib, f, a, b: lib.minimum(a, b), _normal(3, 4), _normal(3, 4)),
    "clamp low": (lambda lib, f, a, b: a.clamp(min=b), _normal(3, 4), _normal(3, 4)),
    "clamp high": (lambda lib, f, a, b: a.clamp(max=b), _normal(3, 4), _normal(3, 4)),
    "clamp": (lambda lib, f, a, b, c: a.clamp(b, c), _normal(3, 4), _normal(3, 4) - 1, _normal(3, 4) + 1),
    "where": (lambda lib, f, a, b: lib.where(lib.tensor([[True, False]] * 2), a, b), _normal(2, 2), _normal(2, 2)),
    "linear": (lambda lib, f, x, w, b: f.linear(x, w, b), _normal(3, 4), _normal(2, 4), _normal(2)),
    "linear of batches": (lambda lib, f, x, w, b: f.linear(x, w, b), _normal(2, 3, 4), _normal(2, 4), _normal(2)),
    "linear plain": (lambda lib, f, x, w: f.linear(x, w), _normal(3, 4), _normal(2, 4)),
    "mm": (lambda lib, f, x, w: x @ w, _normal(3, 4), _normal(4, 2)),
    "bmm": (lambda lib, f, x, w: x @ w, _normal(2, 3, 4), _normal(2, 4, 2)),
    "matrix and vector": (lambda lib, f, x, w: x @ w, _normal(3, 4), _normal(4)),
    "dot": (lambda lib, f, x, w: x @ w, _normal(4), _normal(4)),
    "conv2d": (lambda lib, f, x, w, b: f.conv2d(x, w, b), _normal(2, 2, 4, 4), _normal(3, 2, 2, 2), _normal(3)),
    "conv2d plain": (lambda lib, f, x, w: f.conv2d(x, w), _normal(2, 2, 4, 4), _normal(3, 2, 2, 2)),
    "conv2d grouped": (
        lambda lib, f, x, w, b: f.conv2d(x, w, b, groups=2),
        _normal(2, 2, 4, 4),
        _normal(4, 1, 2, 2),
        _normal(4),
    ),
    "batch_norm": (
        lambda lib, f, x, w, b: f.batch_norm(x, None, None, w, b, True),
        _normal(3, 4),
        _normal(4),
        _normal(4),
    ),
    "batch_norm eval": (
        lambda lib, f, x, w, b: f.batch_norm(x, lib.zeros(4, dtype=x.dtype), lib.ones(4, dtype=x.dtype), w, b),
        _normal(3, 4),
        _normal(4),
        _normal(4),
    ),
    "batch_norm eval of images": (
        lambda lib, f, x, w, b: f.batch_norm(x, lib.zeros(4, dtype=x.dtype), lib.ones(4, dtype=x.dtype), w, b),
        _normal(3, 4, 2, 2),
        _normal(4),
        _normal(4),
    ),
    "batch_norm eval plain": (
        lambda lib, f, x: f.batch_norm(x, lib.zeros(4, dtype=x.dtype), lib.ones(4, dtype=x.dtype)),
        _normal(3, 4),
    ),
    "layer_norm": (lambda lib, f, x, w, b: f.layer_norm(x, (4,), w, b), _normal(3, 4), _normal(4), _normal(4)),
    "group_norm": (lambda lib, f, x, w, b: f.group_norm(x, 2, w, b), _normal(3, 4), _normal(4), _normal(4)),
    "embedding": (lambda lib, f, w: f.embedding(lib.tensor([0, 1, 1]), w), _normal(3, 4)),
    "nll_loss": (lambda lib, f, x: f.nll_loss(x, lib.tensor([0, 1, 2])), _normal(3, 4)),
    "nll_loss weighted": (
        lambda lib, f, x: f.nll_loss(x, lib.tensor([0, 1, 2]), lib.ones(4, dtype=x.dtype)),
        _normal(3, 4),
    ),
    "nll_loss of images": (lambda lib, f, x: f.nll_loss(x, lib.zeros(2, 3, dtype=lib.int64)), _normal(2, 3, 3)),
    "cross_entropy": (lambda lib, f, x: f.cross_entropy(x, lib.tensor([0, 1, 2])), _normal(3, 4)),
    "cross_entropy soft": (lambda lib, f, x, t: f.cross_entropy(x, t), _normal(3, 4), np.abs(_normal(3, 4))),
    "mse_loss": (lambda lib, f, a, b: f.mse_loss(a, b), _normal(3, 4), _normal(3, 4)),
    "l1_loss": (lambda lib, f, a, b: f.l1_loss(a, b), _normal(3, 4), _normal(3, 4)),
    "huber_loss": (lambda lib, f, a, b: f.huber_loss(a, b), _normal(3, 4), _normal(3, 4)),
    "smooth_l1_loss": (lambda lib, f, a, b: f.smooth_l1_loss(a, b), _normal(3, 4), _normal(3, 4)),
    "bce_with_logits": (
        lambda lib, f, a, b: f.binary_cross_entropy_with_logits(a, b),
        _normal(3, 4),
        np.abs(_normal(3, 4)),
    ),
    "max_pool2d": (lambda lib, f, x: f.max_pool2d(x, 2), _normal(1, 2, 4, 4)),
    "avg_pool2d": (lambda lib, f, x: f.avg_pool2d(x, 2), _normal(1, 2, 4, 4)),
    "adaptive_avg_pool2d": (lambda lib, f, x: f.adaptive_avg_pool2d(x, 2), _normal(1, 2, 4, 4)),
    "adaptive_avg_pool2d to one": (lambda lib, f, x: f.adaptive_avg_pool2d(x, 1), _normal(1, 2, 4, 4)),
    "max_pool2d of an image": (lambda lib, f, x: f.max_pool2d(x, 2), _normal(2, 4, 4)),
    "index_put": (lambda lib, f, x, v: x.index_put((lib.tensor([0, 1]),), v), _normal(3, 4), _normal(2, 4)),
    "scatter_add": (
        lambda lib, f, x, v: x.scatter_add(1, lib.tensor([[0, 1], [1, 1], [2, 3]]), v),
        _normal(3, 4),
        _normal(3, 2),
    ),
    "gather": (lambda lib, f, x: lib.gather(x, 1, lib.tensor([[0, 1], [1, 1], [2, 3]])), _normal(3, 4)),
    "index": (lambda lib, f, x: x[lib.tensor([0, 0, 1])], _normal(3, 4)),
    "mask": (lambda lib, f, x: x[x.detach() > 0], _normal(3, 4)),
    "index_select": (lambda lib, f, x: lib.index_select(x, 0, lib.tensor([0, 1])), _normal(3, 4)),
    "cat": (lambda lib, f, a, b: lib.cat([a, b]), _normal(3, 4), _normal(3, 4)),
    "stack": (lambda lib, f, a, b: lib.stack([a, b]), _normal(3, 4), _normal(3, 4)),
    "copy_": (lambda lib, f, a, b: (a * 1).copy_(b), _normal(3, 4), _normal(3, 4)),
    "setitem": (lambda lib, f, a, b: _assigned(a * 1, b), _normal(3, 4), _normal(4)),
    "masked_fill": (lambda lib, f, a: a.masked_fill(a > 0, 1.0), _normal(3, 4)),
    "pad": (lambda lib, f, a: f.pad(a, (1, 1)), _normal(3, 4)),
    "dropout": (lambda lib, f, a: f.dropout(a, 0.5), _normal(3, 4)),
    "leaky_relu": (lambda lib, f, a: f.leaky_relu(a), _normal(3, 4)),
    "relu": (lambda lib, f, a: f.relu(a), _normal(3, 4)),
    "elu": (lambda lib, f, a: f.elu(a), _normal(3, 4)),
    "softmax": (lambda lib, f, a: f.softmax(a, 1), _normal(3, 4)),
    "prod": (lambda lib, f, a: a.prod(1), _normal(3, 4)),
    "amax": (lambda lib, f, a: lib.amax(a, 1), _normal(3, 4)),
    "max": (lambda lib, f, a: a.max(), _normal(3, 4)),
    "max along a dim": (lambda lib, f, a: a.max(1)[0], _normal(3, 4)),
    "norm1": (lambda lib, f, a: lib.norm(a, 1), _normal(3, 4)),
    "norminf": (lambda lib, f, a: lib.norm(a, float("inf")), _normal(3, 4)),
    "abs": (lambda lib, f, a: a.abs(), _normal(3, 4)),
    "normalize1": (lambda lib, f, a: f.normalize(a, 1), _normal(3, 4)),
    "var": (lambda lib, f, a: a.var(), _normal(3, 4)),
    "std": (lambda lib, f, a: a.std(1), _normal(3, 4)),
    "mean": (lambda lib, f, a: a.mean(), _normal(3, 4)),
    "fill_": (lambda lib, f, a: (a * 1).fill_(2.0) * a, _normal(3)),
    "relu_": (lambda lib, f, a: (a * 1).relu_(), _normal(3)),
    "clamp_": (lambda lib, f, a: (a * 1).clamp_(0.0, 1.0), _normal(3)),
    "mul_": (lambda lib, f, a, b: (a * 1).mul_(b), _normal(3), _normal(3)),
    "softplus": (lambda lib, f, a: f.softplus(a), _normal(3)),
    "sign": (lambda lib, f, a: lib.sign(a), _normal(3)),
    "floor": (lambda lib, f, a: lib.floor(a), _normal(3)),
    "sqrt": (lambda lib, f, a: lib.sqrt(a), np.abs(_normal(3))),
    "pow 0": (lambda lib, f, a: a**0, _normal(3)),
    "pow 1": (lambda lib, f, a: a**1, _normal(3)),
}
