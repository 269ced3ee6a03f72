"""Reductions: torch's names and arguments over the ops."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import dtypes, ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import GradError
from numgrad.layout import product
from numgrad.tensor.arguments import cast, check_tensor, reduced_dims, wrap_dim
from numgrad.tensor.comparison import eq, ne
from numgrad.tensor.pointwise import maximum, minimum, pow, sub, where
from numgrad.tensor.results import MaxResult, MinResult
from numgrad.tensor.shaping import clone, reshape
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


_r = ops.reduce


def converted(op: str, input: Tensor, dtype: Any) -> tuple[Tensor, Dtype]:
    """The input in the dtype given to a reduction, and that dtype."""
    check_tensor(op, "input", input)
    chosen = dtypes.as_dtype(op, dtype)
    if not chosen.is_floating_point and modes.grad_enabled and input.requires_grad:
        raise GradError(f"{op}: Autograd not support dtype: {chosen.torch_name}; do it in no_grad(), or on a detach()")
    return cast(input, chosen), chosen


@public("function", "method", known=True)
def sum(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, dtype: Dtype | None = None) -> Tensor:
    """Sum of the elements, over all dimensions or those given. Integers are summed in int64, or in ``dtype``.

    Raises
    ------
    IndexError
        There is no such dimension.
    RuntimeError
        A dimension is given twice, or a gradient is recorded and ``dtype`` is not floating point.

    >>> import numgrad as ng
    >>> ng.sum(ng.ones(2, 3), dim=1)
    tensor([3., 3.])
    """
    if dtype is not None or not isinstance(input, TensorBase):
        input, dtype = converted("sum", input, dtype)
    total = _r.sum_(input, dims=reduced_dims("sum", dim, input._spec.ndim, keepdim), keepdim=keepdim)
    return total if dtype is None else cast(total, dtype)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def mean(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, dtype: Dtype | None = None) -> Tensor:
    """Mean of the elements, over all dimensions or those given; computed in ``dtype``, if given. The mean of no elements is NaN.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or a dimension is given twice.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.mean(ng.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=1, keepdim=True)
    tensor([[3.0000],
            [2.5000]])
    """
    if dtype is not None or not isinstance(input, TensorBase):
        input, _ = converted("mean", input, dtype)
    return _r.mean(input, dims=reduced_dims("mean", dim, input._spec.ndim, keepdim), keepdim=keepdim)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def prod(
    input: Tensor, dim: int | None = None, keepdim: builtins.bool = False, *, dtype: Dtype | None = None
) -> Tensor:
    """Product of the elements, over all dimensions or one; of integers in int64, or in ``dtype``. The product of no elements is 1.

    Raises
    ------
    IndexError
        There is no such dimension.
    RuntimeError
        A gradient is recorded and ``dtype`` is not floating point.

    >>> import numgrad as ng
    >>> ng.prod(ng.tensor([[1, 2], [3, 4]]), dim=1)
    tensor([ 2, 12])
    """
    if dtype is not None:
        input, dtype = converted("prod", input, dtype)
    ndim = check_tensor("prod", "input", input)._spec.ndim
    product = _r.prod(input, dims=reduced_dims("prod", dim, ndim, keepdim), keepdim=keepdim)
    return product if dtype is None else cast(product, dtype)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: builtins.bool | None = None,
    keepdim: builtins.bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """Variance: the sum of the squared distances from the mean, divided by n - correction; correction is 1 by default.

    ``unbiased``, which may also be the only argument, is the older form of correction 1 (True) or 0 (False).

    Raises
    ------
    TypeError
        Both are given, or ``unbiased`` or ``keepdim`` is not a bool.
    RuntimeError
        The dtype is not floating point.

    >>> import numgrad as ng
    >>> x = ng.tensor([1.0, 3.0])
    >>> ng.var(x), ng.var(x, 0, False), ng.var(x, False), ng.var(x, correction=0)
    (tensor(2.), tensor(1.), tensor(1.), tensor(1.))
    """
    dim, keepdim, correction = _variance_arguments("var", dim, unbiased, keepdim, correction)
    centred, dims, divisor = _deviations("var", input, dim, correction)
    return _r.squares(centred, dims=dims, keepdim=keepdim, divisor=divisor)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: builtins.bool | None = None,
    keepdim: builtins.bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """Standard deviation: the square root of `var`, with the same arguments. Where it is 0, so is its gradient.

    Raises
    ------
    TypeError, RuntimeError
        As `var`.

    >>> import numgrad as ng
    >>> ng.std(ng.tensor([[1.0, 3.0], [2.0, 2.0]]), dim=1, correction=0)
    tensor([1., 0.])
    """
    dim, keepdim, correction = _variance_arguments("std", dim, unbiased, keepdim, correction)
    centred, dims, divisor = _deviations("std", input, dim, correction)
    return _r.norm(centred, dims=dims, keepdim=keepdim, divisor=divisor)  # type: ignore[no-any-return]


def _variance_arguments(
    op: str, dim: Any, unbiased: Any, keepdim: Any, correction: Any
) -> tuple[Any, builtins.bool, float]:
    """Dimensions, keepdim and correction from the forms (dim, unbiased, keepdim), (unbiased), or keywords."""
    if isinstance(dim, builtins.bool):
        if unbiased is not None or keepdim is not False or correction is not None:
            raise TypeError(
                f"{op}(): got {dim} as 'dim', which is 'unbiased' if it is the only argument; expected (dim, unbiased, "
                "keepdim) or (dim, correction=..., keepdim=...)"
            )
        dim, unbiased = None, dim
    for name, value in (("unbiased", False if unbiased is None else unbiased), ("keepdim", keepdim)):
        if not isinstance(value, builtins.bool):
            raise TypeError(
                f"{op}(): argument '{name}' must be bool, not {type(value).__name__}; the order is (dim, unbiased, keepdim), "
                "and a number is given as correction="
            )
    if unbiased is not None and correction is not None:
        raise TypeError(f"{op}(): got both 'unbiased' and 'correction', which say the same")
    if correction is None:
        return dim, keepdim, 0 if unbiased is False else 1
    if isinstance(correction, TensorBase) or not isinstance(correction, (builtins.int, float, np.number)):
        raise TypeError(f"{op}(): argument 'correction' must be Number, not {type(correction).__name__}")
    return dim, keepdim, float(correction)


def _deviations(op: str, input: Tensor, dim: Any, correction: float) -> tuple[Tensor, tuple[int, ...], float]:
    """The distances from the mean, the dimensions, and the divisor of the sum of squares."""
    if not check_tensor(op, "input", input)._spec.dtype.is_floating_point:
        raise RuntimeError(
            f"{op}: std and var only support floating point and complex dtypes; convert with .float() first"
        )
    dims = reduced_dims(op, dim, input._spec.ndim)
    count = product([input._spec.shape[d] for d in dims])
    centred = sub(input, mean(input, dims, keepdim=True)) if dims else sub(input, input)
    divisor = float(count - correction) if count else 0.0  # the variance of no elements is NaN
    return centred, dims, divisor if divisor > 0 else 0.0


@public("function", known=True)
def norm(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Any = None,
    keepdim: builtins.bool = False,
    *,
    dtype: Dtype | None = None,
) -> Tensor:
    """The p-norm over all dimensions or those given: sum(abs(input) ** p) ** (1 / p). 'fro' and None stand for 2.

    'nuc' is the sum of the singular values of the matrices in two dimensions.

    For p = inf and -inf it is the largest and the smallest absolute value, for p = 0 the number of nonzero elements. Where
    the 2-norm is 0, so are its derivatives of every order.

    Raises
    ------
    RuntimeError
        p is another string, the dtype is not floating point, there are no elements for an infinite p, or not two dimensions
        for 'nuc'.

    >>> import math
    >>> import numgrad as ng
    >>> x = ng.tensor([[3.0, -4.0], [0.0, 1.0]])
    >>> ng.norm(x, 1), ng.norm(x, 2, 1), ng.norm(x, math.inf, dim=0, keepdim=True)
    (tensor(8.), tensor([5., 1.]), tensor([[3., 4.]]))
    """
    check_tensor("norm", "input", input)
    if isinstance(p, str):
        if p == "nuc":
            from numgrad.tensor.matrix_norms import nuclear_norm

            return nuclear_norm(input, dim, keepdim, dtype)
        if p != "fro":
            raise RuntimeError(f"only valid string values are 'fro' and 'nuc', found {p}")
        p = 2
    p = 2 if p is None else p
    if not isinstance(p, (builtins.int, float, np.number)):
        raise TypeError(f"norm(): argument 'p' must be a number, 'fro', 'nuc' or None, not {type(p).__name__}")
    if not isinstance(keepdim, builtins.bool):
        raise TypeError(f"norm(): argument 'keepdim' must be bool, not {type(keepdim).__name__}")
    if not input._spec.dtype.is_floating_point:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{input._spec.dtype.torch_name}; convert with .float() first"
        )
    input = input if dtype is None else cast(input, dtypes.as_dtype("norm", dtype))
    spec = input._spec
    dims = reduced_dims("norm", dim, spec.ndim)
    if p == 1:
        return _r.sum_(ops.elementwise.absolute(input), dims=dims, keepdim=keepdim)  # type: ignore[no-any-return]
    if (p < 0 or p == math.inf) and 0 in [spec.shape[d] for d in dims]:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {p} norm on an empty tensor because the operation does not have an identity"
        )
    if math.isinf(p):
        return (_r.amax if p > 0 else _r.amin)(ops.elementwise.absolute(input), dims=dims, keepdim=keepdim, nans=True)  # type: ignore[no-any-return]
    if p == 0:
        return _r.sum_(cast(ne(input, 0), spec.dtype), dims=dims, keepdim=keepdim)  # type: ignore[no-any-return]
    if p == 2:
        return _r.norm(input, dims=dims, keepdim=keepdim, divisor=1.0)  # type: ignore[no-any-return]
    total = _r.sum_(_power(input, float(p)), dims=dims, keepdim=keepdim)
    is_zero = eq(total, 0)  # the root has no derivative there; the norm's subgradient is 0
    return where(is_zero, total, pow(where(is_zero, 1.0, total), 1.0 / p))


@public("method", name="norm")
def _norm_of_one(
    input: Tensor,
    p: float | str | None = "fro",
    dim: Any = None,
    keepdim: builtins.bool = False,
    dtype: Dtype | None = None,
) -> Tensor:
    """`numgrad.norm` of this tensor. As in torch, the method also takes ``dtype`` as a positional argument.

    >>> import numgrad as ng
    >>> ng.tensor([3.0, 4.0]).norm()
    tensor(5.)
    """
    return norm(input, p, dim, keepdim, dtype=dtype)


def _power(input: Tensor, p: float) -> Tensor:
    """abs(input) ** p, with derivatives of 0 at 0."""
    is_zero = eq(input, 0)
    return where(is_zero, math.inf if p < 0 else 0.0, pow(where(is_zero, 1.0, ops.elementwise.absolute(input)), p))


def _extremum(op: Any, input: Tensor, dim: Any, keepdim: builtins.bool) -> Tensor:
    dims = reduced_dims(op.name, dim, check_tensor(op.name, "input", input)._spec.ndim, keepdim)
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        _refuse_nothing(op.name, input, RuntimeError)
    return op(input, dims=dims, keepdim=keepdim)  # type: ignore[no-any-return]


def _refuse_nothing(name: str, input: Tensor, error: type[Exception]) -> None:
    if input._spec.numel == 0:
        raise error(f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify it with 'dim'.")


@public("function", "method", known=True)
def amax(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """The largest element over all dimensions or those given; NaN if there is a NaN. Equal elements share the gradient.

    Raises
    ------
    IndexError
        There is no such dimension, or it has no elements.
    RuntimeError
        The input has no elements and no dimension is given.

    >>> import numgrad as ng
    >>> ng.amax(ng.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=(0, 1))
    tensor(5.)
    """
    return _extremum(_r.amax, input, dim, keepdim)


@public("function", "method", known=True)
def amin(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """The smallest element over all dimensions or those given; NaN if there is a NaN. Equal elements share the gradient.

    Raises
    ------
    IndexError, RuntimeError
        As `amax`.

    >>> import numgrad as ng
    >>> ng.amin(ng.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=0, keepdim=True)
    tensor([[1., 2.]])
    """
    return _extremum(_r.amin, input, dim, keepdim)


def _max_or_min(
    input: Tensor, dim: Any, keepdim: builtins.bool, other: Any, name: str, whole: Any, along: Any, result: Any
) -> Any:
    check_tensor(name, "input", input)
    if other is not None:
        if dim is not None:
            raise TypeError(f"{name}(): got both 'dim' and 'other', expected one of them")
        dim = check_tensor(name, "other", other)
    if isinstance(dim, TensorBase):
        if keepdim is not False:
            raise TypeError(f"{name}(): argument 'keepdim' goes with a dim, and {name} of two tensors has none")
        return maximum(input, dim) if name == "max" else minimum(input, dim)
    if keepdim is not False:
        reduced_dims(name, None, 0, keepdim)  # refuses what is no bool
    if dim is None:
        _refuse_nothing(name, input, RuntimeError)
        return whole.apply((input,), tuple(range(input._spec.ndim)), False, True)
    axis = wrap_dim(name, dim, input._spec.ndim)
    if input._spec.ndim == 0:
        return result((clone(input), cast(ops.creation.zeros_like(input), dtypes.int64)))
    return result(along(input, dim=axis, keepdim=keepdim))


@public("function", "method", known=True)
def max(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, other: Any = None) -> Any:
    """The largest element; along ``dim`` a pair (values, indices); of two tensors `maximum`. NaN if there is a NaN.

    Raises
    ------
    RuntimeError
        The input has no elements and no dimension is given.
    IndexError
        There is no such dimension, or it has no elements.

    >>> import numgrad as ng
    >>> x = ng.tensor([[1.0, 5.0], [3.0, 2.0]])
    >>> values, indices = ng.max(x, dim=1)
    >>> ng.max(x), values, indices
    (tensor(5.), tensor([5., 3.]), tensor([1, 0]))
    """
    return _max_or_min(input, dim, keepdim, other, "max", _r.amax, _r.max_dim, MaxResult)


@public("function", "method", known=True)
def min(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, other: Any = None) -> Any:
    """The smallest element; along ``dim`` a pair (values, indices); of two tensors `minimum`. NaN if there is a NaN.

    Raises
    ------
    RuntimeError, IndexError
        As `max`.

    >>> import numgrad as ng
    >>> ng.min(ng.tensor([[1.0, 5.0], [3.0, 2.0]]), dim=0).indices
    tensor([0, 1])
    """
    return _max_or_min(input, dim, keepdim, other, "min", _r.amin, _r.min_dim, MinResult)


def _arg(op: Any, input: Tensor, dim: int | None, keepdim: builtins.bool) -> Tensor:
    ndim = check_tensor(op.name, "input", input)._spec.ndim
    reduced_dims(op.name, None, ndim, keepdim)
    axis = 0 if dim is None else wrap_dim(op.name, dim, ndim)
    if dim is None or ndim == 0:
        _refuse_nothing(op.name, input, IndexError)
        flat = op(reshape(input, -1), dim=0, keepdim=False)
        return reshape(flat, (1,) * ndim) if keepdim else flat
    return op(input, dim=axis, keepdim=keepdim)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def argmax(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Tensor:
    """Index (int64) of the largest element along ``dim``, or in the flattened input; the first of equal elements.

    Raises
    ------
    IndexError
        There is no such dimension, or there are no elements to choose from.

    >>> import numgrad as ng
    >>> x = ng.tensor([[1.0, 5.0], [5.0, 2.0]])
    >>> ng.argmax(x), ng.argmax(x, dim=1)
    (tensor(1), tensor([1, 0]))
    """
    return _arg(_r.argmax, input, dim, keepdim)


@public("function", "method", known=True)
def argmin(input: Tensor, dim: int | None = None, keepdim: builtins.bool = False) -> Tensor:
    """Index (int64) of the smallest element along ``dim``, or in the flattened input; the first of equal elements.

    Raises
    ------
    IndexError
        There is no such dimension, or there are no elements to choose from.

    >>> import numgrad as ng
    >>> ng.argmin(ng.tensor([[4, 2, 2]]), dim=1, keepdim=True)
    tensor([[1]])
    """
    return _arg(_r.argmin, input, dim, keepdim)


def _truth(op: Any, name: str, input: Tensor, dim: Any, keepdim: builtins.bool) -> Tensor:
    ndim = check_tensor(name, "input", input)._spec.ndim
    dims = reduced_dims(name, dim, ndim, keepdim, empty_means_all=False)
    truth = op(input, dims=dims, keepdim=keepdim)
    # As in torch, where masks were of uint8 once.
    return cast(truth, dtypes.uint8) if input._spec.dtype is dtypes.uint8 else truth


@public("function", "method", known=True)
def any(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """Whether any element is not 0, over all dimensions or those given; ``dim=()``: each element. uint8 gives uint8, others bool.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.any(ng.tensor([0, 3])), ng.any(ng.tensor([]))
    (tensor(True), tensor(False))
    """
    return _truth(_r.any_, "any", input, dim, keepdim)


@public("function", "method", known=True)
def all(input: Tensor, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
    """Whether all elements are not 0, over all dimensions or those given; ``dim=()``: each element. uint8 gives uint8, others bool.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.all(ng.tensor([[1, 0], [1, 1]]), dim=1)
    tensor([False,  True])
    """
    return _truth(_r.all_, "all", input, dim, keepdim)
