"""The functions of `numgrad.special` that are more than their op; the others say in their specs that they are there."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.engine.constants import constant
from numgrad.tensor.arguments import as_int, as_number, cast, check_tensor
from numgrad.tensor.clamping import clamp
from numgrad.tensor.creation import arange
from numgrad.tensor.pointwise import add, sub
from numgrad.tensor.reductions import sum
from numgrad.tensor.shaping import unsqueeze
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_e = ops.elementwise


def _of_floats(name: str, input: Any) -> Tensor:
    """The input; integers and bools are converted to the default dtype."""
    dtype = check_tensor(name, "input", input)._spec.dtype
    return input if dtype.is_floating_point else cast(input, dtypes.get_default_dtype())  # type: ignore[no-any-return]


@public("function", "special", known=True)
def polygamma(n: int, input: Tensor) -> Tensor:
    """The derivative of order n of `digamma`, elementwise. Integers are converted to floating point.

    Raises
    ------
    RuntimeError
        n is negative.

    >>> import numgrad as ng
    >>> ng.polygamma(1, ng.tensor([1.0, 0.5]))
    tensor([1.6449, 4.9348])
    """
    order = as_int("polygamma", "n", n)
    if order < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n, got {order}")
    x = _of_floats("polygamma", input)
    if order == 0:
        return _e.digamma(x)  # type: ignore[no-any-return]
    return _e.polygamma(x, constant(builtins.float(order), x._spec.dtype))  # type: ignore[no-any-return]


@public("method", "in_place", name="polygamma")
def _polygamma_of(input: Tensor, n: int) -> Tensor:
    """The derivative of order n of `digamma` at this tensor, elementwise. Integers are converted to floating point.

    Raises
    ------
    RuntimeError
        n is negative.

    >>> import numgrad as ng
    >>> ng.tensor([1.0, 0.5]).polygamma(1)
    tensor([1.6449, 4.9348])
    """
    return polygamma(n, input)


@public("function", "method", "in_place", known=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p, elementwise.

    It is p (p - 1) / 4 * log(pi) plus the sum of lgamma(input - j / 2) over j = 0, ..., p - 1. Integers are converted to
    floating point.

    Raises
    ------
    RuntimeError
        p is less than 1.

    >>> import numgrad as ng
    >>> ng.mvlgamma(ng.tensor([2.0, 3.0]), 2)
    tensor([0.4516, 1.5502])
    """
    order = as_int("mvlgamma", "p", p)
    if order < 1:
        raise RuntimeError(f"mvlgamma: p has to be greater than or equal to 1, got {order}")
    x = _of_floats("mvlgamma", input)
    halves = arange(order, dtype=x._spec.dtype) * 0.5
    return add(sum(_e.lgamma(sub(unsqueeze(x, -1), halves)), -1), order * (order - 1) / 4 * math.log(math.pi))


@public("function", "method", "in_place", "in_place_function", "special", known=True)
def logit(input: Tensor, eps: builtins.float | None = None) -> Tensor:
    """log(input / (1 - input)), elementwise; with ``eps`` of input clamped to [eps, 1 - eps].

    Without ``eps`` it is NaN below 0 and above 1. Integers are converted to floating point.

    Raises
    ------
    TypeError
        ``eps`` is not a number.

    >>> import numgrad as ng
    >>> ng.logit(ng.tensor([0.5, 0.75])), ng.logit(ng.tensor([0.0, 1.0]), eps=0.25)
    (tensor([0.0000, 1.0986]), tensor([-1.0986,  1.0986]))
    """
    x = _of_floats("logit", input)
    if eps is not None:
        number = as_number(eps)
        if number is None:
            raise TypeError(f"logit(): argument 'eps' must be float, not {type(eps).__name__}")
        x = clamp(x, number, 1 - number)
    return _e.log_odds(x)  # type: ignore[no-any-return]
