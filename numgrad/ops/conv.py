"""Convolution in two dimensions. Its two backward ops are convolutions too, so derivatives of any order exist."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels import conv_choice
from numgrad.kernels.conv import plan_conv2d_backward_input, plan_conv2d_forward
from numgrad.kernels.conv_backward import plan_conv2d_backward_weight
from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.layout import convolved_strides
from numgrad.ops import rules
from numgrad.ops.elementwise import add
from numgrad.ops.layouts import channels_last, contiguous
from numgrad.ops.proofs import prove_int, prove_ints, prove_shapes
from numgrad.ops.reduce import sum_
from numgrad.ops.view import reshape
from numgrad.registry import Op, SavedCall, forget_plans, saved_calls
from numgrad.runtime.plan import Operand, PlanBuilder

_FARTHEST = (1 << 63) - 1  # pixels of a padded image in one direction
_PARAMS: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}


def _geometry(
    input: tuple[int, ...], weight: tuple[int, ...], stride: Any, padding: Any, dilation: Any, groups: int
) -> Conv2dGeometry:
    """The proved sizes.

    Raises
    ------
    ShapeError
        They do not fit; the texts are torch's.
    """
    if len(input) != 4 or len(weight) != 4:
        raise ShapeError(
            f"Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: {list(input)}"
            if len(weight) == 4
            else f"conv2d: weight has shape {list(weight)}, expected 4 dimensions [out_channels, in_channels / groups, kH, kW]"
        )
    (n, c, h, w), (k, channels, r, s) = input, weight
    prove_int("conv2d", "groups", groups)
    for name, pair in (("stride", stride), ("padding", padding), ("dilation", dilation)):
        prove_ints("conv2d", name, pair, 2)
    if groups < 1 or min(stride) < 1 or min(dilation) < 1 or min(padding) < 0:
        raise ShapeError(
            f"conv2d: stride {stride}, dilation {dilation} and groups {groups} must be positive, padding {padding} not negative"
        )
    if channels * groups != c:
        raise ShapeError(
            f"Given groups={groups}, weight of size {list(weight)}, expected input{list(input)} to have {channels * groups} "
            f"channels, but got {c} channels instead"
        )
    if k < groups:
        raise ShapeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{list(weight)} instead"
        )
    if k % groups:
        raise ShapeError(
            f"conv2d: Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size "
            f"{list(weight)} instead"
        )
    if h == 0 or w == 0:
        raise ShapeError(
            f"conv2d: Only zero batch or zero channel inputs are supported, but got input shape: {list(input)}"
        )
    padded = (h + 2 * padding[0], w + 2 * padding[1])
    kernel = (dilation[0] * (r - 1) + 1, dilation[1] * (s - 1) + 1)
    if min(r, s) < 1 or kernel[0] > padded[0] or kernel[1] > padded[1]:
        raise ShapeError(
            f"conv2d: Calculated padded input size per channel: ({padded[0]} x {padded[1]}). Kernel size: ({kernel[0]} x "
            f"{kernel[1]}). Kernel size can't be greater than actual input size"
        )
    if max(padded) > _FARTHEST:
        raise ShapeError(
            f"Given padding={max(padding)}, expected padding to be at most {(_FARTHEST - max(h, w)) // 2} for an input of "
            f"{h} x {w} pixels"
        )
    # A step that is never taken does not count, and could overflow.
    steps = [min(step, room - size + 1) for step, room, size in zip(stride, padded, kernel, strict=True)]
    spread = [step if taps > 1 else 1 for step, taps in zip(dilation, (r, s), strict=True)]
    return Conv2dGeometry(n, c, h, w, k, r, s, (steps[0], steps[1]), padding, (spread[0], spread[1]), groups)


def output_extents(input: tuple[int, ...], weight: tuple[int, ...], *params: Any) -> tuple[int, int]:
    """Height and width of the output, for proved shapes; ``params`` are those of `conv2d`.

    Examples
    --------
    >>> output_extents((1, 0, 4, 4), (3, 0, 2, 2), (1, 1), (0, 0), (1, 1), 1)
    (3, 3)
    """
    geometry = _geometry(input, weight, *params)
    return geometry.out_h, geometry.out_w


def set_algorithm(name: str | None) -> None:
    """Use this algorithm for convolutions from now on, wherever it applies.

    Parameters
    ----------
    name
        "auto": the cheapest by a fixed model of costs. "direct": plain sums, which round least. "winograd2", "winograd4":
        Winograd's. None: the one of NUMGRAD_CONV, which is "auto" by default. Recordings for replay keep the algorithms
        that they were recorded with.

    Raises
    ------
    ValueError
        There is no algorithm of that name.

    Examples
    --------
    >>> set_algorithm("direct")
    >>> algorithms((8, 64, 56, 56), (64, 64, 3, 3), padding=(1, 1))["forward"].algorithm
    'direct'
    >>> set_algorithm(None)
    """
    conv_choice.set_policy(name)
    forget_plans()


def algorithms(
    input: tuple[int, ...], weight: tuple[int, ...], dtype: dtypes.dtype = dtypes.float32, **params: Any
) -> dict[str, conv_choice.Choice]:
    """The algorithms for a convolution of these shapes: for each direction the ``algorithm`` and the ``reason``.

    Parameters
    ----------
    input, weight
        Shapes [N, C, H, W] and [K, C/groups, R, S].
    dtype
        Of both.
    params
        stride, padding and dilation, pairs all; groups.

    Raises
    ------
    ShapeError
        The shapes do not fit.

    Examples
    --------
    >>> for direction, (algorithm, reason) in algorithms((8, 64, 56, 56), (128, 64, 3, 3), stride=(2, 2)).items():
    ...     print(f"{direction:8} {algorithm}: {reason}")
    forward  direct: stride is (2, 2)
    input    direct: stride is (2, 2)
    weight   direct: stride is (2, 2)
    """
    geometry = _geometry(input, weight, **{**_PARAMS, **params})
    return {direction: conv_choice.choose(geometry, direction, dtype.code) for direction in conv_choice.DIRECTIONS}


def _check_dtypes(first: Operand, second: Operand) -> None:
    if first.spec.dtype is not second.spec.dtype or not first.spec.dtype.is_floating_point:
        raise DtypeError(
            f"conv2d: Input type ({first.spec.dtype}) and weight type ({second.spec.dtype}) should be the same, of floating point"
        )


def _check_gradient(grad: Operand, other: Operand, g: Conv2dGeometry) -> None:
    _check_dtypes(grad, other)
    prove_shapes("conv2d_backward", ("grad",), (grad,), (g.n, g.k, g.out_h, g.out_w))


conv2d = Op(
    "conv2d",
    ("input", "weight", "bias"),
    _PARAMS,
    saves=("input", "weight"),
    node_name="ConvolutionBackward0",
    self_name="input",
    bilinear=True,
    doc="""Cross-correlation of input [N, C, H, W] with weight [K, C/groups, R, S], plus bias [K] (or None).

    The output [N, K, P, Q] lies with its channels last in memory, privately unless input or weight show it.
    """,
)


@conv2d.plan
def _(b: PlanBuilder, input: Operand, weight: Operand, bias: Operand | None, **params: Any) -> None:
    g = _geometry(tuple(input.spec.shape), tuple(weight.spec.shape), **params)
    _check_dtypes(input, weight)
    if bias is not None:
        _check_dtypes(input, bias)
        if tuple(bias.spec.shape) != (g.k,):
            raise ShapeError(
                f"Given weight of size {list(weight.spec.shape)}, expected bias to be 1-dimensional with {g.k} elements, but got "
                f"bias of size {list(bias.spec.shape)} instead"
            )
        bias = contiguous(b, bias)
    shape = (g.n, g.k, g.out_h, g.out_w)
    out = b.output(input.spec.dtype, shape, convolved_strides(shape, input.spec, weight.spec))
    plan_conv2d_forward(b, channels_last(b, input), channels_last(b, weight), bias, out, g)


@conv2d.backward
def _(ctx, grad):
    x, weight = ctx.saved
    p, (x_spec, w_spec, _) = ctx.params._asdict(), ctx.input_specs
    return (
        conv2d_backward_input(grad, weight, size=tuple(x_spec.shape), **p) if ctx.needs[0] else None,
        conv2d_backward_weight(grad, x, size=tuple(w_spec.shape), **p) if ctx.needs[1] else None,
        sum_(grad, dims=(0, 2, 3)) if ctx.needs[2] else None,
    )


conv2d.tie(conv2d.inputs, ("input", "weight"), zeros=False)


@conv2d.prepares
def _(record):
    needs, (x, weight, _), p = record.needs, record.input_specs, record.params._asdict()
    if not (needs[0] or needs[1]):
        return None  # nothing is saved; `backward` handles it
    calls: list[tuple[SavedCall, int | tuple[int, int]]] = []
    if needs[0] and needs[1]:
        calls.append((SavedCall(conv2d_backward, (-1, 0, 1), conv2d_backward.Params(**p)), (0, 1)))
    elif needs[0]:
        input_params = conv2d_backward_input.Params(size=tuple(x.shape), **p)
        calls.append((SavedCall(conv2d_backward_input, (-1, 1), input_params), 0))
    else:
        weight_params = conv2d_backward_weight.Params(size=tuple(weight.shape), **p)
        calls.append((SavedCall(conv2d_backward_weight, (-1, 0), weight_params), 1))
    if needs[2]:
        calls.append((SavedCall(sum_, (-1,), sum_.Params(dims=(0, 2, 3))), 2))
    return saved_calls(3, *calls)


def _windows(x: np.ndarray, g: Conv2dGeometry) -> np.ndarray:
    """The input's values under each tap: [N, C, R, S, P, Q]."""
    (ph, pw), (sh, sw), (dh, dw) = g.padding, g.stride, g.dilation
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    out = np.empty((g.n, g.c, g.r, g.s, g.out_h, g.out_w), x.dtype)
    for r in range(g.r):
        for s in range(g.s):
            rows = slice(r * dh, r * dh + sh * (g.out_h - 1) + 1, sh)
            columns = slice(s * dw, s * dw + sw * (g.out_w - 1) + 1, sw)
            out[:, :, r, s] = padded[:, :, rows, columns]
    return out


