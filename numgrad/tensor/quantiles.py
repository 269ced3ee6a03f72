"""Medians, modes and quantiles: elements chosen by their rank, to which the gradients go."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.engine.tape import TensorBase, modes
from numgrad.registry import chain
from numgrad.tensor.arguments import as_number, cast, check_tensor, wrap_dim
from numgrad.tensor.comparison import eq, lt, ne
from numgrad.tensor.creation import full, tensor
from numgrad.tensor.indexing import gather
from numgrad.tensor.pointwise import add, mul, sub, where
from numgrad.tensor.reductions import any, argmax, sum
from numgrad.tensor.results import MedianResult, ModeResult, NanmedianResult
from numgrad.tensor.shaping import clone, drop_base_of_copy, narrow, permute, reshape, squeeze, unsqueeze, view
from numgrad.tensor.sorting import flag, refuse_empty
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_s = ops.sort


# ---- medians and modes ------------------------------------------------------------------------------------------


def _picked(input: Tensor, indices: Tensor, axis: int, keepdim: builtins.bool) -> tuple[Tensor, Tensor]:
    """The elements that indices with an extent of 1 at ``axis`` name, to which the gradient goes."""
    values = gather(input, axis, indices)
    return (values, indices) if keepdim else (squeeze(values, axis), squeeze(indices, axis))


def _median(name: str, input: Tensor, dim: Any, keepdim: Any, result: Any, pick: Any) -> Any:
    check_tensor(name, "input", input)
    flag(name, "keepdim", keepdim)
    if dim is None:
        if keepdim:
            raise TypeError(f"{name}(): argument 'keepdim' goes with a dim")
        if input._spec.numel == 0:
            return cast(full((), float("nan")), input._spec.dtype)
        return _shared(reshape(input, -1), pick)
    axis = wrap_dim(name, dim, input._spec.ndim)
    refuse_empty(name, input, axis)
    if input._spec.ndim:
        return result(pick(input, axis, keepdim))
    return result(tuple(reshape(part, ()) for part in pick(view(input, 1), 0, False)))


def _shared(input: Tensor, pick: Any) -> Tensor:
    """The element of a vector that ``pick`` chooses; equal ones share the gradient, as those of `max` do."""
    value = pick(input.detach(), 0, False)[0]
    if not chain.wrappers and not (modes.grad_enabled and input.requires_grad):  # nothing follows how it moves
        return value  # type: ignore[no-any-return]
    if not input._spec.dtype.is_floating_point:
        return value  # type: ignore[no-any-return]
    is_alike = eq(input.detach(), value) | (ne(input.detach(), input.detach()) & ne(value, value))
    side = where(eq(value, -math.inf), -1.0, 1.0)  # on which nothing but the elements that are alike is infinite
    top = ops.reduce.amax(where(is_alike, mul(input, side), -math.inf), dims=(0,), keepdim=False, nans=True)
    return mul(top, side)


def _lower_median(input: Tensor, axis: int, keepdim: builtins.bool) -> tuple[Tensor, Tensor]:
    middle = (input._spec.shape[axis] + 1) // 2
    return _s.kthvalue(input, k=middle, dim=axis, keepdim=keepdim, nans=True)  # type: ignore[no-any-return]


def _lower_median_of_numbers(input: Tensor, axis: int, keepdim: builtins.bool) -> tuple[Tensor, Tensor]:
    if not input._spec.dtype.is_floating_point:
        return _lower_median(input, axis, keepdim)
    return _s.nanmedian(input, dim=axis, keepdim=keepdim)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def median(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Any:
    """The median of all elements, or along ``dim`` a pair (values, indices). Of an even number the lower of the middle ones.

    Of all elements those that are equal to it share the gradient; else it goes to the one of the index.

    NaN if there is a NaN, or no element at all.

    Raises
    ------
    IndexError
        There is no such dimension, or it has no elements.

    >>> import numgrad as ng
    >>> ng.median(ng.tensor([4.0, 1.0, 3.0, 2.0])), ng.median(ng.tensor([[3, 1, 2]]), dim=1).indices
    (tensor(2.), tensor([2]))
    """
    return _median("median", input, dim, keepdim, MedianResult, _lower_median)


@public("function", "method", known=True)
def nanmedian(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Any:
    """`median` of the elements that are not NaN; NaN if all are.

    Raises
    ------
    IndexError
        As `median`.

    >>> import math
    >>> import numgrad as ng
    >>> ng.nanmedian(ng.tensor([4.0, math.nan, 1.0, 3.0]))
    tensor(3.)
    """
    return _median("nanmedian", input, dim, keepdim, NanmedianResult, _lower_median_of_numbers)


@public("function", "method", known=True)
def mode(input: Tensor, dim: int = -1, keepdim: builtins.bool = False) -> Any:
    """The most frequent element along a dimension, and the last rank where it is, as a pair (values, indices).

    Of several that are as frequent the smallest counts.

    Raises
    ------
    IndexError
        There is no such dimension, or it has no elements.

    >>> import numgrad as ng
    >>> ng.mode(ng.tensor([3, 1, 2, 3, 1])).values
    tensor(1)
    """
    axis = wrap_dim("mode", dim, check_tensor("mode", "input", input)._spec.ndim)
    flag("mode", "keepdim", keepdim)
    refuse_empty("mode", input, axis)
    if not input._spec.ndim:
        return ModeResult((clone(input), full((), 0, dtype=dtypes.int64)))
    values, order = _s.sort(input.detach(), dim=axis, descending=False)
    count = input._spec.shape[axis]
    begins = ne(narrow(values, axis, 1, count - 1), narrow(values, axis, 0, count - 1))
    places = ops.creation.arange(start=0, step=1, count=count, dtype=dtypes.int64)
    places = view(places, tuple(count if d == axis else 1 for d in range(input._spec.ndim)))
    first = where(begins, narrow(places, axis, 1, count - 1), 0)
    first = ops.joining.cat(_zeros_at(values, axis), first, dim=axis)
    runs = sub(places, ops.scan.cummax(first, dim=axis)[0])  # each element's rank in its run
    return ModeResult(_picked(input, gather(order, axis, argmax(runs, axis, keepdim=True)), axis, keepdim))


def _zeros_at(values: Tensor, axis: int) -> Tensor:
    shape = tuple(1 if d == axis else n for d, n in enumerate(values._spec.shape))
    return full(shape, 0, dtype=dtypes.int64)


# ---- quantiles --------------------------------------------------------------------------------------------------

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _checked_quantiles(name: str, input: Tensor, q: Any, keepdim: Any, interpolation: Any) -> Tensor:
    """q as a tensor of the input's dtype."""
    spec = check_tensor(name, "input", input)._spec
    flag(name, "keepdim", keepdim)
    if interpolation not in INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if not spec.dtype.is_floating_point:
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype; convert with .float() first")
    if spec.numel == 0:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if not isinstance(q, TensorBase):
        if (number := as_number(q)) is None:
            raise TypeError(f"{name}(): argument 'q' must be Tensor or float, not {type(q).__name__}")
        if not 0 <= number <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {number}")
        return tensor(float(number), dtype=spec.dtype)
    vector: Any = q
    if vector.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor, got shape {list(vector.shape)}")
    if vector.dtype is not spec.dtype:
        raise RuntimeError(
            f"{name}() q tensor must be same dtype as the input tensor: {vector.dtype}, not {input.dtype}"
        )
    if not builtins.all(0 <= number <= 1 for number in view(vector.detach(), -1).tolist()):
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    return vector  # type: ignore[no-any-return]


