"""Even bins of a histogram, and what falls into them."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.dtypes import float32, float64, int64
from numgrad.engine.constants import constant
from numgrad.engine.tape import modes
from numgrad.layout import product
from numgrad.registry import chain
from numgrad.tensor.arguments import as_number, cast, check_tensor
from numgrad.tensor.clamping import clamp_max
from numgrad.tensor.comparison import eq, ge, le
from numgrad.tensor.creation import zeros
from numgrad.tensor.joined import LARGEST
from numgrad.tensor.joining import cat
from numgrad.tensor.known import knowing
from numgrad.tensor.pointwise import add, div, mul, sub, where
from numgrad.tensor.shaping import contiguous, expand, narrow, reshape
from numgrad.tensor.statistics import aminmax

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def range_of(op: str, low: Any, high: Any, margin: float) -> tuple[float, float]:
    """The outer edges of equal bins; if both are the same, so far beside them."""
    for bound in (low, high):
        if as_number(bound) is None:
            raise TypeError(f"{op}(): the bounds must be Numbers, not {type(bound).__name__}")
    low, high = float(low), float(high)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{op}: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"{op}: max must be larger than min, got [{low}, {high}]")
    return (low - margin, high + margin) if low == high else (low, high)


def of_few(name: str, input: Tensor, bins: Sequence[Any], range: Any, columns: int) -> Any:
    """The heights and the edges of even bins for few points, by ops, of which one number is read; else None."""
    spec = check_tensor(name, "input", input)._spec
    is_plain = spec.dtype in (float32, float64) and 0 < spec.numel <= LARGEST and len(bins) == columns
    if not is_plain or chain.wrappers or modes.capture is not None:
        return None
    counts = tuple(bins)
    if {int} != {each.__class__ for each in counts} or builtins.min(counts) < 1:
        return None
    limits: list[float] = []
    if range is not None:
        if not isinstance(range, (tuple, list)) or len(range) != 2 * columns:
            return None
        for k in builtins.range(0, 2 * columns, 2):
            limits += range_of("histogram", range[k], range[k + 1], 0.5)
    if product(tuple([count + 1 for count in counts])) > LARGEST:
        return None
    *few, is_finite = _even_bins(input.detach(), counts, *limits)
    return few if is_finite.item() else None


@knowing
def _even_bins(input: Tensor, counts: tuple[int, ...], *limits: float) -> Any:
    """Heights, the edges of each column, and whether the bounds are finite. Edges are computed as by NumPy's ``linspace``."""
    points, dtype = reshape(input, (-1, len(counts))), input._spec.dtype
    if not limits:
        ends = [cast(each, float64) for each in aminmax(points, dim=0)]
        bounds = [tuple(reshape(narrow(end, 0, k, 1), ()) for end in ends) for k in range(len(counts))]
    else:
        lines = [constant(end, float64) for end in limits]
        bounds = list(zip(lines[::2], lines[1::2], strict=True))  # type: ignore[arg-type]
    edges: list[Tensor] = []
    is_finite: Any = None
    flat: Any = None
    for column, (count, (low, high)) in enumerate(zip(counts, bounds, strict=True)):
        both = eq(sub(high, low), sub(high, low)) & eq(sub(low, low), sub(high, high))  # no infinity, no NaN
        is_finite = both if is_finite is None else is_finite & both
        same = eq(low, high)
        low, high = where(same, sub(low, 0.5), low), where(same, add(high, 0.5), high)
        step = div(sub(high, low), float(count))
        numbers = ops.creation.arange(start=0, step=1, count=count, dtype=float64)
        edges.append(cast(cat([add(mul(numbers, step), low), reshape(high, (1,))]), dtype))
        places = ops.sort.find_bins(points, edges[-1], column=column, scale=0.0)
        flat = places if flat is None else add(mul(flat, count + 1), places)
    heights = reshape(counted(flat, product([count + 1 for count in counts])), tuple(count + 1 for count in counts))
    for axis, count in enumerate(counts):
        heights = narrow(heights, axis, 0, count)
    return contiguous(cast(heights, dtype)), *edges, is_finite


def few_heights(input: Tensor, bins: int, low: Any, high: Any) -> Tensor | None:
    """The heights of `histc` for few elements, by ops, of which one number is read; else None."""
    spec = input._spec
    is_plain = spec.dtype in (float32, float64) and 0 < spec.numel <= LARGEST and 0 < bins <= LARGEST
    if not is_plain or chain.wrappers or modes.capture is not None or {low.__class__, high.__class__} - {int, float}:
        return None
    heights, is_finite = _even_heights(
        input.detach(), bins, *(() if low == high else range_of("histc", low, high, 1.0))
    )
    return heights if is_finite.item() else None  # type: ignore[no-any-return]


@knowing
def _even_heights(input: Tensor, bins: int, *limits: float) -> tuple[Tensor, Tensor]:
    """Heights, and whether the bounds and the width are finite numbers of the dtype."""
    still, dtype = reshape(input, (input._spec.numel,)), input._spec.dtype
    ends = [constant(end, float64) for end in limits] or [cast(end, float64) for end in aminmax(still)]
    same = eq(ends[0], ends[1])
    wide = where(same, sub(ends[0], 1.0), ends[0]), where(same, add(ends[1], 1.0), ends[1])
    low, high = cast(wide[0], dtype), cast(wide[1], dtype)
    width = sub(high, low)
    parts = div(mul(sub(still, low), bins), width)
    is_inside = ge(still, low) & le(still, high) & ge(parts, 0)  # a width that is no number makes places that are none
    return contiguous(heights_of(parts, is_inside, bins, dtype)), eq(sub(width, width), 0)


def heights_of(parts: Tensor, is_inside: Tensor, bins: int, dtype: Any) -> Tensor:
    """How many elements, of those inside, are in each bin, for elements in units of bins; the upper edge is in the last."""
    counts = counted(cast(where(is_inside, clamp_max(parts, bins - 1), bins), int64), bins + 1)
    return cast(narrow(counts, 0, 0, bins), dtype)


@knowing
def counted(places: Tensor, count: int) -> Tensor:
    """How often each of ``count`` places is named."""
    ones = expand(constant(1, int64), tuple(places._spec.shape))  # type: ignore[arg-type]
    return ops.index.scatter_add(zeros(count, dtype=int64), places, ones, dim=0)  # type: ignore[no-any-return]
