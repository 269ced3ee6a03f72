"""Further reductions and statistics: sums without NaN, moments in pairs, norms of slices, covariances."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import modes
from numgrad.ops import reduce_known as _known
from numgrad.registry import chain
from numgrad.tensor.arguments import as_int, as_number, cast, check_tensor, reduced_dims, wrap_dim
from numgrad.tensor.comparison import eq, gt, ne
from numgrad.tensor.creation import arange, tensor
from numgrad.tensor.indexing import gather
from numgrad.tensor.pointwise import add, div, mul, sub, where
from numgrad.tensor.reductions import amax, amin, converted, mean, norm, std, sum, var
from numgrad.tensor.results import AminmaxResult
from numgrad.tensor.shaping import drop_base_of_copy, squeeze, unsqueeze, view
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


@public("function", "method", "special", known=True)
def logsumexp(input: Tensor, dim: Any, keepdim: builtins.bool = False) -> Tensor:
    """log(sum(exp(input))) over the dimensions given, without overflow; of no elements -inf.

    Raises
    ------
    IndexError
        There is no such dimension.
    RuntimeError
        A dimension is given twice.

    >>> import numgrad as ng
    >>> ng.logsumexp(ng.tensor([[100.0, 100.0], [0.0, 0.0]]), dim=1)
    tensor([100.6931,   0.6931])
    """
    spec = check_tensor("logsumexp", "input", input)._spec
    if not spec.dtype.is_floating_point:
        input = cast(input, dtypes.get_default_dtype())
    dims = reduced_dims("logsumexp", dim, spec.ndim, keepdim)
    if spec.numel == 0:
        return sum(input.exp(), dims, keepdim).log()
    still = amax(input.detach(), dims, keepdim=True) if dims else input.detach()
    top = where(eq(still.abs(), float("inf")), 0.0, still)  # an infinite distance is no number
    total = sum(sub(input, top).exp(), dims, keepdim=True) if dims else sub(input, top).exp()
    # The gradient is 0, and not NaN, where there is nothing but -inf.
    is_nothing = eq(total.detach(), 0)
    result = add(where(is_nothing, -float("inf"), where(is_nothing, 1.0, total).log()), top)
    return result if keepdim or not dims else drop_base_of_copy(squeeze(result, dims), input)


@public("function", "method", known=True)
def nansum(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, dtype: Dtype | None = None) -> Tensor:
    """`sum` with 0 in the place of NaN.

    Raises
    ------
    IndexError, RuntimeError
        As `sum`.

    >>> import math
    >>> import numgrad as ng
    >>> ng.nansum(ng.tensor([1.0, math.nan, 2.0]))
    tensor(3.)
    """
    if dtype is not None:
        input, _ = converted("nansum", input, dtype)
    spec = check_tensor("nansum", "input", input)._spec
    if not spec.dtype.is_floating_point:
        return sum(input, dim, keepdim, dtype=dtype)
    total = _known.nansum(input, dims=reduced_dims("nansum", dim, spec.ndim, keepdim), keepdim=keepdim)
    return total if dtype is None else cast(total, dtype)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def nanmean(input: Tensor, dim: Any = None, keepdim: builtins.bool = False, *, dtype: Dtype | None = None) -> Tensor:
    """The mean of the elements that are not NaN; NaN if all are.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or a dimension is given twice.
    IndexError
        There is no such dimension.

    >>> import math
    >>> import numgrad as ng
    >>> ng.nanmean(ng.tensor([1.0, math.nan, 2.0]))
    tensor(1.5000)
    """
    if not check_tensor("nanmean", "input", input)._spec.dtype.is_floating_point:
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{input._spec.dtype.torch_name}; convert with .float() first"
        )
    total = nansum(input, dim, keepdim, dtype=dtype)
    return div(total, sum(eq(input.detach(), input.detach()), dim, keepdim))


@public("function", known=True)
def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: builtins.bool | None = None,
    keepdim: builtins.bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The pair (`var`, `mean`), with the arguments of `var`.

    Raises
    ------
    TypeError, RuntimeError
        As `var`.

    >>> import numgrad as ng
    >>> ng.var_mean(ng.tensor([1.0, 3.0]), dim=0)
    (tensor(2.), tensor(2.))
    """
    spread = var(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, None if isinstance(dim, builtins.bool) else dim, keepdim)


