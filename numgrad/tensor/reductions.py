"""Reductions: torch's names and arguments over the ops."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase
from numgrad.layout import product
from numgrad.tensor.arguments import cast, check_tensor, reduced_dims, wrap_dim
from numgrad.tensor.pointwise import abs, clone, maximum, minimum, sub
from numgrad.tensor.shaping import reshape

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


_r = ops.reduce


def sum(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, dtype: Dtype | None = None) -> Tensor:
    """Sum of the elements, over all dimensions or those given; of integers in int64.

    >>> import numgrad as ng
    >>> ng.sum(ng.ones(2, 3), dim=1)
    tensor([3., 3.])
    """
    check_tensor("sum", "input", input)
    if dtype is not None:
        input = cast(input, dtype)
    return _r.sum_(input, dims=reduced_dims("sum", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def mean(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """Mean of the elements, over all dimensions or those given.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.
    """
    check_tensor("mean", "input", input)
    return _r.mean(input, dims=reduced_dims("mean", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def prod(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Tensor:
    """Product of the elements."""
    return _r.prod(input, dims=reduced_dims("prod", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def var(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, correction: int = 1) -> Tensor:
    """Variance: the squared distances from the mean, summed and divided by n - correction."""
    centred, dims, divisor = _deviations("var", input, dim, correction)
    return _r.squares(centred, dims=dims, keepdim=keepdim, divisor=divisor)  # type: ignore[no-any-return]


def std(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, correction: int = 1) -> Tensor:
    """Standard deviation: the square root of `var`. Where it is 0, so is its slope."""
    centred, dims, divisor = _deviations("std", input, dim, correction)
    return _r.norm(centred, dims=dims, keepdim=keepdim, divisor=divisor)  # type: ignore[no-any-return]


def _deviations(name: str, input: Tensor, dim: Any, correction: int) -> tuple[Tensor, tuple[int, ...], float]:
    """The distances from the mean, the dimensions, and what the sum of squares is divided by."""
    dims = reduced_dims(name, dim, input._spec.ndim)
    count = product([input._spec.shape[d] for d in dims])
    centred = sub(input, mean(input, dims, keepdim=True)) if dims else sub(input, input)
    return centred, dims, float(builtins.max(count - correction, 0))


def norm(input: Tensor, p: float = 2) -> Tensor:
    """The p-norm of all elements. Where the 2-norm is 0, so are its derivatives of every order.

    Raises
    ------
    ValueError
        p is not 1, 2 or inf.
    """
    if p == 2:
        return _r.norm(input, dims=tuple(range(input._spec.ndim)))  # type: ignore[no-any-return]
    if p == 1:
        return sum(abs(input))
    if p == math.inf:
        return _r.amax(abs(input), dims=tuple(range(input._spec.ndim)), nans=True)  # type: ignore[no-any-return]
    raise ValueError(f"norm: p is {p}, expected 1, 2 or inf")


def amax(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """The largest element over the given dimensions."""
    return _r.amax(input, dims=reduced_dims("amax", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def amin(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """The smallest element over the given dimensions."""
    return _r.amin(input, dims=reduced_dims("amin", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


class _ValuesIndices(tuple["Tensor", "Tensor"]):
    """What `max` and `min` along a dimension return; the parts have names."""

    __slots__ = ()

    @property
    def values(self) -> Tensor:
        return self[0]

    @property
    def indices(self) -> Tensor:
        return self[1]

    def __repr__(self) -> str:
        return f"numgrad.return_types.max(\nvalues={self[0]!r},\nindices={self[1]!r})"


def _max_or_min(input: Tensor, dim: Any, keepdim: builtins.bool, name: str, whole: Any, along: Any) -> Any:
    check_tensor(name, "input", input)
    if dim is None:
        if input._spec.numel == 0:
            raise RuntimeError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        return whole(input, dims=tuple(range(input._spec.ndim)), nans=True)
    if isinstance(dim, TensorBase):
        return maximum(input, dim) if name == "max" else minimum(input, dim)
    if input._spec.ndim == 0:
        return _ValuesIndices((clone(input), cast(ops.creation.zeros_like(input), dtypes.int64)))
    return _ValuesIndices(along(input, dim=wrap_dim(name, dim, input._spec.ndim), keepdim=keepdim))


def max(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Any:
    """The largest element; along ``dim`` a pair (values, indices)."""
    return _max_or_min(input, dim, keepdim, "max", _r.amax, _r.max_dim)


def min(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Any:
    """The smallest element; along ``dim`` a pair (values, indices)."""
    return _max_or_min(input, dim, keepdim, "min", _r.amin, _r.min_dim)


def _arg(op: Any, input: Tensor, dim: int | None, keepdim: builtins.bool) -> Tensor:
    check_tensor(op.name, "input", input)
    if dim is None or input._spec.ndim == 0:
        if input._spec.numel == 0:
            raise IndexError(f"{op.name}(): Expected reduction dim to be specified for input.numel() == 0.")
        flat = op(reshape(input, -1), dim=0, keepdim=False)
        return reshape(flat, (1,) * input._spec.ndim) if keepdim else flat
    return op(input, dim=wrap_dim(op.name, dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def argmax(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Tensor:
    """Index of the largest element, of all or along ``dim``; the first of equal ones."""
    return _arg(_r.argmax, input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Tensor:
    """Index of the smallest element, of all or along ``dim``; the first of equal ones."""
    return _arg(_r.argmin, input, dim, keepdim)


def any(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """Whether any element is not 0."""
    return _r.any_(input, dims=reduced_dims("any", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]


def all(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """Whether all elements are not 0."""
    return _r.all_(input, dims=reduced_dims("all", dim, input._spec.ndim), keepdim=keepdim)  # type: ignore[no-any-return]
