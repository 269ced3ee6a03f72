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
from numgrad.ops.pool import max_pool2d, max_pool2d_backward, pooled_shape, window_of
from numgrad.ops.proofs import prove_dtype, prove_ints, prove_shapes
from numgrad.ops.view import reshape
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

max_boxes = Op(
    "max_boxes",
    ("input", "samples"),
    {"output_size": (1, 1, 1), "window": (0, 0, 0)},
    outputs=("out", "indices"),
    public=2,
    saves=("indices",),
    doc="""The largest values of boxes of volumes [M, D, H, W], and their row-major positions; NaN if there is one.

    The boxes cut each volume into ``output_size`` parts; or they have the extents ``window``, and the numbers ``samples``
    [M, 3], from 0 to 1, say where they lie.
    """,
)


@max_boxes.plan
def _(b: PlanBuilder, input: Operand, samples: Operand | None, output_size: Any, window: Any) -> None:
    shape = tuple(input.spec.shape)
    prove_ints("max_boxes", "output_size", output_size, 3, 0)
    prove_ints("max_boxes", "window", window, 3, 0)
    if len(shape) != 4 or 0 in shape[1:]:
        raise ShapeError(f"max_boxes: input has shape {list(shape)}, expected [M, D, H, W] with elements")
    check_floating("max_boxes", input)
    if samples is not None:
        check_dtypes("max_boxes", input, samples)
        prove_shapes("max_boxes", ("samples",), (samples,), (shape[0], 3))
        if any(
            w < 1 or n < 1 or n + w - 1 > extent for w, n, extent in zip(window, output_size, shape[1:], strict=True)
        ):
            raise ShapeError(f"max_boxes: {output_size} boxes of {window} do not fit {list(shape[1:])}")
        samples = contiguous(b, samples)
    elif any(window):
        raise ShapeError(f"max_boxes: window is {window}, but no samples say where they lie")
    out = b.output(input.spec.dtype, (shape[0], *output_size))
    indices = b.output(dtypes.int64, (shape[0], *output_size))
    plan_max_boxes(b, contiguous(b, input), samples, Boxes(*window), out, indices)


def _flat(x: Any) -> Any:
    return reshape(x, (x._spec.shape[0], product(x._spec.shape[1:])))


@max_boxes.backward
def _(ctx, grad, _indices_grad=None):
    (indices,) = ctx.saved
    shape = tuple(ctx.input_specs[0].shape)
    return reshape(max_boxes_backward(_flat(grad), _flat(indices), size=product(shape[1:])), shape), None


max_boxes.tie(("input",), ("input",))


@max_boxes.jvp
def _(ctx, tangent, _samples=None):
    indices = ctx.outputs[1]
    return reshape(gather(_flat(tangent), _flat(indices), dim=1), tuple(indices._spec.shape)), None


@max_boxes.batch
def _(batch, x, samples, **params):
    x, samples = batch.all(x, samples)
    parts = max_boxes(rules.folded(x), None if samples is None else rules.folded(samples), **params)
    return tuple(rules.unfolded(part, batch.size) for part in parts)


@max_boxes.oracle
def _(x, samples, output_size, window):
    out, indices = np.empty((len(x), *output_size), x.dtype), np.empty((len(x), *output_size), np.int64)
    places = np.arange(product(x.shape[1:])).reshape(x.shape[1:])
    for position in np.ndindex(out.shape):
        box = []
        for axis, i in enumerate(position[1:]):
            extent, count = x.shape[1 + axis], output_size[axis]
            begin, end = i * extent // count, -(-(i + 1) * extent // count)
            if samples is not None:
                alpha, u = (extent - window[axis]) / max(count - 1, 1), samples[position[0], axis]
                begin = int((i + u) * alpha) - int(u * alpha) if i < count - 1 else extent - window[axis]
                end = begin + window[axis]
            box.append(slice(begin, end))
        part = x[position[0]][tuple(box)]
        out[position] = part.max()
        indices[position] = places[tuple(box)].ravel()[part.argmax()]
    return out, indices


max_boxes_backward = Op(
    "max_boxes_backward",
    ("grad", "indices"),
    {"size": 1},
    saves=("indices",),
    graph_inputs=(0,),
    doc="Gradient of `max_boxes`: [M, P] to [M, size], each value to the index of the largest one.",
)


@max_boxes_backward.plan
def _(b: PlanBuilder, grad: Operand, indices: Operand, size: int) -> None:
    prove_ints("max_boxes_backward", "size", (size,), 1, 0)
    prove_dtype("max_boxes_backward", "indices", indices, dtypes.int64)
    if grad.spec.ndim != 2 or grad.spec.shape != indices.spec.shape:
        raise ShapeError(
            f"max_boxes_backward: grad and indices have shapes {list(grad.spec.shape)} and {list(indices.spec.shape)}, expected "
            "[M, P]"
        )
    out = b.output(grad.spec.dtype, (grad.spec.shape[0], size))
    plan_max_boxes_backward(b, contiguous(b, grad), contiguous(b, indices), out)


@max_boxes_backward.backward
def _(ctx, grad):
    (indices,) = ctx.saved
    return gather(grad, indices, dim=1), None


max_boxes_backward.linear_in("grad")


@max_boxes_backward.batch
def _(batch, grad, indices, size):
    grad, indices = batch.all(grad, indices)
    return rules.unfolded(max_boxes_backward(rules.folded(grad), rules.folded(indices), size=size), batch.size)


@max_boxes_backward.oracle
def _(grad, indices, size):
    out = np.zeros((len(grad), size), grad.dtype)
    np.add.at(out, (np.arange(len(grad))[:, None], indices), grad)
    return out


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
    _, indices = max_pool2d(x, **ctx.params._asdict())
    n, c, h, w = tangent._spec.shape
    shape = tuple(indices._spec.shape)
    flat = gather(reshape(tangent, (n, c, h * w)), reshape(indices, (n, c, shape[2] * shape[3])), dim=2)
    return reshape(flat, shape)


max_pool2d_values.batch(rules.of_images)


@max_pool2d_values.oracle
def _(x, **params):
    assert max_pool2d.oracle_function is not None
    return max_pool2d.oracle_function(x, **params)[0]
