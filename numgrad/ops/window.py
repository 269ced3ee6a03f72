"""Windows on the memory of a base, for the histories of views that are changed in place; see `engine.views`."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.dtypes import int64
from numgrad.errors import ShapeError
from numgrad.kernels.fill import plan_fill
from numgrad.kernels.reduce import plan_reduce
from numgrad.layout import Spec, contiguous_strides, product, repeats_elements, spec_of
from numgrad.ops.layouts import plan_copy
from numgrad.ops.proofs import prove_int, prove_ints, prove_shapes
from numgrad.ops.view import reshape
from numgrad.registry import Op, find, is_wrapped
from numgrad.runtime.plan import Operand, PlanBuilder

_WINDOW: dict[str, Any] = {"size": (), "strides": (), "offset": 0}

as_strided = Op(
    "as_strided",
    ("input",),
    _WINDOW,
    doc="A window on the memory of a dense input: any shape and strides, from element ``offset`` of its memory on.",
)


@as_strided.plan
def _(b: PlanBuilder, input: Operand, size: Any, strides: Any, offset: int) -> None:
    if len(size) != len(strides):
        raise ShapeError(f"as_strided: size {list(size)} and strides {list(strides)} have different lengths")
    b.view(input, size, strides, offset)


@as_strided.backward
def _(ctx, grad):
    return _on_base(grad, ctx.input_specs[0], ctx.params)


def _on_base(grad: Any, base: Spec, window: Any) -> Any:
    """The gradient of a window, in zeros of the shape of its base."""
    size, strides = tuple(base.shape), base.strides
    if _may_overlap(window.size, window.strides):
        positions = _positions(window)
        count = product(window.size)
        flat = reshape(grad, (count,))
        span = find("index_select_backward")(flat, reshape(positions, (count,)), size=(base.extent,), dim=0)
        return as_strided(span, size=size, strides=strides, offset=0)
    if base.is_dense:
        return as_strided_backward(grad, base_size=size, base_strides=strides, **window._asdict())
    # Through all the memory that the base spans, the gaps between its elements included.
    span = as_strided_backward(grad, base_size=(base.extent,), base_strides=(1,), **window._asdict())
    return as_strided(span, size=size, strides=strides, offset=0)


def _may_overlap(size: Any, strides: Any) -> bool:
    """Whether an element may be seen at several places that are not one place repeated."""
    steps = [(extent, stride) for extent, stride in zip(size, strides, strict=True) if stride]
    return repeats_elements([extent for extent, _ in steps], [stride for _, stride in steps])


def _positions(window: Any) -> Any:
    """The places of a window's elements in the memory of its base."""
    total = find("full")(size=(), value=window.offset, dtype=int64)
    for axis, (extent, stride) in enumerate(zip(window.size, window.strides, strict=True)):
        line = find("arange")(start=0, step=max(stride, 1), count=extent, dtype=int64)
        line = line if stride else find("zeros_like")(line)
        total = find("add")(total, reshape(line, (extent, *(1,) * (len(window.size) - axis - 1))))
    return total


def _window_of(grad: Any, base: Spec, window: Any) -> Any:
    """The window of a gradient that has the shape of the base."""
    if base.is_dense:
        return as_strided(with_layout(grad, base.strides), **window._asdict())
    size = tuple(base.shape)
    span = as_strided_backward(
        grad, base_size=(base.extent,), base_strides=(1,), size=size, strides=base.strides, offset=0
    )
    return as_strided(span, **window._asdict())


def _windowed(flat: np.ndarray, size: Any, strides: Any, offset: int) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(flat[offset:], size, [s * flat.itemsize for s in strides])


as_strided.linear_in("input")


@as_strided.batch
def _(batch, x, size, strides, offset):
    if not x._spec.kind.is_exact:
        return NotImplemented
    step = product(x._spec.shape[1:])  # from one example's memory to the next
    return as_strided(x, size=(batch.size, *size), strides=(step, *strides), offset=offset)


@as_strided.oracle
def _(x, size, strides, offset):
    return _windowed(x.ravel(), size, strides, offset).copy()


as_strided_backward = Op(
    "as_strided_backward",
    ("grad",),
    {"base_size": (), "base_strides": (), **_WINDOW},
    doc="Zeros in the shape and layout of a base, with the gradient in the window; elements seen several times add up.",
)


