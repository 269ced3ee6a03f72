"""Patches of images as columns and back, each the other's gradient; and max pooling undone."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.dtypes import int64
from numgrad.errors import ShapeError
from numgrad.kernels.patches import plan_add_patches, plan_put_back, plan_take_patches
from numgrad.kernels.windows import Window
from numgrad.layout import product
from numgrad.ops import rules
from numgrad.ops.index import gather
from numgrad.ops.layouts import contiguous
from numgrad.ops.proofs import prove_dtype, prove_ints, prove_shapes
from numgrad.ops.view import reshape
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

_WINDOW: dict[str, Any] = {"kernel_size": (1, 1), "dilation": (1, 1), "padding": (0, 0), "stride": (1, 1)}
_MOST = (1 << 31) - 1


def _blocks(name: str, image: Any, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """The proved window, and how many places it has in an image."""
    values = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
    for word, each in values.items():
        if max(prove_ints(name, word, each, 2)) > _MOST:
            raise ShapeError(f"{name}: {word} is {each}, expected at most {_MOST}")
    if min(kernel_size) < 1 or min(dilation) < 1 or min(stride) < 1 or min(padding) < 0:
        raise RuntimeError(
            f"{name}: kernel_size {kernel_size}, dilation {dilation} and stride {stride} should be greater than zero, padding "
            f"{padding} not negative"
        )
    blocks = tuple(
        [
            (extent + 2 * pad - gap * (taps - 1) - 1) // step + 1
            for extent, pad, gap, taps, step in zip(image, padding, dilation, kernel_size, stride, strict=True)
        ]
    )
    if min(blocks) < 1:
        raise RuntimeError(
            f"{name}: Given an image of {list(image)}, kernel_size={kernel_size}, dilation={dilation}, padding={padding}, "
            f"stride={stride}, calculated shape of the array of sliding blocks as {list(blocks)}, but its components must be at "
            "least one."
        )
    return Window(kernel_size, stride, padding, dilation), blocks


im2col = Op(
    "im2col",
    ("input",),
    _WINDOW,
    node_name="Im2ColBackward0",
    doc="The patches of images [N, C, H, W] or [C, H, W] as columns [N, C * R * S, P * Q]; zeros in the padding.",
)


@im2col.plan
def _(b: PlanBuilder, input: Operand, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> None:
    shape = tuple(input.spec.shape)
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        raise ShapeError(
            "unfold: Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
            f"but got: {list(shape)}"
        )
    window, blocks = _blocks("unfold", shape[-2:], kernel_size, dilation, padding, stride)
    out = b.output(input.spec.dtype, (*shape[:-3], shape[-3] * product(kernel_size), product(blocks)))
    plan_take_patches(b, contiguous(b, input), out, window, blocks)


@im2col.backward
def _(ctx, grad):
    return col2im(grad, size=tuple(ctx.input_specs[0].shape[-2:]), **ctx.params._asdict())


im2col.linear_in("input")


def _of_images(batch: Any, x: Any, images: int, **params: Any) -> Any:
    """Images that come without a batch get one of the examples."""
    if x._spec.ndim == images + 1:
        return batch.op(x, **params)
    return rules.unfolded(batch.op(rules.folded(x), **params), batch.size)


@im2col.batch
def _(batch, x, **params):
    return _of_images(batch, x, 3, **params)


def _places(size: Any, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> np.ndarray:
    """The numbers [R * S, P * Q] of the pixels in the padded image."""
    blocks = _blocks("unfold", size, kernel_size, dilation, padding, stride)[1]
    rows, columns = (
        np.arange(taps)[:, None] * gap + np.arange(count) * step
        for taps, gap, count, step in zip(kernel_size, dilation, blocks, stride, strict=True)
    )
    places = rows[:, None, :, None] * (size[1] + 2 * padding[1]) + columns[None, :, None, :]
    return places.reshape(product(kernel_size), product(blocks))


@im2col.oracle
def _(x, **params):
    top, left = params["padding"]
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(top, top), (left, left)])
    places = _places(x.shape[-2:], **params)
    taken = padded.reshape(*x.shape[:-2], product(padded.shape[-2:]))[..., places]
    return taken.reshape(*x.shape[:-3], x.shape[-3] * len(places), places.shape[1])


col2im = Op(
    "col2im",
    ("input",),
    {"size": (1, 1), **_WINDOW},
    node_name="Col2ImBackward0",
    doc="Columns [N, C * R * S, P * Q] or [C * R * S, P * Q] added where `im2col` took them, into images of ``size``.",
)


@col2im.plan
def _(b: PlanBuilder, input: Operand, size: Any, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> None:
    shape = tuple(input.spec.shape)
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise ShapeError(
            "fold: Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, "
            f"but got: {list(shape)}"
        )
    window, blocks = _blocks("fold", prove_ints("fold", "output_size", size, 2), kernel_size, dilation, padding, stride)
    *lead, rows, count = shape
    taps = product(kernel_size)
    if rows % taps:
        raise ShapeError(
            "fold: Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={rows} and {taps} elements in a patch."
        )
    if count != product(blocks):
        raise ShapeError(
            f"fold: Given output_size={list(size)}, expected size of input's dimension 2 to match the calculated number of "
            f"sliding blocks {product(blocks)}, but got input.size(2)={count}."
        )
    out = b.output(input.spec.dtype, (*lead, rows // taps, *size))
    plan_add_patches(b, contiguous(b, input), out, window, blocks)


@col2im.backward
def _(ctx, grad):
    params = ctx.params._asdict()
    del params["size"]
    return im2col(grad, **params)


col2im.linear_in("input")


@col2im.batch
def _(batch, x, **params):
    return _of_images(batch, x, 2, **params)


@col2im.oracle
def _(x, size, **params):
    places, (top, left) = _places(size, **params), params["padding"]
    *lead, rows, _ = x.shape
    high, wide = size[0] + 2 * top, size[1] + 2 * left
    parts = x.reshape(-1, *places.shape)
    out = np.zeros((len(parts), high * wide), x.dtype)
    np.add.at(out, (np.arange(len(parts))[:, None, None], places), parts)
    out = out.reshape(*lead, rows // len(places), high, wide)
    return out[..., top : top + size[0], left : left + size[1]]


# ---- max pooling undone -----------------------------------------------------------------------------------------

max_unpool = Op(
    "max_unpool",
    ("input", "indices"),
    {"size": (1,)},
    saves=("indices",),
    graph_inputs=(0, None),
    doc="Zeros [..., *size] with each value of the input at its row-major index; of several the last counts.",
)


@max_unpool.shown_as
def _(specs, needs, params):
    return f"MaxUnpool{min(len(params.size), 3)}DBackward0", None


@max_unpool.plan
def _(b: PlanBuilder, input: Operand, indices: Operand, size: Any) -> None:
    shape, dims = tuple(input.spec.shape), len(prove_ints("max_unpool", "size", size, None, 0))
    prove_dtype("max_unpool", "indices", indices, int64)
    prove_shapes("max_unpool", ("indices",), (indices,), shape)
    if not 1 <= dims < len(shape):
        raise ShapeError(f"max_unpool: input has shape {list(shape)}, expected [..., C] and {dims} extents")
    out = b.output(input.spec.dtype, (*shape[:-dims], *size))
    plan_put_back(b, contiguous(b, input), contiguous(b, indices), out, product(shape[:-dims]))


@max_unpool.on_status
def _(status, params):
    return RuntimeError(
        f"max_unpool{len(params.size)}d: found an invalid max index, which is not one of the output's {list(params.size)} elements"
    )


@max_unpool.backward
def _(ctx, grad):
    (indices,) = ctx.saved
    shape, dims = tuple(indices._spec.shape), len(ctx.params.size)
    planes = product(shape[:-dims])
    flat = reshape(grad, (planes, product(ctx.params.size)))
    return reshape(gather(flat, reshape(indices, (planes, product(shape[-dims:]))), dim=1), shape), None


max_unpool.linear_in("input")
max_unpool.batch(rules.leading)


@max_unpool.oracle
def _(x, indices, size):
    lead = x.shape[: -len(size)]
    planes = product(lead)
    out = np.zeros((planes, product(size)), x.dtype)
    np.put_along_axis(out, indices.reshape(planes, -1), x.reshape(planes, -1), 1)
    return out.reshape(*lead, *size)
