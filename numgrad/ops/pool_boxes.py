"""Max pooling of boxes of any number and place."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import ShapeError
from numgrad.kernels.pool import parts, plan_max_pool
from numgrad.kernels.pool_backward import plan_max_pool_backward
from numgrad.kernels.windows import Axis, boxes_of
from numgrad.layout import product
from numgrad.ops import rules
from numgrad.ops.layouts import check_floating, contiguous, with_strides
from numgrad.ops.linalg import check_dtypes
from numgrad.ops.pool import as_read, pooled_strides, scattered, taken
from numgrad.ops.proofs import prove_dtype, prove_ints
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
    pooled = (*lead, *output_size)
    strides = pooled_strides(input.spec, dims if samples is None else 0, pooled)
    out, indices = b.output(input.spec.dtype, pooled, strides), b.output(dtypes.int64, pooled, strides)
    if samples is None:
        boxes = boxes_of(*map(parts, image, output_size))
    else:
        boxes = boxes_of(*(Axis(extent, 0, 0, 1) for extent in window))
    plan_max_pool(b, as_read(b, input, dims if samples is None else 0), out, indices, boxes, dims, samples)


@max_boxes.backward
def _(ctx, grad, _indices_grad=None):
    (indices,) = ctx.saved
    dims = len(ctx.params.output_size)
    return max_boxes_backward(grad, indices, size=tuple(ctx.input_specs[0].shape[-dims:])), None


max_boxes.tie(("input",), ("input",))


@max_boxes.jvp
def _(ctx, tangent, _samples=None):
    return taken(tangent, ctx.outputs[1], len(ctx.params.output_size)), None


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
    strides = pooled_strides(indices.spec, dims, tuple(indices.spec.shape))
    goal = (*grad.spec.shape[: grad.spec.ndim - dims], *size)
    out = b.output(grad.spec.dtype, goal, pooled_strides(indices.spec, dims, goal))
    plan_max_pool_backward(b, with_strides(b, grad, strides), with_strides(b, indices, strides), out, dims)


@max_boxes_backward.backward
def _(ctx, grad):
    return taken(grad, ctx.saved[0], len(ctx.params.size)), None


max_boxes_backward.linear_in("grad")
max_boxes_backward.batch(rules.leading)


@max_boxes_backward.oracle
def _(grad, indices, size):
    return scattered(grad, indices, size)
