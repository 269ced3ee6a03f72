"""Interpolation along one dimension: each element of the result is a weighted sum of a few of the input's.

Interpolation of images and volumes is one of these for each dimension, one after the other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.errors import ShapeError
from numgrad.kernels.nearest import plan_take_nearest
from numgrad.kernels.taps import plan_sum_taps
from numgrad.layout import product, strides_like
from numgrad.ops import rules
from numgrad.ops.layouts import check_floating, with_strides
from numgrad.ops.proofs import prove_dim, prove_int, prove_ints
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

MODES = ("nearest", "nearest-exact", "linear", "cubic")
_BEND = -0.75  # of the cubic kernel (Keys 1981), as in torch
_PARAMS: dict[str, Any] = {"dim": 0, "size": 1, "mode": "linear", "step": 1.0, "aligned": False}

Taps = tuple[np.ndarray, np.ndarray]  # for each element of the result the elements that it reads, and their factors


def taps_of(extent: int, count: int, mode: str, step: float, aligned: bool) -> Taps:
    """The taps [count, K] of an interpolation from ``extent`` elements to ``count``, ``step`` apart.

    >>> places, weights = taps_of(2, 4, "linear", 0.5, False)
    >>> places.tolist(), weights.tolist()
    ([[0, 1], [0, 1], [0, 1], [1, 1]], [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [1.0, 0.0]])
    """
    index = np.arange(count)
    if mode in ("nearest", "nearest-exact"):  # in float32 whatever the dtype, as in torch
        shift = np.float32(0.5 if mode == "nearest-exact" else 0)
        # Positions far beyond every image would not be ints.
        places = np.minimum(
            np.floor((index.astype(np.float32) + shift) * np.float32(min(step, 1e30))), np.float32(2**62)
        )
        return np.minimum(places.astype(np.int64), extent - 1)[:, None], np.ones((count, 1))
    source = index * step if aligned else (index + 0.5) * step - 0.5
    if mode == "linear":
        source = np.clip(source, 0, extent - 1)
        low = np.floor(source).astype(np.int64)
        far = source - low
        return np.stack([low, np.minimum(low + 1, extent - 1)], 1), np.stack([1 - far, far], 1)
    source = np.clip(source, -3, extent + 3)  # where all taps are at an edge
    low = np.floor(source).astype(np.int64)
    places = np.clip(low[:, None] + np.arange(-1, 3), 0, extent - 1)
    distance = abs((source - low)[:, None] - np.arange(-1, 3))
    near = ((_BEND + 2) * distance - (_BEND + 3)) * distance * distance + 1
    far = ((_BEND * distance - 5 * _BEND) * distance + 8 * _BEND) * distance - 4 * _BEND
    return places, np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def _prove(name: str, ndim: int, dim: Any, size: Any, mode: Any, step: Any, aligned: Any, least: int) -> None:
    prove_dim(name, dim, ndim)
    prove_int(name, "size", size, least, (1 << 31) - 1)
    if mode not in MODES:
        raise ValueError(f"{name}: mode is {mode!r}, expected one of {MODES}")
    if step.__class__ is not float or not 0 <= step < math.inf:
        raise ValueError(f"{name}: step is {step!r}, expected a finite float that is not negative")
    if aligned.__class__ is not bool:
        raise TypeError(f"{name}: aligned is {aligned!r}, expected a bool")


def _around(spec: Any, dim: int) -> tuple[int, int]:
    """The numbers of elements around a dimension, outer and inner, of row-major order or with channels last."""
    order = (0, 2, 3, 1) if spec.is_channels_last() else tuple(range(spec.ndim))
    position = order.index(dim)
    return product([spec.shape[a] for a in order[:position]]), product([spec.shape[a] for a in order[position + 1 :]])


resample = Op(
    "resample",
    ("input",),
    _PARAMS,
    doc="""Interpolation of ``dim`` to ``size`` elements, whose positions in the input are ``step`` apart.

    ``mode`` is one of `MODES`; ``aligned`` puts the first elements on each other, else the edges. The result has the input's
    layout: channels last or row-major.
    """,
)


@resample.plan
def _(b: PlanBuilder, input: Operand, dim: int, size: int, mode: str, step: float, aligned: bool) -> None:
    spec = input.spec
    _prove("resample", spec.ndim, dim, size, mode, step, aligned, 1)
    check_floating("resample", input)
    extent = spec.shape[dim]
    if extent < 1:
        raise ShapeError(f"resample: dimension {dim} of {list(spec.shape)} has no elements to interpolate")
    shape = (*spec.shape[:dim], size, *spec.shape[dim + 1 :])
    out = b.output(spec.dtype, shape, strides_like(spec, shape))
    x = with_strides(b, input, strides_like(spec, tuple(spec.shape)))
    places, weights = taps_of(extent, size, mode, step, aligned)
    starts = np.arange(size + 1) * places.shape[1]
    outer, inner = _around(spec, dim)
    plan_sum_taps(b, x, out, (outer, extent, size, inner), starts, places.ravel(), weights.ravel())


@resample.backward
def _(ctx, grad):
    p = ctx.params
    extent = ctx.input_specs[0].shape[p.dim]
    return resample_backward(grad, dim=p.dim, size=extent, mode=p.mode, step=p.step, aligned=p.aligned)


resample.linear_in("input")
resample.batch(rules.along_dim)


def _matrix(extent: int, count: int, *mode: Any) -> np.ndarray:
    places, weights = taps_of(extent, count, *mode)
    matrix = np.zeros((count, extent))
    np.add.at(matrix, (np.arange(count)[:, None], places), weights)
    return matrix


@resample.oracle
def _(x, dim, size, mode, step, aligned):
    matrix = _matrix(x.shape[dim], size, mode, step, aligned)
    return np.moveaxis(np.tensordot(matrix, x, (1, dim)), 0, dim).astype(x.dtype)


resample_backward = Op(
    "resample_backward",
    ("grad",),
    _PARAMS,
    doc="Gradient of `resample` with respect to its input, whose ``dim`` has ``size`` elements.",
)


@resample_backward.plan
def _(b: PlanBuilder, grad: Operand, dim: int, size: int, mode: str, step: float, aligned: bool) -> None:
    spec = grad.spec
    _prove("resample_backward", spec.ndim, dim, size, mode, step, aligned, 1)
    check_floating("resample_backward", grad)
    count = spec.shape[dim]
    shape = (*spec.shape[:dim], size, *spec.shape[dim + 1 :])
    out = b.output(spec.dtype, shape, strides_like(spec, shape))
    g = with_strides(b, grad, strides_like(spec, tuple(spec.shape)))
    places, weights = taps_of(size, count, mode, step, aligned)
    # The taps by the elements that they read: in the order of the result, so that the sums are always the same.
    order = np.argsort(places.ravel(), kind="stable")
    starts = np.zeros(size + 1, np.int64)
    starts[1:] = np.cumsum(np.bincount(places.ravel(), minlength=size))
    readers = np.repeat(np.arange(count), places.shape[1])[order]
    outer, inner = _around(spec, dim)
    plan_sum_taps(b, g, out, (outer, count, size, inner), starts, readers, weights.ravel()[order])


@resample_backward.backward
def _(ctx, grad):
    p = ctx.params
    count = ctx.input_specs[0].shape[p.dim]
    return resample(grad, dim=p.dim, size=count, mode=p.mode, step=p.step, aligned=p.aligned)


resample_backward.linear_in("grad")
resample_backward.batch(rules.along_dim)


@resample_backward.oracle
def _(grad, dim, size, mode, step, aligned):
    matrix = _matrix(size, grad.shape[dim], mode, step, aligned)
    return np.moveaxis(np.tensordot(matrix.T, grad, (1, dim)), 0, dim).astype(grad.dtype)


# ---- by the nearest, along all dimensions at once ---------------------------------------------------------------

nearest = Op(
    "nearest",
    ("input",),
    {"extents": (), "mode": "nearest", "steps": ()},
    doc="""The elements of images [N, C, ...] that are nearest, in new ``extents``; positions along each are ``steps`` apart.

    ``mode`` is 'nearest' or 'nearest-exact'. The result has the input's layout: channels last or row-major.
    """,
)


@nearest.shown_as
def _(specs, needs, params):
    kind = "NearestExact" if params.mode == "nearest-exact" else "Nearest"
    return f"Upsample{kind}{len(params.extents)}DBackward0", None


@nearest.plan
def _(b: PlanBuilder, input: Operand, extents: Any, mode: str, steps: Any) -> None:
    spec, dims = input.spec, len(prove_ints("nearest", "extents", extents, None, 1))
    image = tuple(spec.shape[2:])
    if not 1 <= dims <= 3 or len(image) != dims or 0 in image or not isinstance(steps, tuple) or len(steps) != dims:
        raise ShapeError(f"nearest: input has shape {list(spec.shape)}, expected [N, C, ...] for extents {extents}")
    if mode not in MODES[:2]:
        raise ValueError(f"nearest: mode is {mode!r}, expected one of {MODES[:2]}")
    for axis, (size, step) in enumerate(zip(extents, steps, strict=True)):
        _prove("nearest", spec.ndim, axis, size, mode, step, False, 1)
    shape = (*spec.shape[:2], *extents)
    out = b.output(spec.dtype, shape, strides_like(spec, shape))
    x = with_strides(b, input, strides_like(spec, tuple(spec.shape)))
    tables = [np.zeros(1, np.int64)] * (3 - dims)
    for extent, size, step in zip(image, extents, steps, strict=True):
        tables.append(taps_of(extent, size, mode, step, False)[0][:, 0])
    channels = spec.shape[1] if spec.is_channels_last() else 1
    outer = spec.shape[0] * (1 if spec.is_channels_last() else spec.shape[1])
    plan_take_nearest(b, x, out, outer, channels, ((1,) * (3 - dims) + image), tables)


@nearest.backward
def _(ctx, grad):
    p, image = ctx.params, tuple(ctx.input_specs[0].shape[2:])
    for axis in in_order(image, p.extents)[::-1]:
        if p.steps[axis] != 1 or p.extents[axis] != image[axis]:
            grad = resample_backward(
                grad, dim=axis + 2, size=image[axis], mode=p.mode, step=p.steps[axis], aligned=False
            )
    return grad


def in_order(image: tuple[int, ...], size: tuple[int, ...]) -> list[int]:
    """The dimensions one after the other: what shrinks first, and of what grows the last, the slowest to write."""
    return sorted(range(len(image)), key=lambda d: (size[d] >= image[d], d if size[d] < image[d] else -d))


nearest.linear_in("input")
nearest.batch(rules.of_images)


@nearest.oracle
def _(x, extents, mode, steps):
    for axis, (size, step) in enumerate(zip(extents, steps, strict=True), 2):
        x = x.take(taps_of(x.shape[axis], size, mode, step, False)[0][:, 0], axis)
    return x