@conv2d.jvp
def _(ctx, to_x, to_weight, to_bias):
    x, weight, _ = ctx.inputs
    params = ctx.params._asdict()
    tangent = None if to_x is None else conv2d(to_x, weight, None, **params)
    tangent = rules.added(tangent, None if to_weight is None else conv2d(x, to_weight, None, **params))
    return rules.added(tangent, None if to_bias is None else reshape(to_bias, (to_bias._spec.numel, 1, 1)))


@conv2d.batch
def _(batch, x, weight, bias, groups, **params):
    """The examples become images if they share the weight, else groups."""
    if batch.only(0):
        return rules.unfolded(conv2d(rules.folded(x), weight, bias, groups=groups, **params), batch.size)
    size = batch.size
    if batch.only(0, 2):
        out = rules.unfolded(conv2d(rules.folded(*batch.all(x)), weight, None, groups=groups, **params), size)
    elif groups == 1 and not batch.flags[0]:
        out = rules.from_groups(conv2d(x, rules.folded(weight), None, groups=1, **params), size)
    else:
        x, weight = batch.all(x, weight)
        out = conv2d(rules.as_groups(x), rules.folded(weight), None, groups=size * groups, **params)
        out = rules.from_groups(out, size)
    if bias is None:
        return out
    form = (size, 1, -1, 1, 1) if batch.flags[2] else (-1, 1, 1)
    length = bias._spec.shape[-1]
    return add(out, reshape(bias, tuple(length if extent < 0 else extent for extent in form)))