@public("function", known=True)
def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: builtins.bool | None = None,
    keepdim: builtins.bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The pair (`std`, `mean`), with the arguments of `std`.

    Raises
    ------
    TypeError, RuntimeError
        As `std`.

    >>> import numgrad as ng
    >>> ng.std_mean(ng.tensor([1.0, 3.0]), dim=0, correction=0)
    (tensor(1.), tensor(2.))
    """
    spread = std(input, dim, unbiased, keepdim, correction=correction)
    return spread, mean(input, None if isinstance(dim, builtins.bool) else dim, keepdim)


@public("function", "method", known=True)
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: builtins.bool = False) -> Any:
    """The smallest and the largest element, of all or along ``dim``, as a pair (min, max); NaN if there is a NaN.

    Raises
    ------
    IndexError
        There is no such dimension, or it has no elements.
    RuntimeError
        The input has no elements and no dimension is given.

    >>> import numgrad as ng
    >>> low, high = ng.aminmax(ng.tensor([2.0, 1.0, 3.0]))
    >>> low, high
    (tensor(1.), tensor(3.))
    """
    spec = check_tensor("aminmax", "input", input)._spec
    if dim is None and spec.numel == 0:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    dim = None if dim is None else wrap_dim("aminmax", dim, spec.ndim)
    return AminmaxResult((amin(input, dim, keepdim), amax(input, dim, keepdim)))


@public("function", "method", known=True)
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """The number (int64) of elements that are not 0, over all dimensions or those given. NaN is not 0.

    Raises
    ------
    IndexError
        There is no such dimension.
    RuntimeError
        A dimension is given twice.

    >>> import numgrad as ng
    >>> ng.count_nonzero(ng.tensor([[1, 0], [2, 3]])), ng.count_nonzero(ng.tensor([[1, 0], [2, 3]]), dim=0)
    (tensor(3), tensor([2, 1]))
    """
    return sum(ne(check_tensor("count_nonzero", "input", input).detach(), 0), dim)


@public("function", "method", "in_place", known=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """The input with those slices along ``dim`` whose p-norm is above ``maxnorm`` scaled down to it.

    Raises
    ------
    RuntimeError
        p is not positive, ``maxnorm`` is negative, the input has less than two dimensions, or is not of floating point.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.renorm(ng.tensor([[3.0, 4.0], [0.3, 0.4]]), p=2, dim=0, maxnorm=1)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    ndim = check_tensor("renorm", "input", input)._spec.ndim
    for name, number in (("p", p), ("maxnorm", maxnorm)):
        if as_number(number) is None:
            raise TypeError(f"renorm(): argument '{name}' must be Number, not {type(number).__name__}")
    if not p > 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported; p is {p}")
    if not maxnorm >= 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {ndim} dimensions")
    axis = wrap_dim("renorm", dim, ndim)
    others = tuple(d for d in range(ndim) if d != axis)
    length = norm(input.detach(), p, others, keepdim=True)
    is_above = gt(length, maxnorm)
    if chain.wrappers or modes.forward is not None or (modes.grad_enabled and input.requires_grad):
        # A slice that stays gives no NaN to its gradient.
        length = norm(where(is_above, input, 0.0), p, others, keepdim=True)
    factor = div(float(maxnorm), add(length, 1e-7))
    return mul(input, where(is_above, factor, 1.0))


# ---- covariances ------------------------------------------------------------------------------------------------


def _weights(name: str, weights: Any, count: int) -> Tensor | None:
    """Weights of observations, checked."""
    if weights is None:
        return None
    spec = check_tensor("cov", name, weights)._spec
    if spec.ndim > 1:
        raise RuntimeError(f"cov(): expected {name} to have one or fewer dimensions but got {spec.ndim} dims")
    is_float = spec.dtype.is_floating_point
    if is_float is (name == "fweights") or spec.dtype.is_bool:
        kind = "integral" if name == "fweights" else "floating point"
        raise RuntimeError(
            f"cov(): expected {name} to have {kind} dtype but got {name} with {spec.dtype.torch_name} dtype"
        )
    if spec.numel != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations: {spec.numel} != {count}"
        )
    if count and builtins.bool((weights.detach() < 0).any()):
        raise RuntimeError(f"cov(): {name} cannot be negative")
    return view(weights, -1)


@public("function", "method", known=True)
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:  # fmt: skip
    """The covariances of variables, one a row of [variables, observations]; of one vector its variance.

    correction
        What is subtracted from the number of observations, by which the sums of products are divided.
    fweights
        How often each observation was made, as integers.
    aweights
        The importance of each observation, of floating point.

    Raises
    ------
    RuntimeError
        The input has more than two dimensions or is of bools, or weights do not fit.

    >>> import numgrad as ng
    >>> ng.cov(ng.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    spec = check_tensor("cov", "input", input)._spec
    if spec.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {spec.ndim} dimensions"
        )
    if spec.dtype.is_bool:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    correction = as_int("cov", "correction", correction)
    rows = input if spec.ndim == 2 else view(input, 1, -1)
    if not spec.dtype.is_floating_point:
        rows = cast(rows, dtypes.get_default_dtype())
    count = rows._spec.shape[1]
    often, important = _weights("fweights", fweights, count), _weights("aweights", aweights, count)
    weights = often if important is None else important if often is None else mul(often, important)
    if weights is None:
        total: Any = float(count)
        centre = div(sum(rows, 1, keepdim=True), total)
        divisor: Any = tensor(builtins.max(total - correction, 0.0), dtype=rows._spec.dtype)
    else:
        weights = cast(weights, rows._spec.dtype)
        total = sum(weights)
        if float(total.detach()) == 0:
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        centre = div(sum(mul(rows, weights), 1, keepdim=True), total)
        lost = mul(sum(mul(weights, important)), div(float(correction), total)) if important is not None else correction
        divisor = sub(total, lost).clamp(min=0)
    centred = sub(rows, centre)
    weighted = centred if weights is None else mul(centred, weights)
    products = div(centred.matmul(weighted.t()), divisor)
    return products if spec.ndim == 2 and spec.shape[0] != 1 else squeeze(products)


@public("function", "method", known=True)
def corrcoef(input: Tensor) -> Tensor:
    """The correlation coefficients of variables, one a row of [variables, observations], within [-1, 1].

    Raises
    ------
    RuntimeError
        The input has more than two dimensions or is of bools.

    >>> import numgrad as ng
    >>> ng.corrcoef(ng.tensor([[0.0, 1.0, 2.0], [4.0, 2.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    spec = check_tensor("corrcoef", "input", input)._spec
    if spec.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {spec.ndim} dimensions"
        )
    products = cov(input)
    if not products._spec.ndim:
        return div(products, products)
    size = products._spec.shape[0]
    variances = squeeze(gather(products, 1, unsqueeze(arange(size), 1)), 1)
    spread = variances.sqrt()
    return div(div(products, unsqueeze(spread, 1)), spread).clamp(-1, 1)
