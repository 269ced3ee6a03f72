"""Writing elements where an index tensor says: `scatter`, and what several values at one place are reduced to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.errors import ShapeError
from numgrad.kernels.scatter import LARGEST, MULTIPLY, REPLACE, SMALLEST
from numgrad.ops import rules
from numgrad.ops.creation import cast, full, zeros_like
from numgrad.ops.elementwise import add, div, eq, mul, where
from numgrad.ops.index import gather, out_of_range, plan_scatter, scatter_add
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


def _plan(b: PlanBuilder, name: str, input: Operand, index: Operand, src: Operand, dim: int, way: int) -> None:
    if src.spec.dtype is not input.spec.dtype or tuple(src.spec.shape) != tuple(index.spec.shape):
        raise ShapeError(
            f"{name}: src is {src.spec}, expected index's shape {list(index.spec.shape)} of {input.spec.dtype}"
        )
    plan_scatter(b, name, input, index, src, dim, way)


def _places(index: np.ndarray, dim: int) -> tuple[Any, ...]:
    places: list[Any] = list(np.indices(index.shape))
    if places:
        places[dim] = index
    return tuple(places)


scatter = Op(
    "scatter",
    ("input", "index", "src"),
    {"dim": 0},
    saves=("index",),
    graph_inputs=(0, 2),
    doc="input, with src[i][j][k] written to [i][index[i][j][k]][k] for dim 1, and so on; the last of several wins.",
)
scatter.on_status(out_of_range)


@scatter.plan
def _(b: PlanBuilder, input: Operand, index: Operand, src: Operand, dim: int) -> None:
    _plan(b, "scatter", input, index, src, dim, REPLACE)


@scatter.backward
def _(ctx, grad):
    (index,), dim = ctx.saved, ctx.params.dim
    to_input = None
    if ctx.needs[0]:
        zeros = full(size=tuple(index._spec.shape), value=0.0, dtype=grad.dtype)
        to_input = scatter(grad, index, zeros, dim=dim)
    return to_input, None, gather(grad, index, dim=dim) if ctx.needs[2] else None


scatter.linear_in("input", "src")
scatter.batch(rules.along_dim)


@scatter.oracle
def _(x, index, src, dim):
    out = x.copy()
    out[_places(index, dim)] = src
    return out


Slope = Callable[[Any, Any, Any, Any, int], Any]


def _reduced(name: str, way: int, ufunc: Any, of_input: Slope, of_src: Slope, doc: str) -> Op:
    """An op whose derivatives are products: by the input's element, and by each value that went to its place."""
    op = Op(
        name,
        ("input", "index", "src"),
        {"dim": 0},
        saves=("input", "index", "src", "out"),
        graph_inputs=(0, 2),
        node_name="ScatterReduceBackward0",
        doc=doc,
    )
    op.on_status(out_of_range)

    @op.plan
    def _(b: PlanBuilder, input: Operand, index: Operand, src: Operand, dim: int) -> None:
        _plan(b, name, input, index, src, dim, way)

    @op.backward
    def _(ctx, grad):
        x, index, src, out = ctx.saved
        dim = ctx.params.dim
        to_input = mul(grad, of_input(x, index, src, out, dim)) if ctx.needs[0] else None
        if not ctx.needs[2]:
            return to_input, None, None
        return to_input, None, mul(gather(grad, index, dim=dim), of_src(x, index, src, out, dim))

    @op.jvp
    def _(ctx, to_input, _, to_src):
        (x, index, src), (out,), dim = ctx.inputs, ctx.outputs, ctx.params.dim
        tangent = None if to_input is None else mul(to_input, of_input(x, index, src, out, dim))
        if to_src is None:
            return tangent
        to_src = mul(to_src, of_src(x, index, src, out, dim))
        return rules.added(tangent, scatter_add(zeros_like(x), index, to_src, dim=dim))

    op.batch(rules.along_dim)

    @op.oracle
    def _(x, index, src, dim):
        out = x.copy()
        ufunc.at(out, _places(index, dim), src)
        return out

    return op


def _others_of_input(x: Any, index: Any, src: Any, out: Any, dim: int) -> Any:
    """The product of the values that went to each place."""
    factors = where(eq(x, 0.0), 1.0, x)
    return div(scatter_prod(factors, index, src, dim=dim), factors)


def _others_of_src(x: Any, index: Any, src: Any, out: Any, dim: int) -> Any:
    """The product of the others at each value's place: the whole by the value; for the only 0 that without it.

    Where two values of one place are 0, the first derivatives are right, and the second ones 0.
    """
    dtype = x._spec.dtype
    is_zero = eq(src, 0.0)
    factors, own = where(is_zero, 1.0, src), cast(is_zero, dtype=dtype)
    zeros = gather(scatter_add(zeros_like(x), index, own, dim=dim), index, dim=dim)
    without = gather(scatter_prod(x, index, factors, dim=dim), index, dim=dim)
    return where(is_zero, where(eq(zeros, 1.0), without, 0.0), div(gather(out, index, dim=dim), factors))


def _share(x: Any, index: Any, src: Any, out: Any, dim: int) -> tuple[Any, Any, Any]:
    """Which elements and which values are the extreme, as 1 and 0, and how many they are at each place."""
    dtype = x._spec.dtype
    own = cast(eq(x, out), dtype=dtype)
    others = cast(eq(src, gather(out, index, dim=dim)), dtype=dtype)
    return own, others, add(own, scatter_add(zeros_like(x), index, others, dim=dim))


def _share_of_input(x: Any, index: Any, src: Any, out: Any, dim: int) -> Any:
    own, _, count = _share(x, index, src, out, dim)
    return div(own, where(eq(count, 0.0), 1.0, count))


def _share_of_src(x: Any, index: Any, src: Any, out: Any, dim: int) -> Any:
    _, others, count = _share(x, index, src, out, dim)
    return div(others, gather(where(eq(count, 0.0), 1.0, count), index, dim=dim))


scatter_prod = _reduced(
    "scatter_prod", MULTIPLY, np.multiply, _others_of_input, _others_of_src,
    "input, multiplied at [i][index[i][j][k]][k] by src[i][j][k] for dim 1, and so on.",
)  # fmt: skip
scatter_amax = _reduced(
    "scatter_amax", LARGEST, np.maximum, _share_of_input, _share_of_src,
    "The largest of input's element at [i][index[i][j][k]][k] and all src[i][j][k] that go there, for dim 1, and so on.",
)  # fmt: skip
scatter_amin = _reduced(
    "scatter_amin", SMALLEST, np.minimum, _share_of_input, _share_of_src,
    "The smallest of input's element at [i][index[i][j][k]][k] and all src[i][j][k] that go there, for dim 1, and so on.",
)  # fmt: skip
