"""Running sums, products and extremes along a dimension, differences, and integrals by the trapezoidal rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase
from numgrad.tensor.arguments import as_int, as_number, cast, check_tensor, wrap_dim
from numgrad.tensor.comparison import ne
from numgrad.tensor.creation import zeros
from numgrad.tensor.joining import cat
from numgrad.tensor.pointwise import add, div, mul, sub
from numgrad.tensor.reductions import converted, sum
from numgrad.tensor.results import CummaxResult, CumminResult
from numgrad.tensor.shaping import clone, narrow, reshape, select, view
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_s = ops.scan


def along(op: Any, input: Tensor, dim: int, **params: Any) -> Any:
    """Apply an op along ``dim``; a tensor without dimensions counts as one of one element."""
    axis = wrap_dim(op.name, dim, check_tensor(op.name, "input", input)._spec.ndim)
    if input._spec.ndim:
        return op(input, dim=axis, **params)
    result = op(view(input, 1), dim=0, **params)
    return tuple(reshape(part, ()) for part in result) if isinstance(result, tuple) else reshape(result, ())


@public("function", "method", "in_place", known=True)
def cumsum(input: Tensor, dim: int, *, dtype: Dtype | None = None) -> Tensor:
    """Running sums along a dimension: out[i] = input[0] + ... + input[i]. Integers are summed in int64, or in ``dtype``.

    Raises
    ------
    IndexError
        There is no such dimension.
    RuntimeError
        A gradient is recorded and ``dtype`` is not floating point.

    >>> import numgrad as ng
    >>> ng.cumsum(ng.tensor([[1, 2, 3], [4, 5, 6]]), dim=1)
    tensor([[ 1,  3,  6],
            [ 4,  9, 15]])
    """
    return _running(_s.cumsum, input, dim, dtype)


@public("function", "method", "in_place", known=True)
def cumprod(input: Tensor, dim: int, *, dtype: Dtype | None = None) -> Tensor:
    """Running products along a dimension: out[i] = input[0] * ... * input[i]; of integers in int64, or in ``dtype``.

    Elements that are 0 do no harm to the gradient.

    Raises
    ------
    IndexError, RuntimeError
        As `cumsum`.

    >>> import numgrad as ng
    >>> ng.cumprod(ng.tensor([1.0, 2.0, 3.0, 4.0]), dim=0)
    tensor([ 1.,  2.,  6., 24.])
    """
    return _running(_s.cumprod, input, dim, dtype)


def _running(op: Any, input: Tensor, dim: int, dtype: Any) -> Tensor:
    if dtype is not None:
        input, dtype = converted(op.name, input, dtype)
    result = along(op, input, dim)
    return result if dtype is None else cast(result, dtype)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def cummax(input: Tensor, dim: int) -> Any:
    """The largest element so far along a dimension, and its index, as a pair (values, indices).

    Of equal elements the last counts, and so does the last NaN, which is larger than all numbers.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> values, indices = ng.cummax(ng.tensor([1.0, 3.0, 2.0, 3.0]), dim=0)
    >>> values, indices
    (tensor([1., 3., 3., 3.]), tensor([0, 1, 1, 3]))
    """
    return CummaxResult(along(_s.cummax, input, dim))


@public("function", "method", known=True)
def cummin(input: Tensor, dim: int) -> Any:
    """The smallest element so far along a dimension, and its index, as a pair (values, indices); else as `cummax`.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.cummin(ng.tensor([3, 1, 2]), dim=0).values
    tensor([3, 1, 1])
    """
    return CumminResult(along(_s.cummin, input, dim))


@public("function", "method", known=True)
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log(exp(input[0]) + ... + exp(input[i])) along a dimension, without overflow.

    Raises
    ------
    IndexError
        There is no such dimension.
    RuntimeError
        The dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.logcumsumexp(ng.tensor([100.0, 100.0]), dim=0)
    tensor([100.0000, 100.6931])
    """
    return along(_s.logcumsumexp, input, dim)  # type: ignore[no-any-return]


# ---- differences and integrals ----------------------------------------------------------------------------------


