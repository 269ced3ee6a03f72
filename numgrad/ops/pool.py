"""Max pooling over windows in two and three dimensions, of [N, C, H, W] and [N, C, D, H, W].

The result of images has the input's layout: channels last or row-major.
"""

from __future__ import annotations

from itertools import product as combinations
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.pool import plan_max_pool
from numgrad.kernels.pool_backward import plan_max_pool_backward
from numgrad.kernels.windows import Window
from numgrad.layout import contiguous_strides, product, spec_of, strides_like
from numgrad.ops import rules
from numgrad.ops.index import gather
from numgrad.ops.layouts import check_floating, with_strides
from numgrad.ops.proofs import prove_dtype, prove_ints, prove_shapes
from numgrad.ops.view import reshape
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

_LARGEST = (1 << 31) - 1  # extent of a window, as in torch


def window_params(ndim: int) -> dict[str, Any]:
    """The parameters that say what a window of so many dimensions is."""
    return {"kernel_size": (1,) * ndim, "stride": (1,) * ndim, "padding": (0,) * ndim}


def pooled_strides(spec: Any, ndim: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a result, or of an input as kernels read it: images are channels last if ``spec`` is, all else is row-major."""
    return strides_like(spec, shape) if ndim == 2 and len(shape) == spec.ndim else contiguous_strides(shape)


def as_read(b: PlanBuilder, x: Operand, ndim: int) -> Operand:
    """The operand, or a copy, in a layout that kernels read."""
    shape = tuple(x.spec.shape)
    return with_strides(b, x, pooled_strides(x.spec, ndim, shape))


def window_of(
    name: str, spec: Any, ndim: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any = None
) -> Window:
    """The proved window; the texts of errors are torch's."""
    dilation = (1,) * ndim if dilation is None else dilation
    if spec.ndim not in (ndim + 1, ndim + 2) or 0 in spec.shape[-ndim - 1 :]:
        raise ShapeError(
            f"{name}: Expected {ndim + 1}D or {ndim + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got: "
            f"{list(spec.shape)}"
        )
    for word, pair in (
        ("kernel_size", kernel_size),
        ("stride", stride),
        ("padding", padding),
        ("dilation", dilation),
    ):
        if max(prove_ints(name, word, pair, ndim)) > _LARGEST:
            raise ShapeError(f"{name}: integer out of range: {word} is {pair}, expected at most {_LARGEST}")
    if min(kernel_size) < 1 or min(stride) < 1 or min(dilation) < 1:
        raise ShapeError(
            f"{name}: kernel_size {kernel_size}, stride {stride} and dilation {dilation} must be greater than zero"
        )
    if any(p < 0 or p > k // 2 for p, k in zip(padding, kernel_size, strict=True)):
        raise ShapeError(
            f"{name}: pad should be at most half of effective kernel size and not negative, but got pad={padding}, "
            f"kernel_size={kernel_size}"
        )
    return Window(kernel_size, stride, padding, dilation)


def size_of(name: str, size: Any, ndim: int) -> tuple[int, ...]:
    """The proved shape of images or volumes."""
    alone = isinstance(size, tuple) and len(size) == ndim + 1
    return prove_ints(name, "size", size, ndim + 1 if alone else ndim + 2, 0)


def refuse_dtypes(name: str, dtype: dtypes.dtype, refused: bool) -> None:
    """Raise torch's error for a dtype that an op does not take, if it is ``refused``."""
    if refused:
        raise DtypeError(f"\"{name}\" not implemented for '{dtype.torch_name}'; convert with .float() first")


def pooled_shape(name: str, spec: Any, window: Window, ceil_mode: bool) -> tuple[int, ...]:
    """The shape of the result of pooling [N, C, *extents] or [C, *extents]."""
    ndim = len(window.kernel_size)
    extents = window.output_extents(tuple(spec.shape[-ndim:]), ceil_mode)
    if min(extents) < 1:
        before, after = ("x".join(map(str, (spec.shape[-ndim - 1], *each))) for each in (spec.shape[-ndim:], extents))
        raise ShapeError(
            f"{name}: Given input size: ({before}). Calculated output size: ({after}). Output size is too small"
        )
    return (*spec.shape[:-ndim], *extents)


def flat(x: Any, ndim: int) -> Any:
    """[..., *extents] with the last ``ndim`` extents as one."""
    shape = tuple(x._spec.shape)
    lead = len(shape) - ndim
    return reshape(x, (*shape[:lead], product(shape[lead:])))


def taken(x: Any, indices: Any, ndim: int) -> Any:
    """The elements of volumes at row-major positions in each."""
    shape = tuple(indices._spec.shape)
    return reshape(gather(flat(x, ndim), flat(indices, ndim), dim=len(shape) - ndim), shape)


def values_of_taps(x: np.ndarray, window: Window, shape: tuple[int, ...], fill: float) -> np.ndarray:
    """The values under each tap [N, C, *outputs, taps]; ``fill`` beyond the edges."""
    far = [
        max(0, (out - 1) * step + dilation * (size - 1) + 1 - extent - pad)
        for out, extent, (size, step, pad, dilation) in zip(shape[2:], x.shape[2:], window.axes, strict=True)
    ]
    around = [(pad, end) for pad, end in zip(window.padding, far, strict=True)]
    padded = np.pad(x, ((0, 0), (0, 0), *around), constant_values=fill)
    taps = []
    for places in combinations(*map(range, window.kernel_size)):
        cut = [
            slice(i * axis.dilation, i * axis.dilation + (out - 1) * axis.step + 1, axis.step)
            for i, out, axis in zip(places, shape[2:], window.axes, strict=True)
        ]
        taps.append(padded[(slice(None), slice(None), *cut)])
    return np.stack(taps, -1)


class _Shape:
    """The part of a spec that `pooled_shape` reads, for arrays."""

    def __init__(self, array: np.ndarray) -> None:
        self.shape, self.ndim = array.shape, array.ndim


def oracle_shape(name: str, x: np.ndarray, window: Window, ceil_mode: bool) -> tuple[int, ...]:
    """`pooled_shape` of an array."""
    return pooled_shape(name, _Shape(x), window, ceil_mode)


def _of_windows(ndim: int) -> tuple[Op, Op, Op]:
    """Max pooling over ``ndim`` dimensions, its gradient, and the same without places."""
    name = f"max_pool{ndim}d"
    params = {**window_params(ndim), "dilation": (1,) * ndim}

    max_pool = Op(
        name,
        ("input",),
        {**params, "ceil_mode": False},
        outputs=("out", "indices"),
        public=2,
        saves=("indices",),
        node_name=f"MaxPool{ndim}DWithIndicesBackward0",
        doc="The largest value in each window, and its row-major index in the image or volume; NaN if there is one.",
    )

    def planned(b: PlanBuilder, x: Operand, ceil_mode: bool, window: Any) -> tuple[Operand, Any, tuple[int, ...]]:
        proved = window_of(name, x.spec, ndim, **window)
        return as_read(b, x, ndim), proved.record, pooled_shape(name, x.spec, proved, ceil_mode)

    @max_pool.plan
    def _(b: PlanBuilder, input: Operand, ceil_mode: bool, **window: Any) -> None:
        x, boxes, shape = planned(b, input, ceil_mode, window)
        refuse_dtypes(name, input.spec.dtype, input.spec.dtype.is_bool)
        strides = pooled_strides(input.spec, ndim, shape)
        out, indices = b.output(input.spec.dtype, shape, strides), b.output(dtypes.int64, shape, strides)
        plan_max_pool(b, x, out, indices, boxes, ndim)

    max_pool.cheap()

    @max_pool.backward
    def _(ctx, grad, _indices_grad=None):
        (indices,) = ctx.saved
        p = ctx.params
        window = {"kernel_size": p.kernel_size, "stride": p.stride, "padding": p.padding, "dilation": p.dilation}
        return max_pool_backward(grad, indices, size=tuple(ctx.input_specs[0].shape), **window)

    max_pool.tie(("input",), ("input",))

    @max_pool.jvp
    def _(ctx, tangent):
        return taken(tangent, ctx.outputs[1], ndim), None

    max_pool.batch(rules.of_images)

    @max_pool.oracle
    def _(x, ceil_mode, **window):
        proved = Window(**window)
        shape = oracle_shape(name, x, proved, ceil_mode)
        lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        values = values_of_taps(x, proved, shape, lowest)
        places = np.broadcast_to(np.arange(product(x.shape[2:])).reshape(1, 1, *x.shape[2:]), x.shape)
        chosen = values.argmax(-1)[..., None]
        where = np.take_along_axis(values_of_taps(places, proved, shape, -1), chosen, -1)[..., 0]
        return np.take_along_axis(values, chosen, -1)[..., 0], where

    max_pool_backward = Op(
        f"{name}_backward",
        ("grad", "indices"),
        {"size": (), **params},
        saves=("indices",),
        graph_inputs=(0,),
        doc=f"Gradient of `{name}` with respect to its input of shape ``size``: each value goes to the index of the largest one.",
    )

    @max_pool_backward.plan
    def _(b: PlanBuilder, grad: Operand, indices: Operand, size: Any, **window: Any) -> None:
        own = f"{name}_backward"
        out_spec = spec_of(grad.spec.dtype, size_of(own, size, ndim))
        proved = window_of(own, out_spec, ndim, **window)
        shapes = [pooled_shape(own, out_spec, proved, ceil_mode) for ceil_mode in (False, True)]
        shape = shapes[1] if tuple(grad.spec.shape) == shapes[1] else shapes[0]
        prove_shapes(own, ("grad", "indices"), (grad, indices), shape, shape)
        refuse_dtypes(own, grad.spec.dtype, grad.spec.dtype.is_bool)
        prove_dtype(own, "indices", indices, dtypes.int64)
        strides = pooled_strides(indices.spec, ndim, tuple(indices.spec.shape))
        out = b.output(grad.spec.dtype, size, pooled_strides(indices.spec, ndim, size))
        plan_max_pool_backward(
            b, with_strides(b, grad, strides), with_strides(b, indices, strides), out, ndim, proved.record
        )

    @max_pool_backward.backward
    def _(ctx, grad):
        return taken(grad, ctx.saved[0], ndim), None

    max_pool_backward.linear_in("grad")
    max_pool_backward.batch(rules.of_images)

    @max_pool_backward.oracle
    def _(grad, indices, size, **window):
        return scattered(grad, indices, size[2:])

    values = Op(
        f"{name}_values",
        ("input",),
        {**params, "ceil_mode": False},
        saves=("input",),
        doc=f"`{name}` without positions, for inputs whose gradient nobody asks for: it is found by pooling again.",
    )

    @values.plan
    def _(b: PlanBuilder, input: Operand, ceil_mode: bool, **window: Any) -> None:
        x, boxes, shape = planned(b, input, ceil_mode, window)
        check_floating(name, input)
        plan_max_pool(
            b, x, b.output(input.spec.dtype, shape, pooled_strides(input.spec, ndim, shape)), None, boxes, ndim
        )

    @values.backward
    def _(ctx, grad):
        (x,) = ctx.saved
        p = ctx.params._asdict()
        _, indices = max_pool(x, **p)
        del p["ceil_mode"]
        return max_pool_backward(grad, indices, size=tuple(ctx.input_specs[0].shape), **p)

    @values.jvp
    def _(ctx, tangent):
        (x,) = ctx.inputs
        return taken(tangent, max_pool(x, **ctx.params._asdict())[1], ndim)

    values.batch(rules.of_images)

    @values.oracle
    def _(x, **params):
        assert max_pool.oracle_function is not None
        return max_pool.oracle_function(x, **params)[0]

    return max_pool, max_pool_backward, values


def scattered(grad: np.ndarray, indices: np.ndarray, extents: tuple[int, ...]) -> np.ndarray:
    """Zeros [..., *extents] to which each value was added at its row-major index: the oracle of gradients of maxima."""
    lead = grad.shape[: grad.ndim - len(extents)]
    out = np.zeros((product(lead), product(extents)), grad.dtype)
    rows = np.arange(len(out))[:, None]
    np.add.at(out, (rows, indices.reshape(len(out), -1)), grad.reshape(len(out), -1))
    return out.reshape(*lead, *extents)


max_pool2d, max_pool2d_backward, max_pool2d_values = _of_windows(2)
max_pool3d, max_pool3d_backward, max_pool3d_values = _of_windows(3)
