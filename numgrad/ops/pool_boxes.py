"""Max pooling of boxes of any number and place, and of windows without positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import ShapeError
from numgrad.kernels.pool_boxes import Boxes, plan_max_boxes, plan_max_boxes_backward, plan_max_values
from numgrad.layout import product, strides_like
from numgrad.ops import rules
from numgrad.ops.index import gather
from numgrad.ops.layouts import check_floating, contiguous, with_strides
from numgrad.ops.linalg import check_dtypes
from numgrad.ops.pool import max_pool2d, max_pool2d_backward, pooled_shape, taken, window_of
from numgrad.ops.proofs import prove_dtype, prove_ints
from numgrad.ops.view import reshape
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

max_boxes = Op(
    "max_boxes",
    ("input", "samples"),
    {"output_size": (1, 1, 1), "window": ()},
    outputs=("out", "indices"),
    public=2,
    saves=("indices",),
    graph_inputs=(0,),
    doc="""The largest values of boxes of images [..., *image], and their row-major positions; NaN if there is one.

    The boxes cut each image, of one to three dimensions, into ``output_size`` parts; or they have the extents ``window``, and the
    numbers ``samples`` from 0 to 1, as many for each image as it has dimensions, say where they lie: of two the width's first.
    """,
)


@max_boxes.shown_as
def _(specs, needs, params):
    kind = "Adaptive" if specs[1] is None else "Fractional"
    return f"{kind}MaxPool{max(len(params.output_size), 2)}DBackward0", None


@max_boxes.plan
def _(b: PlanBuilder, input: Operand, samples: Operand | None, output_size: Any, window: Any) -> None:
    shape, dims = tuple(input.spec.shape), len(prove_ints("max_boxes", "output_size", output_size, None, 0))
    prove_ints("max_boxes", "window", window, None if samples is None else dims, 0)
    if not 1 <= dims <= 3 or len(shape) < dims or 0 in shape[len(shape) - dims :]:
        raise ShapeError(f"max_boxes: input has shape {list(shape)}, expected {dims} extents with elements")
    lead, image = shape[: len(shape) - dims], shape[len(shape) - dims :]
    check_floating("max_boxes", input)
    if samples is not None:
        check_dtypes("max_boxes", input, samples)
        if not samples.spec.ndim or samples.spec.shape[-1] != dims or samples.spec.numel != product(lead) * dims:
            raise ShapeError(f"max_boxes: samples has shape {list(samples.spec.shape)}, expected {[*lead, dims]}")
        if any(w < 1 or n < 1 or n + w - 1 > extent for w, n, extent in zip(window, output_size, image, strict=True)):
            raise ShapeError(f"max_boxes: {output_size} boxes of {window} do not fit {list(image)}")
        samples = contiguous(b, samples)
    elif window:
        raise ShapeError(f"max_boxes: window is {window}, but no samples say where they lie")
    out = b.output(input.spec.dtype, (*lead, *output_size))
    indices = b.output(dtypes.int64, (*lead, *output_size))
    boxes = Boxes(*(0,) * (3 - len(window)), *window) if window else Boxes(0, 0, 0)
    plan_max_boxes(b, contiguous(b, input), samples, boxes, out, indices, dims)


def _flat(x: Any, dims: int) -> Any:
    shape = tuple(x._spec.shape)
    lead = len(shape) - dims
    return reshape(x, (product(shape[:lead]), product(shape[lead:])))


@max_boxes.backward
def _(ctx, grad, _indices_grad=None):
    (indices,) = ctx.saved
    dims = len(ctx.params.output_size)
    return max_boxes_backward(grad, indices, size=tuple(ctx.input_specs[0].shape[-dims:])), None


max_boxes.tie(("input",), ("input",))


def _taken(x: Any, indices: Any, dims: int) -> Any:
    return reshape(gather(_flat(x, dims), _flat(indices, dims), dim=1), tuple(indices._spec.shape))


@max_boxes.jvp
def _(ctx, tangent, _samples=None):
    return _taken(tangent, ctx.outputs[1], len(ctx.params.output_size)), None


max_boxes.batch(rules.leading)


@max_boxes.oracle
def _(x, samples, output_size, window):
    dims = len(output_size)
    lead, image = x.shape[: x.ndim - dims], x.shape[x.ndim - dims :]
    x = x.reshape(-1, *image)
    out, indices = np.empty((len(x), *output_size), x.dtype), np.empty((len(x), *output_size), np.int64)
    places = np.arange(product(image)).reshape(image)
    if samples is not None:
        samples = samples.reshape(len(x), dims)[:, :: -1 if dims == 2 else 1]
    for position in np.ndindex(out.shape):
        box = []
        for axis, i in enumerate(position[1:]):
            extent, count = image[axis], output_size[axis]
            begin, end = i * extent // count, -(-(i + 1) * extent // count)
            if samples is not None:
                alpha, u = (extent - window[axis]) / max(count - 1, 1), samples[position[0], axis]
                begin = int((i + u) * alpha) - int(u * alpha) if i < count - 1 else extent - window[axis]
                end = begin + window[axis]
            box.append(slice(begin, end))
        part = x[position[0]][tuple(box)]
        out[position] = part.max()
        indices[position] = places[tuple(box)].ravel()[part.argmax()]
    return out.reshape(*lead, *output_size), indices.reshape(*lead, *output_size)


max_boxes_backward = Op(
    "max_boxes_backward",
    ("grad", "indices"),
    {"size": (1,)},
    saves=("indices",),
    graph_inputs=(0,),
    doc="Gradient of `max_boxes` with respect to its images of ``size``: each value to the index of the largest one.",
)


@max_boxes_backward.plan
def _(b: PlanBuilder, grad: Operand, indices: Operand, size: Any) -> None:
    dims = len(prove_ints("max_boxes_backward", "size", size, None, 0))
    prove_dtype("max_boxes_backward", "indices", indices, dtypes.int64)
    if grad.spec.ndim < dims or grad.spec.shape != indices.spec.shape:
        raise ShapeError(
            f"max_boxes_backward: grad and indices have shapes {list(grad.spec.shape)} and {list(indices.spec.shape)}, expected "
            f"the same with {dims} extents"
        )
    lead = tuple(grad.spec.shape[: grad.spec.ndim - dims])
    out = b.output(grad.spec.dtype, (*lead, *size))
    plan_max_boxes_backward(b, contiguous(b, grad), contiguous(b, indices), out, product(lead))


@max_boxes_backward.backward
def _(ctx, grad):
    return _taken(grad, ctx.saved[0], len(ctx.params.size)), None


max_boxes_backward.linear_in("grad")
max_boxes_backward.batch(rules.leading)


@max_boxes_backward.oracle
def _(grad, indices, size):
    dims = len(size)
    lead = grad.shape[: grad.ndim - dims]
    out = np.zeros((product(lead), product(size)), grad.dtype)
    rows = np.arange(len(out))[:, None]
    np.add.at(out, (rows, indices.reshape(len(out), -1)), grad.reshape(len(out), -1))
    return out.reshape(*lead, *size)


# ---- windows ----------------------------------------------------------------------------------------------------

max_pool2d_values = Op(
    "max_pool2d_values",
    ("input",),
    {"kernel_size": (1, 1), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "ceil_mode": False},
    saves=("input",),
    doc="`max_pool2d` without positions, for inputs whose gradient nobody asks for: it is found by pooling again.",
)


@max_pool2d_values.plan
def _(
    b: PlanBuilder, input: Operand, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> None:
    spec = input.spec
    window = window_of("max_pool2d", spec, kernel_size, stride, padding, dilation)
    check_floating("max_pool2d", input)
    shape = pooled_shape("max_pool2d", spec, window, ceil_mode)
    out = b.output(spec.dtype, shape, strides_like(spec, shape))
    plan_max_values(b, with_strides(b, input, strides_like(spec, tuple(spec.shape))), out, window)


@max_pool2d_values.backward
def _(ctx, grad):
    (x,) = ctx.saved
    p = ctx.params._asdict()
    _, indices = max_pool2d(x, **p)
    del p["ceil_mode"]
    return max_pool2d_backward(grad, indices, size=tuple(ctx.input_specs[0].shape), **p)


@max_pool2d_values.jvp
def _(ctx, tangent):
    (x,) = ctx.inputs
    return taken(tangent, max_pool2d(x, **ctx.params._asdict())[1])


max_pool2d_values.batch(rules.of_images)


@max_pool2d_values.oracle
def _(x, **params):
    assert max_pool2d.oracle_function is not None
    return max_pool2d.oracle_function(x, **params)[0]