@as_strided_backward.plan
def _(b: PlanBuilder, grad: Operand, base_size: Any, base_strides: Any, size: Any, strides: Any, offset: int) -> None:
    out = b.output(grad.spec.dtype, base_size, base_strides)
    if not out.spec.is_dense:
        raise ShapeError(f"as_strided: the base has strides {base_strides}, expected dense ones for a gradient")
    plan_fill(b, out, 0)
    prove_ints("as_strided", "strides", strides, len(prove_ints("as_strided", "size", size)))
    prove_int("as_strided", "offset", offset)
    prove_shapes("as_strided_backward", ("grad",), (grad,), size)
    if _may_overlap(size, strides):
        raise ShapeError(f"as_strided_backward: a window of strides {strides} and size {list(size)} may overlap itself")
    if grad.spec.numel == 0:
        return
    repeated = tuple(axis for axis, (n, s) in enumerate(zip(size, strides, strict=True)) if s == 0 and n > 1)
    kept = tuple(1 if axis in repeated else n for axis, n in enumerate(size))
    window = out.view(kept, strides, offset)
    if repeated:
        plan_reduce(b, "sum", grad, window, repeated)
    else:
        plan_copy(b, grad, window)


@as_strided_backward.backward
def _(ctx, grad):
    p = ctx.params
    return as_strided(with_layout(grad, p.base_strides), size=p.size, strides=p.strides, offset=p.offset)


as_strided_backward.linear_in("grad")


@as_strided_backward.batch
def _(batch, grad, base_size, base_strides, size, strides, offset):
    if base_strides != contiguous_strides(base_size):
        return NotImplemented
    step = product(base_size)
    base = {"base_size": (batch.size, *base_size), "base_strides": (step, *base_strides)}
    return as_strided_backward(grad, **base, size=(batch.size, *size), strides=(step, *strides), offset=offset)


@as_strided_backward.oracle
def _(grad, base_size, base_strides, size, strides, offset):
    flat = np.zeros(product(base_size), grad.dtype)
    places = _windowed(np.arange(flat.size), size, strides, offset)
    np.add.at(flat, places.ravel(), grad.ravel())
    return _windowed(flat, base_size, base_strides, 0).copy()


def with_layout(tensor: Any, strides: tuple[int, ...]) -> Any:
    """The tensor, copied if need be, with these dense strides, private or not: windows are cut out of it."""
    target = spec_of(tensor._spec.dtype, tensor._spec.shape, strides)
    same = target.is_private == tensor._spec.is_private and target.lies_like(tensor._spec)
    return tensor if same else find("to_strides")(tensor, strides=strides)


copy_slices = Op(
    "copy_slices",
    ("base", "window"),
    _WINDOW,
    node_name="CopySlices",
    aliases=True,
    doc="The base after a change in place of a window, which keeps a history of its own.",
)


@copy_slices.plan
def _(b: PlanBuilder, base: Operand, window: Operand, size: Any, strides: Any, offset: int) -> None:
    prove_int("copy_slices", "offset", offset)
    base.view(size, strides, offset)  # proves that the window lies in the base
    prove_shapes("copy_slices", ("window",), (window,), size)
    b.alias(base)


@copy_slices.backward
def _(ctx, grad):
    base = ctx.input_specs[0]
    inside = _window_of(grad, base, ctx.params)
    outside = _without_window(grad, inside, base, ctx) if ctx.needs[0] else None
    return outside, inside if ctx.needs[1] else None


def _without_window(grad: Any, inside: Any, base: Spec, ctx: Any) -> Any:
    """A gradient with zeros in the window of its base; not by subtraction, since NaN minus NaN is NaN."""
    if base.is_dense and not ctx.create_graph and not is_wrapped():
        laid = with_layout(grad, base.strides)
        outside = find("clone")(laid) if laid._storage is grad._storage else laid
        find("copy_")(as_strided(outside, **ctx.params._asdict()), 0)
        return outside
    ones = find("add")(find("zeros_like")(inside), 1)
    return find("where")(find("eq")(_on_base(ones, base, ctx.params), 0), grad, 0)


@copy_slices.oracle
def _(base, window, size, strides, offset):
    flat = base.ravel().copy()
    _windowed(flat, size, strides, offset)[...] = window
    return flat.reshape(base.shape)
