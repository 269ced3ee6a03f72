"""Pooling in two dimensions, of [N, C, H, W]. The result has the input's layout: channels last or row-major."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.pool import (
    Window,
    plan_avg_pool2d,
    plan_avg_pool2d_backward,
    plan_max_pool2d,
    plan_max_pool2d_backward,
)
from numgrad.kernels.reduce import plan_reduce
from numgrad.layout import spec_of, strides_like
from numgrad.ops import rules
from numgrad.ops.index import gather
from numgrad.ops.layouts import with_strides
from numgrad.ops.proofs import prove_dtype, prove_int, prove_ints, prove_shapes
from numgrad.ops.view import reshape
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

_FARTHEST = (1 << 63) - 1
_LONG = 8  # columns of windows of one size from which their means are a reduction of rows
_LARGEST = (1 << 31) - 1  # extent of a window, as in torch
_WINDOW: dict[str, Any] = {"kernel_size": (1, 1), "stride": (1, 1), "padding": (0, 0)}


def window_of(name: str, spec: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any = (1, 1)) -> Window:
    """The proved window; the texts of errors are torch's."""
    if spec.ndim not in (3, 4) or 0 in spec.shape[-3:]:
        raise ShapeError(
            f"{name}: Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got: {list(spec.shape)}"
        )
    for word, pair in (
        ("kernel_size", kernel_size),
        ("stride", stride),
        ("padding", padding),
        ("dilation", dilation),
    ):
        if max(prove_ints(name, word, pair, 2)) > _LARGEST:
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


def _size(name: str, size: Any) -> tuple[int, ...]:
    """The proved shape of images."""
    return prove_ints(name, "size", size, 3 if isinstance(size, tuple) and len(size) == 3 else 4, 0)


def _refuse_dtypes(name: str, dtype: dtypes.dtype, refused: bool) -> None:
    if refused:
        raise DtypeError(f"\"{name}\" not implemented for '{dtype.torch_name}'; convert with .float() first")


def _refuse_average(name: str, dtype: dtypes.dtype, divisor: Any) -> None:
    _refuse_dtypes(name, dtype, not (dtype.is_floating_point or dtype is dtypes.int64))
    if divisor is not None and prove_int(name, "divisor_override", divisor, -_FARTHEST, _FARTHEST) == 0:
        raise ShapeError(f"{name}: divisor must be not zero")


def pooled_shape(name: str, spec: Any, window: Window, ceil_mode: bool) -> tuple[int, ...]:
    """The shape of the result of pooling [N, C, H, W] or [C, H, W]."""
    extents = window.output_extents(spec.shape[-2], spec.shape[-1], ceil_mode)
    if min(extents) < 1:
        c, h, w = spec.shape[-3:]
        raise ShapeError(
            f"{name}: Given input size: ({c}x{h}x{w}). Calculated output size: ({c}x{extents[0]}x{extents[1]}). Output size is "
            "too small"
        )
    return (*spec.shape[:-2], *extents)


# ---- max --------------------------------------------------------------------------------------------------------

max_pool2d = Op(
    "max_pool2d",
    ("input",),
    {**_WINDOW, "dilation": (1, 1), "ceil_mode": False},
    outputs=("out", "indices"),
    public=2,
    saves=("indices",),
    node_name="MaxPool2DWithIndicesBackward0",
    doc="The largest value in each window, and its row-major index in the image; NaN if there is one.",
)


