"""Memory-bound ops: elementwise, reductions, norms, pooling, copies, optimizers; float32, large enough to be work."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from benchmarks import common

BUSY = 0.004  # seconds that one measurement takes, roughly


def numgrad_side(threads: int) -> Callable[..., Any]:
    """The cases in numgrad."""
    import numgrad as ng
    from numgrad import nn, optim

    if threads:
        ng.set_num_threads(threads)
    return _job(ng, nn.functional, optim, "channels_last")


def torch_side(threads: int) -> Callable[..., Any]:
    """The cases in torch."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    return _job(torch, torch.nn.functional, torch.optim, torch.channels_last)


def _cases(lib: Any, functional: Any, optim: Any, channels_last: Any) -> dict[str, Callable[[], Any]]:
    """The cases, written once: both libraries have the same names. A million elements, or about."""
    lib.manual_seed(0)
    line, other = lib.randn(1 << 20), lib.randn(1 << 20)
    square, matrix, row = lib.randn(1024, 1024), lib.randn(4096, 256), lib.randn(256)
    long, positive = lib.randn(1 << 21), lib.rand(1 << 20) + 0.1
    images = lib.randn(8, 32, 64, 64)
    last = images.contiguous(memory_format=channels_last)
    logits, labels = lib.randn(1024, 1000), lib.randint(0, 1000, (1024,))
    table, words = lib.randn(10000, 128), lib.randint(0, 10000, (8192,))
    pixels, classes = lib.randn(8, 21, 64, 64), lib.randint(0, 21, (8, 64, 64))
    scale, shift = lib.ones(256), lib.zeros(256)
    gain, offset, mean, variance = lib.ones(32), lib.zeros(32), lib.zeros(32), lib.ones(32)
    parameters = [lib.randn(512, 512).requires_grad_(True) for _ in range(8)]
    for parameter in parameters:
        parameter.grad = lib.randn(512, 512)
    sgd, adamw = optim.SGD(parameters, lr=1e-3, momentum=0.9), optim.AdamW(parameters, lr=1e-3)

    def both_ways(function: Callable[..., Any], *inputs: Any) -> Callable[[], Any]:
        """Forward and backward."""
        leaves = [x.detach().requires_grad_(True) for x in inputs]
        grad = function(*leaves).detach() * 1
        return lambda: lib.autograd.grad(function(*leaves), leaves, [grad] if grad.ndim else None)

    def normed(x: Any, weight: Any, bias: Any) -> Any:
        return functional.batch_norm(x, mean, variance, weight, bias, training=True)

    return {
        "relu": lambda: functional.relu(line),
        "add_, in place": lambda: positive.add_(other),
        "exp": lambda: lib.exp(line),
        "sin": lambda: lib.sin(line),
        "gelu, forward + backward": both_ways(functional.gelu, line),
        "leaky_relu, forward + backward": both_ways(functional.leaky_relu, line),
        "add a row, forward + backward": both_ways(lambda x, y: x + y, matrix, row),
        "add with steps of 2": lambda: long[::2] + long[1::2],
        "sum": line.sum,
        "sum over dim 0": lambda: square.sum(0),
        "sum of rows of 16": lambda: line.reshape(-1, 16).sum(1),
        "var": line.var,
        "softmax, forward + backward": both_ways(lambda x: functional.softmax(x, -1), square),
        "log_softmax": lambda: functional.log_softmax(square, -1),
        "cross_entropy, forward + backward": both_ways(lambda x: functional.cross_entropy(x, labels), logits),
        "cross_entropy of pixels, forward + backward": both_ways(
            lambda x: functional.cross_entropy(x, classes), pixels
        ),
        "layer_norm, forward + backward": both_ways(
            lambda x, w, b: functional.layer_norm(x, (256,), w, b), matrix, scale, shift
        ),
        "batch_norm, forward + backward": both_ways(normed, images, gain, offset),
        "batch_norm, channels last, forward + backward": both_ways(normed, last, gain, offset),
        "max_pool2d 3, stride 2, forward + backward": both_ways(lambda x: functional.max_pool2d(x, 3, 2, 1), images),
        "max_pool2d, channels last, forward + backward": both_ways(lambda x: functional.max_pool2d(x, 3, 2, 1), last),
        "avg_pool2d 2, forward + backward": both_ways(lambda x: functional.avg_pool2d(x, 2), images),
        "dropout": lambda: functional.dropout(line, 0.1),
        "embedding, forward + backward": both_ways(lambda x: functional.embedding(words, x), table),
        "cat along dim 1": lambda: lib.cat([square, square], 1),
        "transpose, copied": lambda: square.t().contiguous(),
        "images to channels last": lambda: images.contiguous(memory_format=channels_last),
        "SGD with momentum, step of 2 M parameters": sgd.step,
        "AdamW, step of 2 M parameters": adamw.step,
    }


def _job(lib: Any, functional: Any, optim: Any, channels_last: Any) -> Callable[..., Any]:
    cases = _cases(lib, functional, optim, channels_last)
    counts = {}
    for name, action in cases.items():
        action()
        seconds = common.median_seconds(action, 3)
        counts[name] = max(1, math.ceil(BUSY / max(seconds, 1e-7)))
    return lambda repeats: {
        name: common.median_seconds(action, repeats, counts[name]) for name, action in cases.items()
    }


def main() -> int:
    """Print the table."""
    return common.compare_cases("benchmarks.memory", __doc__, digits=0, repeats=5, rounds=5)


if __name__ == "__main__":
    sys.exit(main())
