"""What batching rules are written with."""

from __future__ import annotations

from typing import Any

from numgrad.ops.creation import cast, zeros_like
from numgrad.ops.elementwise import add, lt, mul
from numgrad.ops.joining import cat
from numgrad.ops.random import bernoulli, dropout, randperm, uniform
from numgrad.ops.view import expand, reshape, unsqueeze, view
from numgrad.registry import Op


class Batch:
    """One application of an op to many examples.

    Attributes
    ----------
    size
        The number of examples.
    flags
        For each input whether it is batched: its dimension 0 counts the examples then.
    """

    def __init__(self, op: Op, size: int, flags: tuple[bool, ...]) -> None:
        self.op, self.size, self.flags = op, size, flags

    def all(self, *values: Any) -> tuple[Any, ...]:
        """The first inputs with the examples in dimension 0; what is the same for all is repeated without a copy."""
        return tuple(
            value if flag or value is None else repeated(value, self.size)
            for value, flag in zip(values, self.flags, strict=False)
        )

    def only(self, *places: int) -> bool:
        """Whether no input but these is batched."""
        return not any(flag for place, flag in enumerate(self.flags) if place not in places)


def repeated(value: Any, size: int) -> Any:
    """The tensor ``size`` times in a new dimension 0, without a copy."""
    return expand(unsqueeze(value, dim=0), size=(size, *value._spec.shape))


def folded(value: Any) -> Any:
    """[B, N, ...] as [B * N, ...]."""
    b, n, *rest = value._spec.shape
    return reshape(value, (b * n, *rest))


def unfolded(value: Any, size: int) -> Any:
    """[B * N, ...] as [B, N, ...]."""
    n, *rest = value._spec.shape
    return reshape(value, (size, n // size if size else 0, *rest))


def elementwise(batch: Batch, *values: Any, apply: bool = True, **params: Any) -> Any:
    """The rule of elementwise ops: the dimensions that broadcasting would add stand behind that of the examples."""
    ranks = [0 if v is None else v._spec.ndim - flag for v, flag in zip(values, batch.flags, strict=True)]
    most = max(ranks)
    laid = []
    for value, flag, rank in zip(values, batch.flags, ranks, strict=True):
        if flag and rank < most:
            shape = tuple(value._spec.shape)
            value = view(value, size=(shape[0], *(1,) * (most - rank), *shape[1:]))
        laid.append(value)
    return batch.op(*laid, **params) if apply else laid


# ---- random numbers ---------------------------------------------------------------------------------------------


def draw_different(op: Op, size: int, examples: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Numbers for each example of their own."""
    if op in (bernoulli, dropout):
        first = repeated(inputs[0], size) if examples is None else examples
        return op(first, *inputs[1:], **params)
    if op is randperm:
        return cat(*[unsqueeze(op(*inputs, **params), dim=0) for _ in range(size)], dim=0)
    return op(*inputs, **{**params, "size": (size, *params["size"])})


def draw_same(op: Op, examples: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """One draw for all examples, which differ in the values that it is applied to."""
    state = inputs[1]
    shape = tuple(examples._spec.shape[1:])
    dtype = examples._spec.dtype
    if op is dropout:
        one = reshape(add(zeros_like(_first(examples)), 1.0), shape)
        return mul(examples, dropout(one, state, **params))
    drawn = uniform(state, size=shape, low=0.0, high=1.0, dtype=dtype)
    return cast(lt(drawn, examples), dtype=dtype)


def _first(examples: Any) -> Any:
    from numgrad.ops.view import narrow

    return narrow(examples, 0, 0, 1)


__all__ = ["Batch", "draw_different", "draw_same", "elementwise", "folded", "repeated", "unfolded"]
