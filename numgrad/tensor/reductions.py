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
from numgrad.tensor.comparison import eq
from numgrad.tensor.pointwise import abs, clone, div, maximum, minimum, sqrt, square, sub, where
from numgrad.tensor.shaping import reshape

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


_r = ops.reduce


def _converted(op: str, input: Tensor, dtype: Any) -> tuple[Tensor, Dtype]:
    """The input in the dtype that a reduction is asked to have, and that dtype."""
    chosen = dtypes.as_dtype(op, dtype)
    return cast(check_tensor(op, "input", input), chosen), chosen


def sum(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, dtype: Dtype | None = None) -> Tensor:
    """Sum of the elements, over all dimensions or those given; of integers in int64, or in ``dtype``.

    >>> import numgrad as ng
    >>> ng.sum(ng.ones(2, 3), dim=1)
    tensor([3., 3.])
    """
    if dtype is not None:
        input, dtype = _converted("sum", input, dtype)
    ndim = check_tensor("sum", "input", input)._spec.ndim
    total = _r.sum_(input, dims=reduced_dims("sum", dim, ndim, keepdim), keepdim=keepdim)
    return total if dtype is None else cast(total, dtype)  # type: ignore[no-any-return]


def mean(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, dtype: Dtype | None = None) -> Tensor:
    """Mean of the elements, over all dimensions or those given.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.
    """
    if dtype is not None:
        input, _ = _converted("mean", input, dtype)
    ndim = check_tensor("mean", "input", input)._spec.ndim
    return _r.mean(input, dims=reduced_dims("mean", dim, ndim, keepdim), keepdim=keepdim)  # type: ignore[no-any-return]


def prod(
    input: Tensor, dim: int | None = None, keepdim: builtins.bool = False, *, dtype: Dtype | None = None
) -> Tensor:
    """Product of the elements, over all dimensions or one; of integers in int64, or in ``dtype``."""
    if dtype is not None:
        input, dtype = _converted("prod", input, dtype)
    ndim = check_tensor("prod", "input", input)._spec.ndim
    product = _r.prod(input, dims=reduced_dims("prod", dim, ndim, keepdim), keepdim=keepdim)
    return product if dtype is None else cast(product, dtype)  # type: ignore[no-any-return]


def var(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, correction: int = 1) -> Tensor:
    """Variance: the squared distances from the mean, summed and divided by n - correction."""
    dims = reduced_dims("var", dim, input._spec.ndim)
    count = product([input._spec.shape[d] for d in dims])
    centred = sub(input, mean(input, dims, keepdim=True)) if dims else sub(input, input)
    total = _r.sum_(square(centred), dims=dims, keepdim=keepdim)
    return div(total, float(builtins.max(count - correction, 0)))


def std(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, correction: int = 1) -> Tensor:
    """Standard deviation: the square root of `var`."""
    return sqrt(var(input, dim, keepdim, correction=correction))


def norm(input: Tensor, p: float = 2) -> Tensor:
    """The p-norm of all elements.

    Raises
    ------
    ValueError
        p is not 1, 2 or inf.
    """
    if p == 2:
        total = sum(square(input))
        is_zero = eq(total, 0)  # where the root has no slope; the norm's subgradient there is 0
        return where(is_zero, total, sqrt(where(is_zero, 1.0, total)))
    if p == 1:
        return sum(abs(input))
    if p == math.inf:
        return amax(abs(input))
    raise ValueError(f"norm: p is {p}, expected 1, 2 or inf")


def _extremum(op: Any, input: Tensor, dim: Any, keepdim: builtins.bool) -> Tensor:
    dims = reduced_dims(op.name, dim, check_tensor(op.name, "input", input)._spec.ndim, keepdim)
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        _refuse_nothing(op.name, input, RuntimeError)
    return op(input, dims=dims, keepdim=keepdim)  # type: ignore[no-any-return]


def _refuse_nothing(name: str, input: Tensor, error: type[Exception]) -> None:
    if input._spec.numel == 0:
        raise error(f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify it with 'dim'.")


def amax(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """The largest element over the given dimensions."""
    return _extremum(_r.amax, input, dim, keepdim)


def amin(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """The smallest element over the given dimensions."""
    return _extremum(_r.amin, input, dim, keepdim)


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
    if isinstance(dim, TensorBase):
        if keepdim is not False:
            raise TypeError(f"{name}(): argument 'keepdim' goes with a dim, and {name} of two tensors has none")
        return maximum(input, dim) if name == "max" else minimum(input, dim)
    reduced_dims(name, None, 0, keepdim)
    if dim is None:
        _refuse_nothing(name, input, RuntimeError)
        return whole(input)
    axis = wrap_dim(name, dim, input._spec.ndim)
    if input._spec.ndim == 0:
        return _ValuesIndices((clone(input), cast(ops.creation.zeros_like(input), dtypes.int64)))
    return _ValuesIndices(along(input, dim=axis, keepdim=keepdim))


def max(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Any:
    """The largest element; along ``dim`` a pair (values, indices)."""
    return _max_or_min(input, dim, keepdim, "max", amax, _r.max_dim)


def min(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Any:
    """The smallest element; along ``dim`` a pair (values, indices)."""
    return _max_or_min(input, dim, keepdim, "min", amin, _r.min_dim)


def _arg(op: Any, input: Tensor, dim: int | None, keepdim: builtins.bool) -> Tensor:
    ndim = check_tensor(op.name, "input", input)._spec.ndim
    reduced_dims(op.name, None, ndim, keepdim)
    axis = 0 if dim is None else wrap_dim(op.name, dim, ndim)
    if dim is None or ndim == 0:
        _refuse_nothing(op.name, input, IndexError)
        flat = op(reshape(input, -1), dim=0, keepdim=False)
        return reshape(flat, (1,) * ndim) if keepdim else flat
    return op(input, dim=axis, keepdim=keepdim)  # type: ignore[no-any-return]


def argmax(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Tensor:
    """Index of the largest element, of all or along ``dim``; the first of equal ones."""
    return _arg(_r.argmax, input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Tensor:
    """Index of the smallest element, of all or along ``dim``; the first of equal ones."""
    return _arg(_r.argmin, input, dim, keepdim)


def _truth(op: Any, name: str, input: Tensor, dim: Any, keepdim: builtins.bool) -> Tensor:
    ndim = check_tensor(name, "input", input)._spec.ndim
    dims = reduced_dims(name, dim, ndim, keepdim, empty_means_all=False)
    found = op(input, dims=dims, keepdim=keepdim)
    return (
        cast(found, dtypes.uint8) if input._spec.dtype is dtypes.uint8 else found
    )  # as in torch, where masks were uint8


def any(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """Whether any element is not 0, over all dimensions or those given; of none, each element. uint8 of uint8."""
    return _truth(_r.any_, "any", input, dim, keepdim)


def all(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """Whether all elements are not 0, over all dimensions or those given; of none, each element. uint8 of uint8."""
    return _truth(_r.all_, "all", input, dim, keepdim)
