"""Images at the points of a grid: one pass forwards and one for each gradient; what is differentiated again is made of
`grid_points` and `rows`."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.errors import ShapeError
from numgrad.kernels.grid_sample import (
    MANY,
    plan_sample_pixels,
    plan_sample_points,
    plan_slope_of_points,
    plan_spread_pixels,
    plan_spread_points,
)
from numgrad.layout import contiguous_strides, product
from numgrad.ops import rules
from numgrad.ops.elementwise import mul
from numgrad.ops.grid_points import grid_index, grid_weights, image_of, index_in_numpy, slopes_of, weights_in_numpy
from numgrad.ops.joining import stack
from numgrad.ops.layouts import check_floating, contiguous, plan_copy
from numgrad.ops.linalg import check_dtypes
from numgrad.ops.proofs import prove_shapes
from numgrad.ops.reduce import sum_
from numgrad.ops.rows import add_rows, row_products, sum_rows
from numgrad.ops.view import narrow, permute, reshape
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

_PARAMS: dict[str, Any] = {"mode": "bilinear", "padding": "zeros", "aligned": False}

grid_sample = Op(
    "grid_sample",
    ("input", "grid"),
    _PARAMS,
    saves=("input", "grid"),
    node_name="GridSampler2DBackward0",
    self_name="input",
    doc="""Images [N, C, H, W] (or volumes [N, C, D, H, W]) at points [N, P, Q, 2] (or [N, O, P, Q, 3]): [N, C, P, Q].

    Each is a weighted sum of the pixels under it, see `grid_weights`.
    """,
)


@grid_sample.shown_as
def _(specs, needs, params):
    return f"GridSampler{specs[0].ndim - 2}DBackward0", None


def _checked(name: str, input: Operand, grid: Operand, mode: Any, padding: Any, aligned: Any) -> Any:
    """The proved record, and the shape of the result."""
    shape, points = tuple(input.spec.shape), tuple(grid.spec.shape)
    check_floating(name, input)
    check_dtypes(name, input, grid)
    if len(shape) not in (4, 5) or len(points) != len(shape) or points[0] != shape[0] or 0 in shape[1:]:
        raise ShapeError(f"{name}: got {input.spec} and {grid.spec}, expected [N, C, ...] and [N, ..., axes]")
    image = image_of(name, grid, shape[2:], mode, padding, aligned)
    return image, (*shape[:2], *points[1:-1])


@grid_sample.plan
def _(b: PlanBuilder, input: Operand, grid: Operand, mode: str, padding: str, aligned: bool) -> None:
    image, shape = _checked("grid_sample", input, grid, mode, padding, aligned)
    out = b.output(input.spec.dtype, shape)
    if shape[1] < MANY:
        plan_sample_points(b, contiguous(b, input), contiguous(b, grid), image, out)
        return
    rows = _rows_of(b, out)
    plan_sample_pixels(b, contiguous(b, _with_last(input)), contiguous(b, grid), image, rows)
    plan_copy(b, rows, _with_last(out))


def _last(axes: Any) -> tuple[Any, ...]:
    """The second axis behind the others."""
    return (axes[0], *axes[2:], axes[1])


def _rows_of(b: PlanBuilder, out: Operand) -> Operand:
    """Scratch memory [N, ..., C] for an operand [N, C, ...]."""
    shape = _last(out.spec.shape)
    return b.scratch(out.spec.dtype, out.spec.numel).view(shape, contiguous_strides(shape))


def _with_last(x: Operand) -> Operand:
    """A view [N, ..., C] of an operand [N, C, ...]."""
    return x.view(_last(x.spec.shape), _last(x.spec.strides))


class _Parts:
    """What the sampled image is the sum of: rows of channels, and for each point their weights and numbers."""

    def __init__(self, input: Any, grid: Any, params: Any) -> None:
        n, self.channels, *image = input._spec.shape
        dims, points = len(image), product(grid._spec.shape[:-1])
        self.form = {"size": tuple(image), **params._asdict()}
        self.coordinates = reshape(grid, (points, dims))
        self.weights = grid_weights(self.coordinates, orders=(0,) * dims, **self.form)
        self.index = grid_index(self.coordinates, points=points // max(n, 1), **self.form)
        self.shape = (n, *grid._spec.shape[1:-1])

    def rows(self, x: Any) -> Any:
        """[N, C, ...] as rows of channels."""
        return reshape(
            permute(x, dims=(0, *range(2, x._spec.ndim), 1)),
            (product(x._spec.shape) // max(self.channels, 1), self.channels),
        )

    def image(self, rows: Any, shape: tuple[int, ...]) -> Any:
        """Rows of channels as [N, C, ...]."""
        n, c, *extents = shape
        ndim = len(shape)
        return permute(reshape(rows, (n, *extents, c)), dims=(0, ndim - 1, *range(1, ndim - 1)))

    def slopes(self) -> list[Any]:
        """The derivatives of the weights by each coordinate, x first."""
        return slopes_of(self.coordinates, (0,) * len(self.form["size"]), self.form)


@grid_sample.backward
def _(ctx, grad):
    x, grid = ctx.saved
    if not ctx.create_graph:
        return (
            grid_sample_backward(grad, grid, size=tuple(x._spec.shape[2:]), **ctx.params._asdict())
            if ctx.needs[0]
            else None,
            grid_sample_backward_grid(grad, x, grid, **ctx.params._asdict()) if ctx.needs[1] else None,
        )
    parts = _Parts(x, grid, ctx.params)
    rows, to_x, to_grid = parts.rows(grad), None, None
    if ctx.needs[0]:
        shape = tuple(x._spec.shape)
        added = add_rows(rows, parts.weights, parts.index, size=product(shape) // max(shape[1], 1))
        to_x = parts.image(added, shape)
    if ctx.needs[1]:
        products = row_products(rows, parts.rows(x), parts.index)
        columns = [sum_(mul(products, slope), dims=(1,)) for slope in parts.slopes()]
        to_grid = reshape(stack(*columns, dim=1), tuple(grid._spec.shape))
    return to_x, to_grid


@grid_sample.jvp
def _(ctx, to_x, to_grid):
    x, grid = ctx.inputs
    parts = _Parts(x, grid, ctx.params)
    total = None if to_x is None else sum_rows(parts.rows(to_x), parts.weights, parts.index)
    if to_grid is not None:
        dims = len(parts.form["size"])
        points = parts.coordinates._spec.shape[0]
        moved, to_weights = reshape(to_grid, (points, dims)), None
        for axis, slope in enumerate(parts.slopes()):
            to_weights = rules.added(to_weights, mul(slope, narrow(moved, 1, axis, 1)))
        total = rules.added(total, sum_rows(parts.rows(x), to_weights, parts.index))
    return parts.image(total, tuple(ctx.outputs[0]._spec.shape))


grid_sample.batch(rules.of_images)


@grid_sample.oracle
def _sampled(x, grid, **params):
    n, c, *image = x.shape
    rows = np.concatenate([np.moveaxis(x, 1, -1).reshape(-1, c), np.zeros((1, c))])
    points = grid.reshape(-1, len(image))
    form = {"size": tuple(image), **params}
    weights = weights_in_numpy(points, orders=(0,) * len(image), **form)
    index = index_in_numpy(points, points=len(points) // max(n, 1), **form)
    out = np.einsum("pt,ptc->pc", weights, rows[index]).reshape(*grid.shape[:-1], c)
    return np.moveaxis(out, -1, 1)


grid_sample_backward = Op(
    "grid_sample_backward",
    ("grad", "grid"),
    {"size": (1, 1), **_PARAMS},
    doc="Gradient of `grid_sample` with respect to its images, whose extents are ``size``.",
)


@grid_sample_backward.plan
def _(b: PlanBuilder, grad: Operand, grid: Operand, size: Any, mode: str, padding: str, aligned: bool) -> None:
    name = "grid_sample_backward"
    shape = tuple(grad.spec.shape)
    check_floating(name, grad)
    check_dtypes(name, grad, grid)
    image = image_of(name, grid, size, mode, padding, aligned)
    if len(shape) != image.axes + 2:
        raise ShapeError(f"{name}: grad has shape {list(shape)}, expected [N, C, ...]")
    prove_shapes(name, ("grid",), (grid,), (shape[0], *shape[2:], image.axes))
    out = b.output(grad.spec.dtype, (*shape[:2], *size))
    if shape[1] < MANY:
        plan_spread_points(b, contiguous(b, grad), contiguous(b, grid), image, out)
        return
    rows = _rows_of(b, out)
    plan_spread_pixels(b, contiguous(b, _with_last(grad)), contiguous(b, grid), image, rows)
    plan_copy(b, rows, _with_last(out))


@grid_sample_backward.batch
def _(batch, grad, grid, **params):
    grad, grid = batch.all(grad, grid)
    return rules.unfolded(grid_sample_backward(rules.folded(grad), rules.folded(grid), **params), batch.size)


@grid_sample_backward.oracle
def _(grad, grid, size, **params):
    out = np.zeros((*grad.shape[:2], product(size)))
    for pixel in range(product(size)):
        probe = np.zeros((grad.shape[0], 1, product(size)))
        probe[..., pixel] = 1
        seen = _sampled(probe.reshape(grad.shape[0], 1, *size), grid, **params)
        out[..., pixel] = (grad * seen).reshape(*grad.shape[:2], -1).sum(-1)
    return out.reshape(*grad.shape[:2], *size)


grid_sample_backward_grid = Op(
    "grid_sample_backward_grid",
    ("grad", "input", "grid"),
    _PARAMS,
    doc="Gradient of `grid_sample` with respect to its grid.",
)


@grid_sample_backward_grid.plan
def _(b: PlanBuilder, grad: Operand, input: Operand, grid: Operand, mode: str, padding: str, aligned: bool) -> None:
    name = "grid_sample_backward_grid"
    image, shape = _checked(name, input, grid, mode, padding, aligned)
    prove_shapes(name, ("grad",), (grad,), shape)
    check_dtypes(name, input, grad)
    out = b.output(grid.spec.dtype, tuple(grid.spec.shape))
    grad, input, grid = (contiguous(b, each) for each in (grad, input, grid))
    plan_slope_of_points(b, grad, input, grid, image, out)


grid_sample_backward_grid.batch(rules.of_images)


@grid_sample_backward_grid.oracle
def _(grad, x, grid, **params):
    n, c, *image = x.shape
    rows = np.concatenate([np.moveaxis(x, 1, -1).reshape(-1, c), np.zeros((1, c))])
    points, dims = grid.reshape(-1, len(image)), len(image)
    form = {"size": tuple(image), **params}
    index = index_in_numpy(points, points=len(points) // max(n, 1), **form)
    products = np.einsum("pc,ptc->pt", np.moveaxis(grad, 1, -1).reshape(-1, c), rows[index])
    orders = [tuple(int(axis == each) for each in range(dims)) for axis in reversed(range(dims))]
    slopes = [weights_in_numpy(points, orders=each, **form) for each in orders]
    return np.stack([(products * slope).sum(1) for slope in slopes], 1).reshape(grid.shape)
