"""The steps of `benchmarks.replay` as pure functions of JAX: (weights, states, x, y) to (weights, states, loss)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp

Tree = Any


def step_of(case: str, arrays: Callable[..., Any]) -> tuple[Tree, Tree, Callable[..., Any]]:
    """Weights and states, and the step."""
    if case in ("mlp_small", "mlp"):
        sizes = (2, 16, 16, 1) if case == "mlp_small" else (784, 256, 10)
        shapes = {}
        for number, (before, after) in enumerate(pairwise(sizes)):
            shapes |= {f"{2 * number}.weight": (after, before), f"{2 * number}.bias": (after,)}
        loss = _squared if case == "mlp_small" else _cross_entropy
        weights = arrays(shapes)
        return weights, jax.tree.map(jnp.zeros_like, weights), _sgd(lambda w, x, y: loss(_perceptron(w, x), y), 1e-3)
    if case == "transformer":
        weights = arrays(_block_shapes(256))
        moments = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
        return weights, [*moments, jnp.zeros(())], _adamw(lambda w, x, y: _squared(_block(w, x, 4), y))
    weights = arrays(_resnet_shapes())
    running = {name: array for name, array in weights.items() if "running" in name}
    weights = {name: array for name, array in weights.items() if "running" not in name}
    return weights, (jax.tree.map(jnp.zeros_like, weights), running), _resnet_step


def _sgd(loss_of: Callable[..., Any], lr: float) -> Callable[..., Any]:
    def step(weights: Tree, states: Tree, x: Any, y: Any) -> tuple[Tree, Tree, Any]:
        loss, grads = jax.value_and_grad(loss_of)(weights, x, y)
        states = jax.tree.map(lambda state, grad: 0.9 * state + grad, states, grads)
        return jax.tree.map(lambda weight, state: weight - lr * state, weights, states), states, loss

    return step


def _adamw(loss_of: Callable[..., Any], lr: float = 1e-4, decay: float = 1e-2) -> Callable[..., Any]:
    def step(weights: Tree, states: Tree, x: Any, y: Any) -> tuple[Tree, Tree, Any]:
        loss, grads = jax.value_and_grad(loss_of)(weights, x, y)
        first, second, count = states
        count = count + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, grads)

        def moved(w: Any, m: Any, v: Any) -> Any:
            root = jnp.sqrt(v / (1 - 0.999**count)) + 1e-8
            return w * (1 - lr * decay) - lr / (1 - 0.9**count) * m / root

        return jax.tree.map(moved, weights, first, second), [first, second, count], loss

    return step


def _squared(predicted: Any, wanted: Any) -> Any:
    return ((predicted - wanted) ** 2).mean()


def _cross_entropy(logits: Any, labels: Any) -> Any:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


def _perceptron(weights: Tree, x: Any) -> Any:
    count = len(weights) // 2
    for number in range(count):
        x = x @ weights[f"{2 * number}.weight"].T + weights[f"{2 * number}.bias"]
        x = jax.nn.relu(x) if number < count - 1 else x
    return x


# ---- the transformer block ---------------------------------------------------------------------------------------


def _block_shapes(width: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {f"norm{k}.{part}": (width,) for k in (1, 2) for part in ("weight", "bias")}
    for name, after, before in (
        ("in_proj", 3 * width, width), ("out_proj", width, width), ("mlp.0", 4 * width, width), ("mlp.2", width, 4 * width)
    ):  # fmt: skip
        shapes |= {f"{name}.weight": (after, before), f"{name}.bias": (after,)}
    return shapes


def _block(w: Tree, x: Any, heads: int) -> Any:
    def linear(x: Any, name: str) -> Any:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Any, name: str) -> Any:
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]

    batch, tokens, width = x.shape
    q, k, v = (
        linear(norm(x, "norm1"), "in_proj").reshape(batch, tokens, 3, heads, width // heads).transpose(2, 0, 1, 3, 4)
    )
    x = x + linear(jax.nn.dot_product_attention(q, k, v).reshape(batch, tokens, width), "out_proj")
    inner = jax.nn.gelu(linear(norm(x, "norm2"), "mlp.0"), approximate=False)
    return x + linear(inner, "mlp.2")


# ---- ResNet18 -----------------------------------------------------------------------------------------------------

_WIDTHS = (64, 128, 256, 512)


def _resnet_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7)}

    def norm(name: str, width: int) -> None:
        shapes.update({f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")})

    norm("bn1", 64)
    before = 64
    for layer, width in enumerate(_WIDTHS, 1):
        for number in (0, 1):
            name = f"layer{layer}.{number}"
            shapes[f"{name}.conv1.weight"] = (width, before, 3, 3)
            shapes[f"{name}.conv2.weight"] = (width, width, 3, 3)
            norm(f"{name}.bn1", width)
            norm(f"{name}.bn2", width)
            if before != width:
                shapes[f"{name}.downsample.0.weight"] = (width, before, 1, 1)
                norm(f"{name}.downsample.1", width)
            before = width
    return {**shapes, "fc.weight": (1000, 512), "fc.bias": (1000,)}


def _resnet(w: Tree, running: Tree, x: Any) -> tuple[Any, Tree]:
    running = dict(running)

    def conv(x: Any, name: str, stride: int, padding: int) -> Any:
        pads = [(padding, padding)] * 2
        numbers = ("NCHW", "OIHW", "NCHW")
        return jax.lax.conv_general_dilated(x, w[f"{name}.weight"], (stride, stride), pads, dimension_numbers=numbers)

    def norm(x: Any, name: str) -> Any:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
        count = x.size // x.shape[1]
        for part, now in (("running_mean", mean), ("running_var", variance * count / (count - 1))):
            running[f"{name}.{part}"] = 0.9 * running[f"{name}.{part}"] + 0.1 * jax.lax.stop_gradient(now)
        scale = jax.lax.rsqrt(variance + 1e-5) * w[f"{name}.weight"]
        return (x - mean[:, None, None]) * scale[:, None, None] + w[f"{name}.bias"][:, None, None]

    x = jax.nn.relu(norm(conv(x, "conv1", 2, 3), "bn1"))
    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 3, 3), (1, 1, 2, 2), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for layer in range(1, 5):
        for number in (0, 1):
            name, stride = f"layer{layer}.{number}", 2 if layer > 1 and number == 0 else 1
            out = jax.nn.relu(norm(conv(x, f"{name}.conv1", stride, 1), f"{name}.bn1"))
            out = norm(conv(out, f"{name}.conv2", 1, 1), f"{name}.bn2")
            if f"{name}.downsample.0.weight" in w:
                x = norm(conv(x, f"{name}.downsample.0", stride, 0), f"{name}.downsample.1")
            x = jax.nn.relu(out + x)
    return x.mean((2, 3)) @ w["fc.weight"].T + w["fc.bias"], running


def _resnet_step(weights: Tree, states: Tree, x: Any, y: Any) -> tuple[Tree, Tree, Any]:
    def loss_of(weights: Tree) -> tuple[Any, Tree]:
        predicted, running = _resnet(weights, states[1], x)
        return (predicted - y).sum(), running

    (loss, running), grads = jax.value_and_grad(loss_of, has_aux=True)(weights)
    momenta = jax.tree.map(lambda state, grad: 0.9 * state + grad, states[0], grads)
    return jax.tree.map(lambda weight, state: weight - 1e-6 * state, weights, momenta), (momenta, running), loss