def _quantile(name: str, input: Tensor, q: Any, dim: Any, keepdim: Any, interpolation: Any, skips: bool) -> Tensor:
    q = _checked_quantiles(name, input, q, keepdim, interpolation)
    ndim = input._spec.ndim
    axis = None if dim is None else wrap_dim(name, dim, ndim)
    if axis is None or not ndim:
        lines = reshape(input, -1)
    else:
        lines = permute(input, *(d for d in range(ndim) if d != axis), axis)
    quantiles = _of_lines(lines, view(q, -1), interpolation, skips)  # [..., number of quantiles]
    if keepdim and ndim:
        quantiles = unsqueeze(quantiles, axis) if axis is not None else reshape(quantiles, (1,) * ndim + (-1,))
    last = quantiles._spec.ndim - 1
    moved = permute(quantiles, (last, *range(last))) if q._spec.ndim else squeeze(quantiles, last)
    return drop_base_of_copy(moved, input)


def _of_lines(lines: Tensor, q: Tensor, interpolation: str, skips: bool) -> Tensor:
    count = lines._spec.shape[-1]
    values = _s.sort(lines, dim=lines._spec.ndim - 1, descending=False)[0]
    missing = ne(lines.detach(), lines.detach())
    if skips:
        last = (count - 1 - sum(missing, -1, keepdim=True)).clamp(min=0)
        ranks = mul(q, cast(last, q._spec.dtype))
    else:  # NaN is last, and so is the quantile
        ranks = where(any(missing, -1, keepdim=True), float(count - 1), mul(q, float(count - 1)))
    still = ranks.detach()
    if interpolation in ("lower", "higher", "nearest"):
        rank = (
            still.floor() if interpolation == "lower" else still.ceil() if interpolation == "higher" else still.round()
        )
        return gather(values, -1, cast(rank, dtypes.int64))
    below = still.floor()
    low, high = (gather(values, -1, cast(rank, dtypes.int64)) for rank in (below, still.ceil()))
    if interpolation == "midpoint":
        weight: Any = 0.5
        near, far = high, low
    else:  # from the nearer of the two, so that equal ones give themselves, and no difference overflows
        weight = sub(ranks, below)
        is_low = lt(weight.detach(), 0.5)
        near, far = where(is_low, low, high), where(is_low, high, low)
        weight = where(is_low, weight, sub(1.0, weight))
    return add(near, sub(mul(far, weight), mul(near, weight)))


@public("function", "method", known=True)
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: builtins.bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The q-quantiles of all elements, or along ``dim``: the value at rank q * (n - 1). NaN if there is a NaN.

    q
        A number from 0 to 1, or a vector of them in the input's dtype; then the quantiles are in a new first dimension.
    interpolation
        Between two elements: ``linear``, ``lower``, ``higher``, ``midpoint`` or ``nearest``.

    Raises
    ------
    RuntimeError
        The input has no elements or is not of floating point, q is out of range, or the interpolation is unknown.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> x = ng.tensor([1.0, 2.0, 4.0])
    >>> ng.quantile(x, 0.75), ng.quantile(x, ng.tensor([0.0, 0.5]))
    (tensor(3.), tensor([1., 2.]))
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@public("function", "method", known=True)
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: builtins.bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """`quantile` of the elements that are not NaN; NaN if all are.

    Raises
    ------
    RuntimeError, IndexError
        As `quantile`.

    >>> import math
    >>> import numgrad as ng
    >>> ng.nanquantile(ng.tensor([math.nan, 1.0, 2.0]), 0.5)
    tensor(1.5000)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)