@max_pool2d.plan
def _(
    b: PlanBuilder, input: Operand, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> None:
    spec = input.spec
    window = window_of("max_pool2d", spec, kernel_size, stride, padding, dilation)
    _refuse_dtypes("max_pool2d", spec.dtype, spec.dtype.is_bool)
    shape = pooled_shape("max_pool2d", spec, window, ceil_mode)
    strides = strides_like(spec, shape)
    out, indices = b.output(spec.dtype, shape, strides), b.output(dtypes.int64, shape, strides)
    plan_max_pool2d(b, with_strides(b, input, strides_like(spec, tuple(spec.shape))), out, indices, window)


max_pool2d.cheap()


@max_pool2d.backward
def _(ctx, grad, _indices_grad=None):
    (indices,) = ctx.saved
    p = ctx.params
    window = {"kernel_size": p.kernel_size, "stride": p.stride, "padding": p.padding, "dilation": p.dilation}
    return max_pool2d_backward(grad, indices, size=tuple(ctx.input_specs[0].shape), **window)


max_pool2d.tie(("input",), ("input",))


@max_pool2d.jvp
def _(ctx, tangent):
    return taken(tangent, ctx.outputs[1]), None


def taken(x: Any, indices: Any) -> Any:
    """The elements of images, or of their planes, at row-major positions in each."""
    shape = tuple(indices._spec.shape)
    flat = gather(_flat(x), _flat(indices), dim=len(shape) - 2)
    return reshape(flat, shape)


def _flat(x: Any) -> Any:
    """[..., H, W] as [..., H * W]."""
    *lead, h, w = x._spec.shape
    return reshape(x, (*lead, h * w))


max_pool2d.batch(rules.of_images)


def _taps(x: np.ndarray, window: Window, shape: tuple[int, ...], fill: float) -> np.ndarray:
    """The values under each tap [N, C, P, Q, R * S]; ``fill`` beyond the edges."""
    (r, s), (sh, sw), (ph, pw), (dh, dw) = window.kernel_size, window.stride, window.padding, window.dilation
    rows, columns = shape[2], shape[3]
    room = ((rows - 1) * sh + dh * (r - 1) + 1, (columns - 1) * sw + dw * (s - 1) + 1)
    far = [max(0, room[axis] - x.shape[2 + axis] - (ph, pw)[axis]) for axis in range(2)]
    padded = np.pad(x, ((0, 0), (0, 0), (ph, far[0]), (pw, far[1])), constant_values=fill)
    taps = [
        padded[:, :, i * dh : i * dh + (rows - 1) * sh + 1 : sh, j * dw : j * dw + (columns - 1) * sw + 1 : sw]
        for i in range(r)
        for j in range(s)
    ]
    return np.stack(taps, -1)


class _Shape:
    """The part of a spec that `_pooled_shape` reads, for arrays."""

    def __init__(self, array: np.ndarray) -> None:
        self.shape, self.ndim = array.shape, array.ndim


@max_pool2d.oracle
def _(x, kernel_size, stride, padding, dilation, ceil_mode):
    window = Window(kernel_size, stride, padding, dilation)
    shape = pooled_shape("max_pool2d", _Shape(x), window, ceil_mode)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    values = _taps(x, window, shape, lowest)
    places = np.broadcast_to(np.arange(x.shape[2] * x.shape[3]).reshape(1, 1, *x.shape[2:]), x.shape)
    chosen = values.argmax(-1)[..., None]
    where = np.take_along_axis(_taps(places, window, shape, -1), chosen, -1)[..., 0]
    return np.take_along_axis(values, chosen, -1)[..., 0], where


max_pool2d_backward = Op(
    "max_pool2d_backward",
    ("grad", "indices"),
    {"size": (), **_WINDOW, "dilation": (1, 1)},
    saves=("indices",),
    graph_inputs=(0,),
    doc="Gradient of `max_pool2d` with respect to its input of shape ``size``: each value goes to the index of the largest one.",
)


@max_pool2d_backward.plan
def _(
    b: PlanBuilder,
    grad: Operand,
    indices: Operand,
    size: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
) -> None:
    out_spec = spec_of(grad.spec.dtype, _size("max_pool2d_backward", size))
    window = window_of("max_pool2d_backward", out_spec, kernel_size, stride, padding, dilation)
    shapes = [pooled_shape("max_pool2d_backward", out_spec, window, ceil_mode) for ceil_mode in (False, True)]
    shape = shapes[1] if tuple(grad.spec.shape) == shapes[1] else shapes[0]
    prove_shapes("max_pool2d_backward", ("grad", "indices"), (grad, indices), shape, shape)
    _refuse_dtypes("max_pool2d_backward", grad.spec.dtype, grad.spec.dtype.is_bool)
    prove_dtype("max_pool2d_backward", "indices", indices, dtypes.int64)
    strides = strides_like(indices.spec, tuple(indices.spec.shape))
    out = b.output(grad.spec.dtype, size, strides_like(indices.spec, size))
    plan_max_pool2d_backward(b, with_strides(b, grad, strides), with_strides(b, indices, strides), out, window)


@max_pool2d_backward.backward
def _(ctx, grad):
    return taken(grad, ctx.saved[0]), None


max_pool2d_backward.linear_in("grad")
max_pool2d_backward.batch(rules.of_images)


@max_pool2d_backward.oracle
def _(grad, indices, size, **window):
    out = np.zeros((size[0], size[1], size[2] * size[3]), grad.dtype)
    n, c = np.ogrid[: size[0], : size[1]]
    np.add.at(out, (n[..., None], c[..., None], indices.reshape(*size[:2], -1)), grad.reshape(*size[:2], -1))
    return out.reshape(size)


# ---- average ----------------------------------------------------------------------------------------------------

_AVERAGE = {**_WINDOW, "ceil_mode": False, "count_include_pad": True, "divisor_override": None}
avg_pool2d = Op("avg_pool2d", ("input",), _AVERAGE, node_name="AvgPool2DBackward0", doc="The mean of each window.")


@avg_pool2d.plan
def _(
    b: PlanBuilder, input: Operand, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, **counting: Any
) -> None:
    spec = input.spec
    window = window_of("avg_pool2d", spec, kernel_size, stride, padding)
    _refuse_average("avg_pool2d", spec.dtype, counting["divisor_override"])
    shape = pooled_shape("avg_pool2d", spec, window, ceil_mode)
    out = b.output(spec.dtype, shape, strides_like(spec, shape))
    plan_avg_pool2d(b, with_strides(b, input, strides_like(spec, tuple(spec.shape))), out, window, **counting)


@avg_pool2d.backward
def _(ctx, grad):
    return avg_pool2d_backward(grad, size=tuple(ctx.input_specs[0].shape), **ctx.params._asdict())


avg_pool2d.tie(("input",), ("input",))


avg_pool2d.linear_in("input")
avg_pool2d.batch(rules.of_images)


@avg_pool2d.oracle
def _(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    window = Window(kernel_size, stride, padding)
    shape = pooled_shape("avg_pool2d", _Shape(x), window, ceil_mode)
    total = _taps(x, window, shape, 0).sum(-1)
    if divisor_override is not None:
        return total / divisor_override
    inside = np.ones((1, 1, *x.shape[2:]))
    if count_include_pad:
        (ph, pw) = padding
        inside = np.pad(inside, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=1)
        window = Window(kernel_size, stride)
    return total / _taps(inside, window, shape, 0).sum(-1)


avg_pool2d_backward = Op(
    "avg_pool2d_backward",
    ("grad",),
    {"size": (), **_AVERAGE},
    doc="Gradient of `avg_pool2d` with respect to its input.",
)


@avg_pool2d_backward.plan
def _(
    b: PlanBuilder,
    grad: Operand,
    size: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    **counting: Any,
) -> None:
    name = "avg_pool2d_backward"
    out_spec = spec_of(grad.spec.dtype, _size(name, size))
    window = window_of(name, out_spec, kernel_size, stride, padding)
    _refuse_average(name, grad.spec.dtype, counting["divisor_override"])
    prove_shapes(name, ("grad",), (grad,), pooled_shape(name, out_spec, window, ceil_mode))
    strides = strides_like(grad.spec, tuple(grad.spec.shape))
    out = b.output(grad.spec.dtype, size, strides_like(grad.spec, size))
    plan_avg_pool2d_backward(b, with_strides(b, grad, strides), out, window, **counting)


@avg_pool2d_backward.backward
def _(ctx, grad):
    p = ctx.params._asdict()
    del p["size"]
    return avg_pool2d(grad, **p)


def _transposed(forward: Any, grad: np.ndarray, size: Any, params: dict[str, Any]) -> np.ndarray:
    """The transpose of a linear map, applied to ``grad``: the map is probed with images that have a single 1."""
    out = np.zeros((*size[:2], size[2] * size[3]), grad.dtype)
    for pixel in range(size[2] * size[3]):
        probe = np.zeros((1, 1, size[2] * size[3]))
        probe[..., pixel] = 1
        out[..., pixel] = (grad * forward(probe.reshape(1, 1, *size[2:]), **params)).sum((2, 3))
    return out.reshape(size)


avg_pool2d_backward.linear_in("grad")
avg_pool2d_backward.batch(rules.of_images)


@avg_pool2d_backward.oracle
def _(grad, size, **params):
    return _transposed(avg_pool2d.oracle_function, grad, size, params)


adaptive_avg_pool2d = Op(
    "adaptive_avg_pool2d",
    ("input",),
    {"output_size": (1, 1)},
    node_name="AdaptiveAvgPool2DBackward0",
    doc="Means of windows that cut the image into output_size parts.",
)


@adaptive_avg_pool2d.plan
def _(b: PlanBuilder, input: Operand, output_size: tuple[int, int]) -> None:
    spec = input.spec
    if (
        spec.ndim not in (3, 4)
        or 0 in spec.shape[1:]
        or min(prove_ints("adaptive_avg_pool2d", "output_size", output_size, 2)) < 0
    ):
        raise ShapeError(
            f"adaptive_avg_pool2d(): Expected 3D or 4D tensor with non-zero size for non-batch dimensions and a non-negative "
            f"output_size, but got {list(spec.shape)} and {output_size}"
        )
    _refuse_dtypes("adaptive_avg_pool2d", spec.dtype, not spec.dtype.is_floating_point)
    shape = (*spec.shape[:-2], *output_size)
    out = b.output(spec.dtype, shape, strides_like(spec, shape))
    (h, w), (rows, columns) = spec.shape[-2:], output_size
    if rows * columns and h % rows == 0 and w % columns == 0 and w // columns >= _LONG:
        *outer, down, right = spec.strides
        parts = (*spec.shape[:-2], rows, h // rows, columns, w // columns)
        steps = (*outer, h // rows * down, down, w // columns * right, right)
        plan_reduce(b, "mean", input.view(parts, steps), out, (spec.ndim - 1, spec.ndim + 1))
        return
    plan_avg_pool2d(b, with_strides(b, input, strides_like(spec, tuple(spec.shape))), out, None)


@adaptive_avg_pool2d.backward
def _(ctx, grad):
    return adaptive_avg_pool2d_backward(grad, size=tuple(ctx.input_specs[0].shape))


adaptive_avg_pool2d.tie(("input",), ("input",))


adaptive_avg_pool2d.linear_in("input")
adaptive_avg_pool2d.batch(rules.of_images)


@adaptive_avg_pool2d.oracle
def _(x, output_size):
    out = np.empty((*x.shape[:2], *output_size), x.dtype)
    edges = [
        [(i * n // o, -(-(i + 1) * n // o)) for i in range(o)] for n, o in zip(x.shape[2:], output_size, strict=True)
    ]
    for i, (top, bottom) in enumerate(edges[0]):
        for j, (left, right) in enumerate(edges[1]):
            out[:, :, i, j] = x[:, :, top:bottom, left:right].mean((2, 3))
    return out


adaptive_avg_pool2d_backward = Op(
    "adaptive_avg_pool2d_backward",
    ("grad",),
    {"size": ()},
    doc="Gradient of `adaptive_avg_pool2d` with respect to its input.",
)


@adaptive_avg_pool2d_backward.plan
def _(b: PlanBuilder, grad: Operand, size: Any) -> None:
    name = "adaptive_avg_pool2d_backward"
    _size(name, size)
    _refuse_dtypes(name, grad.spec.dtype, not grad.spec.dtype.is_floating_point)
    if grad.spec.ndim != len(size) or tuple(grad.spec.shape[:-2]) != size[:-2] or 0 in size[-3:]:
        raise ShapeError(f"{name}: grad has shape {list(grad.spec.shape)}, expected that of an input of {list(size)}")
    strides = strides_like(grad.spec, tuple(grad.spec.shape))
    out = b.output(grad.spec.dtype, size, strides_like(grad.spec, size))
    plan_avg_pool2d_backward(b, with_strides(b, grad, strides), out, None)


@adaptive_avg_pool2d_backward.backward
def _(ctx, grad):
    return adaptive_avg_pool2d(grad, output_size=tuple(ctx.input_specs[0].shape[-2:]))


adaptive_avg_pool2d_backward.linear_in("grad")
adaptive_avg_pool2d_backward.batch(rules.of_images)


@adaptive_avg_pool2d_backward.oracle
def _(grad, size):
    return _transposed(adaptive_avg_pool2d.oracle_function, grad, size, {"output_size": grad.shape[2:]})