@conv2d.flops
def _(inputs, out):
    return 2 * out.numel * inputs[1].numel // max(inputs[1].shape[0], 1)


@conv2d.oracle
def _(x, weight, bias, **params):
    g = _geometry(x.shape, weight.shape, **params)
    windows = _windows(x, g).reshape(g.n, g.groups, g.c // g.groups, g.r, g.s, g.out_h, g.out_w)
    filters = weight.reshape(g.groups, g.k // g.groups, g.c // g.groups, g.r, g.s)
    out = np.einsum("ngcrspq,gkcrs->ngkpq", windows, filters).reshape(g.n, g.k, g.out_h, g.out_w)
    return out if bias is None else out + bias[:, None, None]


conv2d_backward_input = Op(
    "conv2d_backward_input",
    ("grad", "weight"),
    {"size": (), **_PARAMS},
    saves=("grad", "weight"),
    node_name="ConvolutionBackwardInputBackward0",
    bilinear=True,
    doc="Gradient of `conv2d` with respect to its input of shape ``size``: the transposed convolution of the gradient.",
)


@conv2d_backward_input.plan
def _(b: PlanBuilder, grad: Operand, weight: Operand, size: tuple[int, ...], **params: Any) -> None:
    g = _geometry(prove_ints("conv2d_backward_input", "size", size, 4, 0), tuple(weight.spec.shape), **params)
    _check_gradient(grad, weight, g)
    out = b.output(grad.spec.dtype, size, convolved_strides(size, grad.spec, weight.spec))
    plan_conv2d_backward_input(b, channels_last(b, grad), channels_last(b, weight), out, g)


@conv2d_backward_input.backward
def _(ctx, grad):
    g, weight = ctx.saved
    p = ctx.params._asdict()
    del p["size"]
    return (
        conv2d(grad, weight, None, **p) if ctx.needs[0] else None,
        conv2d_backward_weight(g, grad, size=tuple(ctx.input_specs[1].shape), **p) if ctx.needs[1] else None,
    )


conv2d_backward_input.linear_in("grad")
conv2d_backward_input.linear_in("weight")


@conv2d_backward_input.batch
def _(batch, grad, weight, size, groups, **params):
    n, *image = size
    if batch.only(0):
        shape = (batch.size * n, *image)
        grads = conv2d_backward_input(rules.folded(grad), weight, size=shape, groups=groups, **params)
        return rules.unfolded(grads, batch.size)
    grad, weight = batch.all(grad, weight)
    shape = (n, batch.size * image[0], *image[1:])
    grads = conv2d_backward_input(
        rules.as_groups(grad), rules.folded(weight), size=shape, groups=batch.size * groups, **params
    )  # fmt: skip
    return rules.from_groups(grads, batch.size)


@conv2d_backward_input.flops
def _(inputs, out):
    return 2 * inputs[0].numel * inputs[1].numel // max(inputs[1].shape[0], 1)


@conv2d_backward_input.oracle
def _oracle_input(grad, weight, size, **params):
    g = _geometry(size, weight.shape, **params)
    (ph, pw), (sh, sw), (dh, dw) = g.padding, g.stride, g.dilation
    parts = grad.reshape(g.n, g.groups, g.k // g.groups, g.out_h, g.out_w)
    filters = weight.reshape(g.groups, g.k // g.groups, g.c // g.groups, g.r, g.s)
    spread = np.einsum("ngkpq,gkcrs->ngcrspq", parts, filters).reshape(g.n, g.c, g.r, g.s, g.out_h, g.out_w)
    padded = np.zeros((g.n, g.c, g.h + 2 * ph, g.w + 2 * pw), grad.dtype)
    for r in range(g.r):
        for s in range(g.s):
            rows = slice(r * dh, r * dh + sh * (g.out_h - 1) + 1, sh)
            columns = slice(s * dw, s * dw + sw * (g.out_w - 1) + 1, sw)
            padded[:, :, rows, columns] += spread[:, :, r, s]
    return padded[:, :, ph : ph + g.h, pw : pw + g.w]


conv2d_backward_weight = Op(
    "conv2d_backward_weight",
    ("grad", "input"),
    {"size": (), **_PARAMS},
    saves=("grad", "input"),
    node_name="ConvolutionBackwardWeightBackward0",
    bilinear=True,
    doc="Gradient of `conv2d` with respect to its weight of shape ``size``.",
)


@conv2d_backward_weight.plan
def _(b: PlanBuilder, grad: Operand, input: Operand, size: tuple[int, ...], **params: Any) -> None:
    g = _geometry(tuple(input.spec.shape), prove_ints("conv2d_backward_weight", "size", size, 4, 0), **params)
    _check_gradient(grad, input, g)
    out = b.output(grad.spec.dtype, size, convolved_strides(size, grad.spec, input.spec))
    plan_conv2d_backward_weight(b, channels_last(b, grad), channels_last(b, input), out, g)


@conv2d_backward_weight.backward
def _(ctx, grad):
    g, x = ctx.saved
    p = ctx.params._asdict()
    del p["size"]
    return (
        conv2d(x, grad, None, **p) if ctx.needs[0] else None,
        conv2d_backward_input(g, grad, size=tuple(ctx.input_specs[1].shape), **p) if ctx.needs[1] else None,
    )


conv2d_backward_weight.linear_in("grad")
conv2d_backward_weight.linear_in("input")


@conv2d_backward_weight.batch
def _(batch, grad, x, size, groups, **params):
    grad, x = batch.all(grad, x)
    k, *rest = size
    grads = conv2d_backward_weight(
        rules.as_groups(grad), rules.as_groups(x), size=(batch.size * k, *rest), groups=batch.size * groups, **params
    )  # fmt: skip
    return rules.unfolded(grads, batch.size)


@conv2d_backward_weight.flops
def _(inputs, out):
    return 2 * inputs[0].numel * out.numel // max(out.shape[0], 1)


@conv2d_backward_weight.oracle
def _oracle_weight(grad, x, size, **params):
    g = _geometry(x.shape, size, **params)
    windows = _windows(x, g).reshape(g.n, g.groups, g.c // g.groups, g.r, g.s, g.out_h, g.out_w)
    parts = grad.reshape(g.n, g.groups, g.k // g.groups, g.out_h, g.out_w)
    return np.einsum("ngkpq,ngcrspq->gkcrs", parts, windows).reshape(size)


conv2d_backward = Op(
    "conv2d_backward",
    ("grad", "input", "weight"),
    _PARAMS,
    outputs=("grad_input", "grad_weight"),
    public=2,
    doc="The results of `conv2d_backward_input` and `conv2d_backward_weight`, run side by side: one mostly reads, one writes.",
)


@conv2d_backward.plan
def _(b: PlanBuilder, grad: Operand, input: Operand, weight: Operand, **params: Any) -> None:
    g = _geometry(tuple(input.spec.shape), tuple(weight.spec.shape), **params)
    _check_dtypes(input, weight)
    _check_gradient(grad, weight, g)
    shapes = (tuple(input.spec.shape), tuple(weight.spec.shape))
    of_input, of_weight = (
        b.output(grad.spec.dtype, shape, convolved_strides(shape, input.spec, weight.spec)) for shape in shapes
    )
    grad, input, weight = (channels_last(b, operand) for operand in (grad, input, weight))
    b.together(
        lambda: plan_conv2d_backward_input(b, grad, weight, of_input, g),
        lambda: plan_conv2d_backward_weight(b, grad, input, of_weight, g),
    )


@conv2d_backward.flops
def _(inputs, out):
    return 4 * inputs[0].numel * inputs[2].numel // max(inputs[2].shape[0], 1)


@conv2d_backward.oracle
def _(grad, x, weight, **params):
    return (
        _oracle_input(grad, weight, x.shape, **params),
        _oracle_weight(grad, x, weight.shape, **params),
    )
