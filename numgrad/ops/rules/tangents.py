"""Forward derivatives. Those of elementwise ops come from the scalar backward; a linear op is its own."""

from __future__ import annotations

from typing import Any

from numgrad.registry import Op, find


def linear(op: Op, inputs: tuple[Any, ...], params: Any, tangents: tuple[Any, ...]) -> Any:
    """The forward derivative of an op that is linear in groups of inputs; None if none of them has a tangent."""
    total = None
    for group in op.linear_groups:
        positions = range(len(inputs)) if op.variadic else [op.inputs.index(name) for name in group]
        if all(tangents[position] is None for position in positions):
            continue
        values = list(inputs)
        for position in positions:
            tangent = tangents[position]
            values[position] = find("zeros_like")(inputs[position]) if tangent is None else tangent
        total = added(total, op(*values, **params._asdict()))
    return total


def added(first: Any, second: Any) -> Any:
    """The sum of two tangents, each of which may be None."""
    return second if first is None else first if second is None else find("add")(first, second)


def normalized(x: Any, tangent: Any, dims: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    """The input with mean 0 and variance 1 over dims, and the tangent of that (or None)."""
    from numgrad.ops.elementwise import add, mul, rsqrt, square, sub
    from numgrad.ops.reduce import mean

    centred = sub(x, mean(x, dims=dims, keepdim=True))
    scale = rsqrt(add(mean(square(centred), dims=dims, keepdim=True), eps))
    normed = mul(centred, scale)
    if tangent is None:
        return normed, None
    inner = sub(tangent, mean(tangent, dims=dims, keepdim=True))
    inner = sub(inner, mul(normed, mean(mul(tangent, normed), dims=dims, keepdim=True)))
    return normed, mul(scale, inner)


def affine(normed: Any, tangent: Any, weight: Any, to_weight: Any, to_bias: Any) -> Any:
    """The tangent of ``normed * weight + bias``; weight and bias in a form that broadcasts."""
    mul = find("mul")
    total = tangent if tangent is None or weight is None else mul(tangent, weight)
    total = added(total, None if to_weight is None else mul(normed, to_weight))
    return added(total, to_bias)
