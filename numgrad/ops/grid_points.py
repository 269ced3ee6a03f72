"""The pixels under the points of a grid and their weights; `rows.sum_rows` makes the image of them.

A weight is a product of one along each axis. Its derivative along an axis is such a product again, of the derivative there, so
one op with an order of differentiation for each axis has gradients of all orders.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import ShapeError
from numgrad.kernels.grid_points import (
    BORDER,
    CUBIC,
    LINEAR,
    NEAREST,
    REFLECTION,
    TAPS,
    ZEROS,
    Image,
    Orders,
    plan_find_pixels,
    plan_weigh_points,
)  # fmt: skip
from numgrad.layout import product
from numgrad.ops import rules
from numgrad.ops.creation import arange
from numgrad.ops.elementwise import lt, mul, sub, where
from numgrad.ops.joining import stack
from numgrad.ops.layouts import check_floating, contiguous
from numgrad.ops.proofs import prove_int, prove_ints
from numgrad.ops.reduce import sum_
from numgrad.ops.view import reshape, slice_
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

MODES = {"nearest": NEAREST, "bilinear": LINEAR, "bicubic": CUBIC}
PADDINGS = {"zeros": ZEROS, "border": BORDER, "reflection": REFLECTION}
_PARAMS: dict[str, Any] = {"size": (1, 1), "mode": "bilinear", "padding": "zeros", "aligned": False}
_MOST_ORDER = 63


def image_of(name: str, grid: Operand, size: Any, mode: Any, padding: Any, aligned: Any, ndim: int = 0) -> Image:
    """The proved record, for a grid [..., axes] with ``ndim`` dimensions, or one for each axis and two."""
    check_floating(name, grid)
    if mode not in MODES or padding not in PADDINGS:
        raise ValueError(
            f"{name}: mode {mode!r} and padding {padding!r}, expected one of {[*MODES]} and of {[*PADDINGS]}"
        )
    if aligned.__class__ is not bool:
        raise TypeError(f"{name}: aligned is {aligned!r}, expected a bool")
    extents = prove_ints(name, "size", size)
    if len(extents) not in (2, 3) or min(extents) < 1 or (mode == "bicubic" and len(extents) == 3):
        raise ShapeError(
            f"{name}: size is {size}, expected two or three extents of at least 1, two with mode 'bicubic'"
        )
    if grid.spec.ndim != (ndim or len(extents) + 2) or grid.spec.shape[-1] != len(extents):
        want = "P" if ndim else "N, ..."
        raise ShapeError(f"{name}: grid has shape {list(grid.spec.shape)}, expected [{want}, {len(extents)}]")
    depth, height, width = (1,) * (3 - len(extents)) + extents
    return Image(depth, height, width, len(extents), MODES[mode], PADDINGS[padding], int(aligned))


def _taps(image: Image) -> int:
    return int(TAPS[image.mode] ** image.axes)


grid_weights = Op(
    "grid_weights",
    ("grid",),
    {**_PARAMS, "orders": (0, 0)},
    saves=("grid",),
    doc="""The weights [P, T] of the pixels that interpolation of an image of ``size`` sums at points [P, axes], (x, y, z).

    Coordinates go from -1 to 1, T counts the taps row-major; ``orders`` say how often the weights are differentiated by the
    coordinates, in the order of ``size``.
    """,
)


@grid_weights.plan
def _(b: PlanBuilder, grid: Operand, size: Any, mode: str, padding: str, aligned: bool, orders: Any) -> None:
    name = "grid_weights"
    image = image_of(name, grid, size, mode, padding, aligned, 2)
    if max(prove_ints(name, "orders", orders, image.axes, 0)) > _MOST_ORDER:
        raise ValueError(f"{name}: orders are {orders}, expected at most {_MOST_ORDER}")
    out = b.output(grid.spec.dtype, (grid.spec.shape[0], _taps(image)))
    plan_weigh_points(b, contiguous(b, grid), image, Orders(*(0,) * (3 - image.axes), *orders), out)


def slopes_of(grid: Any, orders: tuple[int, ...], form: dict[str, Any]) -> list[Any]:
    """The derivatives of weights of these orders by each coordinate, x first."""
    axes = range(len(orders) - 1, -1, -1)
    more = [tuple(order + (axis == each) for each, order in enumerate(orders)) for axis in axes]
    return [grid_weights(grid, orders=each, **form) for each in more]


def _slopes(grid: Any, params: Any) -> list[Any]:
    p = params._asdict()
    return slopes_of(grid, p.pop("orders"), p)


@grid_weights.backward
def _(ctx, grad):
    (grid,) = ctx.saved
    return stack(*[sum_(mul(grad, slope), dims=(1,)) for slope in _slopes(grid, ctx.params)], dim=1)


@grid_weights.jvp
def _(ctx, tangent):
    (grid,) = ctx.inputs
    total = None
    for axis, slope in enumerate(_slopes(grid, ctx.params)):
        total = rules.added(
            total, mul(slope, slice_(tangent, starts=(0, axis), sizes=(tangent._spec.shape[0], 1), steps=(1, 1)))
        )
    return total


@grid_weights.batch
def _(batch, grid, **params):
    return rules.unfolded(grid_weights(rules.folded(grid), **params), batch.size)


grid_index = Op(
    "grid_index",
    ("grid",),
    {**_PARAMS, "points": 1},
    differentiable=False,
    doc="""The row-major numbers [P, T] of the pixels whose weights are `grid_weights`, -1 beyond an image.

    Of ``points`` points each, images lie behind one another.
    """,
)


@grid_index.plan
def _(b: PlanBuilder, grid: Operand, size: Any, mode: str, padding: str, aligned: bool, points: int) -> None:
    image = image_of("grid_index", grid, size, mode, padding, aligned, 2)
    prove_int("grid_index", "points", points, 0, (1 << 62) - 1)
    out = b.output(dtypes.int64, (grid.spec.shape[0], _taps(image)))
    plan_find_pixels(b, contiguous(b, grid), image, points, out)


@grid_index.batch
def _(batch, grid, points, size, **params):
    index = rules.unfolded(grid_index(rules.folded(grid), points=points, size=size, **params), batch.size)
    images = grid._spec.shape[1] // max(points, 1) * product(size)  # pixels of an example
    first = arange(start=0, step=images, count=batch.size, dtype=dtypes.int64)
    return where(lt(index, 0), index, sub(index, reshape(first, (batch.size, 1, 1))))


# ---- the same in NumPy -------------------------------------------------------------------------------------------

_KEYS = np.array([[-0.75, 3.75, -6, 3], [1.25, -2.25, 0, 1]])  # cubic polynomials of the distance: beyond 1, and below


def _positions(x: np.ndarray, extent: int, mode: str, padding: str, aligned: bool) -> tuple[np.ndarray, np.ndarray]:
    """Positions in pixels, and their slopes."""
    scale = (extent - 1 if aligned else extent) / 2
    at = x * scale + (extent - 1) / 2
    inside, slope = (at, np.ones_like(at)) if mode == "bicubic" else _padded(at, extent, padding, aligned)
    return inside, slope * scale


def _padded(at: np.ndarray, extent: int, padding: str, aligned: bool) -> tuple[np.ndarray, np.ndarray]:
    slope = np.ones_like(at)
    if padding == "zeros":
        return at, slope
    if padding == "reflection":
        low, span = (0, max(extent - 1, 1)) if aligned else (-0.5, extent)
        wave = np.mod(at - low, 2 * span)  # of the image, and of its reflection behind it
        at, slope = np.where(wave > span, 2 * span - wave, wave) + low, np.where(wave > span, -1.0, 1.0)
    return at.clip(0, extent - 1), np.where((at <= 0) | (at >= extent - 1), 0, slope)


def _weights_of(far: np.ndarray, mode: str, order: int) -> list[np.ndarray]:
    if mode == "nearest":
        return [np.full_like(far, order == 0)]
    if mode == "bilinear":
        return [1 - far, far] if order == 0 else [np.full_like(far, sign * (order == 1)) for sign in (-1, 1)]
    columns = []
    for tap in range(4):
        sign, shift = (1, 1 - tap) if tap < 2 else (-1, tap - 1)
        columns.append(np.polyval(np.polyder(_KEYS[int(tap in (1, 2))], order), sign * far + shift) * sign**order)
    return columns


@grid_weights.oracle
def weights_in_numpy(grid, size, mode, padding, aligned, orders):
    factors = []
    for axis, (extent, order) in enumerate(zip(size, orders, strict=True)):
        at, slope = _positions(grid[:, len(size) - 1 - axis], extent, mode, padding, aligned)
        factors.append([weight * slope**order for weight in _weights_of(at - np.floor(at), mode, order)])
    return np.stack([np.prod(taps, 0) for taps in itertools.product(*factors)], 1)


@grid_index.oracle
def index_in_numpy(grid, size, mode, padding, aligned, points):
    pixels = []
    for axis, extent in enumerate(size):
        at, _ = _positions(grid[:, len(size) - 1 - axis], extent, mode, padding, aligned)
        near = (
            [np.rint(at)]
            if mode == "nearest"
            else [np.floor(at) + k for k in ((0, 1) if mode == "bilinear" else range(-1, 3))]
        )
        near = [_padded(each, extent, padding, aligned)[0] for each in near] if mode == "bicubic" else near
        pixels.append([np.where((each >= 0) & (each <= extent - 1), each, -1).astype(np.int64) for each in near])
    first = np.arange(len(grid)) // max(points, 1)
    columns = []
    for taps in itertools.product(*pixels):
        number = first
        for pixel, extent in zip(taps, size, strict=True):
            number = number * extent + pixel
        columns.append(np.where(np.min(taps, 0) < 0, -1, number))
    return np.stack(columns, 1)