def _pairs(input: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """All elements along ``dim`` but the last, and all but the first: neighbours at one place."""
    count = max(0, input._spec.shape[dim] - 1)
    return narrow(input, dim, 0, count), narrow(input, dim, input._spec.shape[dim] - count, count)


@public("function", "method", known=True)
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The n-th differences of neighbours along a dimension; of bools whether they differ.

    ``prepend`` and ``append`` are joined to the input before.

    Raises
    ------
    RuntimeError
        The input has no dimensions, n is negative, or what is joined does not fit.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.diff(ng.tensor([1, 3, 6, 10])), ng.diff(ng.tensor([1, 3, 6, 10]), n=2)
    (tensor([2, 3, 4]), tensor([1, 1]))
    """
    ndim = check_tensor("diff", "input", input)._spec.ndim
    if ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional; got a tensor without dimensions")
    n = as_int("diff", "n", n)
    if n < 0:
        raise RuntimeError(f"diff: order must be non-negative but got {n}")
    for name, other in (("prepend", prepend), ("append", append)):
        if other is not None and check_tensor("diff", name, other)._spec.ndim != ndim:
            raise RuntimeError(
                f"diff expects prepend or append to be the same dimension as input; {name} has shape {list(other.shape)}"
            )
    if n == 0:
        return clone(input)
    axis = wrap_dim("diff", dim, ndim)
    parts = [part for part in (prepend, input, append) if part is not None]
    result = cat(parts, axis) if len(parts) > 1 else input
    for _ in range(min(n, result._spec.shape[axis] or 1)):
        before, after = _pairs(result, axis)
        result = ne(after, before) if result._spec.dtype.is_bool else sub(after, before)
    return result


def _steps(op: str, y: Tensor, x: Tensor, dim: int) -> Tensor:
    """The distances of neighbouring sample points ``x``, in a shape that broadcasts to y's."""
    shape, ndim = tuple(x._spec.shape), y._spec.ndim
    if len(shape) == 1:
        if shape[0] != y._spec.shape[dim]:
            raise RuntimeError(
                f"{op}: There must be one `x` value for each sample point; x has {shape[0]}, y has {y._spec.shape[dim]}"
            )
        x = reshape(x, tuple(shape[0] if axis == dim else 1 for axis in range(ndim)))
    elif len(shape) < ndim:
        x = reshape(x, (1,) * (ndim - len(shape)) + shape)
    left, right = _pairs(x, dim)
    return sub(right, left)


def _sample_points(op: str, y: Tensor, x: Any, dx: Any, dim: int) -> tuple[int, Any]:
    """The dimension of a rule, and the distances of its points: a tensor, or a number."""
    check_tensor(op, "y", y)
    if x is not None and dx is not None:
        raise TypeError(f"{op}(): got both 'x' and 'dx', which say the same")
    if y._spec.dtype.is_bool or (isinstance(x, TensorBase) and x._spec.dtype.is_bool):
        raise RuntimeError(f"{op}: received a bool input for `x` or `y`, but bool is not supported")
    axis = wrap_dim(op, dim, y._spec.ndim)
    if y._spec.ndim == 0:
        raise IndexError(f"{op}: y has no dimensions, expected at least one")
    if x is not None:
        return axis, _steps(op, y, check_tensor(op, "x", x), axis)
    number = 1 if dx is None else as_number(dx)
    if number is None:
        raise TypeError(f"{op}(): argument 'dx' must be Number, not {type(dx).__name__}")
    if isinstance(number, bool):
        raise RuntimeError(f"{op}: Currently, we only support dx as a real number, not bool")
    return axis, number


def _trapezoid(op: str, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> Tensor:
    if not check_tensor(op, "y", y)._spec.ndim or y._spec.shape[wrap_dim(op, dim, y._spec.ndim)]:
        axis, steps = _sample_points(op, y, x, dx, dim)
        if isinstance(steps, TensorBase):
            left, right = _pairs(y, axis)
            return div(sum(mul(add(left, right), steps), axis), 2.0)
        ends = add(select(y, axis, 0), select(y, axis, -1))
        return mul(sub(sum(y, axis), mul(ends, 0.5)), steps)
    axis = wrap_dim(op, dim, y._spec.ndim)
    shape = tuple(y._spec.shape)
    return zeros(shape[:axis] + shape[axis + 1 :], dtype=y._spec.dtype)


@public("function", known=True)
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral along a dimension by the trapezoidal rule, over points ``x`` or points at distances ``dx``, 1 by default.

    x
        One point for each element along ``dim``, or a tensor that broadcasts to y.

    Raises
    ------
    RuntimeError
        There are too few or too many points, or a tensor is of bools.
    TypeError
        Both ``x`` and ``dx`` are given.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> y = ng.tensor([1.0, 5.0, 10.0])
    >>> ng.trapezoid(y), ng.trapezoid(y, ng.tensor([1.0, 3.0, 6.0])), ng.trapezoid(y, dx=2)
    (tensor(10.5000), tensor(28.5000), tensor(21.))
    """
    return _trapezoid("trapezoid", y, x, dx, dim)


@public("function", known=True)
def trapz(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """`trapezoid` under its older name.

    Raises
    ------
    RuntimeError, TypeError, IndexError
        As `trapezoid`.

    >>> import numgrad as ng
    >>> ng.trapz(ng.tensor([1.0, 5.0, 10.0]))
    tensor(10.5000)
    """
    return _trapezoid("trapz", y, x, dx, dim)


@public("function", known=True)
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integrals up to each point but the first, by the trapezoidal rule; with the arguments of `trapezoid`.

    Raises
    ------
    RuntimeError, TypeError, IndexError
        As `trapezoid`.

    >>> import numgrad as ng
    >>> ng.cumulative_trapezoid(ng.tensor([1.0, 5.0, 10.0]))
    tensor([ 3.0000, 10.5000])
    """
    axis, steps = _sample_points("cumulative_trapezoid", y, x, dx, dim)
    left, right = _pairs(y, axis)
    if isinstance(steps, TensorBase):
        return div(cumsum(mul(add(left, right), steps), axis), 2.0)
    return mul(cumsum(add(left, right), axis), steps / 2)
