"""Margins that go on from the input; see `kernels.margins`."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.errors import ShapeError
from numgrad.kernels.margins import plan_continue, plan_gather_margins
from numgrad.ops import rules
from numgrad.ops.layouts import contiguous
from numgrad.ops.proofs import prove_ints
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

MODES = ("reflect", "replicate", "circular")
_PARAMS: dict[str, Any] = {"mode": "reflect", "before": (0, 0, 0), "after": (0, 0, 0)}


def places_of(mode: str, extent: int, before: int, after: int) -> np.ndarray:
    """Which element of ``extent`` each one of the result is; negative amounts cut.

    >>> places_of("reflect", 3, 2, 1).tolist(), places_of("circular", 3, 1, -1).tolist()
    ([2, 1, 0, 1, 2, 1], [1, 0, 1])
    """
    places = np.arange(-before, extent + after)
    if mode == "replicate":
        return places.clip(0, max(extent - 1, 0))
    if mode == "circular":
        kept = np.arange(max(0, -before), extent - max(0, -after))
        return kept[np.arange(-max(0, before), len(kept) + max(0, after)) % max(len(kept), 1)]
    return extent - 1 - abs(extent - 1 - abs(places))


def _tables(name: str, extents: Any, mode: Any, before: Any, after: Any) -> list[np.ndarray]:
    """The proved tables of three axes."""
    prove_ints(name, "before", before, 3)
    prove_ints(name, "after", after, 3)
    if mode not in MODES:
        raise ValueError(f"{name}: mode is {mode!r}, expected one of {MODES}")
    tables = []
    for extent, first, last in zip(extents, before, after, strict=True):
        most, kept = max(first, last), extent + min(first, 0) + min(last, 0)
        limit = {"reflect": extent - 1, "circular": extent if kept > 0 else 0, "replicate": most if extent else 0}[mode]
        if most > max(limit, 0) or extent + first + last < 0:
            raise ShapeError(f"{name}: margins ({first}, {last}) do not fit {extent} elements with mode {mode!r}")
        tables.append(places_of(mode, extent, first, last))
        if len(tables[-1]) and not 0 <= tables[-1].min() <= tables[-1].max() < extent:
            raise ShapeError(f"{name}: margins ({first}, {last}) leave nothing of {extent} elements with mode {mode!r}")
    return tables


continued = Op(
    "continued",
    ("input",),
    _PARAMS,
    doc="The input [N, D, H, W] with margins of its last three dimensions: mirrored, its edge's, or from the other side.",
)


@continued.plan
def _(b: PlanBuilder, input: Operand, mode: str, before: Any, after: Any) -> None:
    if input.spec.ndim != 4:
        raise ShapeError(f"continued: input has shape {list(input.spec.shape)}, expected [N, D, H, W]")
    tables = _tables("continued", input.spec.shape[1:], mode, before, after)
    out = b.output(input.spec.dtype, (input.spec.shape[0], *map(len, tables)))
    plan_continue(b, contiguous(b, input), out, tables)


@continued.backward
def _(ctx, grad):
    return continued_backward(grad, size=tuple(ctx.input_specs[0].shape), **ctx.params._asdict())


continued.linear_in("input")


@continued.batch
def _(batch, x, **params):
    return rules.unfolded(continued(rules.folded(x), **params), batch.size)


@continued.oracle
def _(x, mode, before, after):
    for axis, (extent, first, last) in enumerate(zip(x.shape[1:], before, after, strict=True), 1):
        x = x.take(places_of(mode, extent, first, last), axis)
    return x


continued_backward = Op(
    "continued_backward",
    ("grad",),
    {"size": (), **_PARAMS},
    doc="Gradient of `continued` with respect to its input of shape ``size``.",
)


@continued_backward.plan
def _(b: PlanBuilder, grad: Operand, size: Any, mode: str, before: Any, after: Any) -> None:
    prove_ints("continued_backward", "size", size, 4, 0)
    tables = _tables("continued_backward", size[1:], mode, before, after)
    shape = (size[0], *map(len, tables))
    if tuple(grad.spec.shape) != shape:
        raise ShapeError(f"continued_backward: grad has shape {list(grad.spec.shape)}, expected {list(shape)}")
    out = b.output(grad.spec.dtype, size)
    plan_gather_margins(b, contiguous(b, grad), out, tables)


@continued_backward.backward
def _(ctx, grad):
    p = ctx.params._asdict()
    del p["size"]
    return continued(grad, **p)


continued_backward.linear_in("grad")


@continued_backward.batch
def _(batch, grad, size, **params):
    out = continued_backward(rules.folded(grad), size=(size[0] * batch.size, *size[1:]), **params)
    return rules.unfolded(out, batch.size)


@continued_backward.oracle
def _(grad, size, mode, before, after):
    out = np.zeros(size, grad.dtype)
    tables = [places_of(mode, n, first, last) for n, first, last in zip(size[1:], before, after, strict=True)]
    rows = np.arange(size[0])
    np.add.at(out, np.ix_(rows, *tables), grad)
    return out
