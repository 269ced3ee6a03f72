"""Comparisons and bitwise functions: torch's names and promotion over the ops."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import ops
from numgrad.errors import DtypeError, ShapeError
from numgrad.tensor import known
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.pointwise import binary
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_e = ops.elementwise


def _public(op: Any, doc: str, example: str) -> Callable[[Any, Any], Tensor]:
    def function(input: Any, other: Any) -> Tensor:
        return binary(op, input, other)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"{doc}\n\n>>> import numgrad as ng\n>>> {example}\n"
    return public("function", "method", "in_place", known=True)(function)


def _compare(op: Any, symbol: str, example: str) -> Callable[[Any, Any], Tensor]:
    doc = f"""input {symbol} other, elementwise: bools of the shape that both broadcast to.

The operands, tensors or numbers, are promoted to one dtype.

Raises
------
RuntimeError
    The shapes do not broadcast.
TypeError
    An operand is not a tensor, number or array."""
    return _public(op, doc, example)


eq = _compare(_e.eq, "==", "ng.eq(ng.tensor([1, 2]), 2)\ntensor([False,  True])")
ne = _compare(_e.ne, "!=", "ng.ne(ng.tensor([1.0, 2.0]), 2)\ntensor([ True, False])")
lt = _compare(
    _e.lt, "<", "ng.lt(ng.arange(2), ng.tensor([[0], [1]]))\ntensor([[False, False],\n        [ True, False]])"
)
le = _compare(_e.le, "<=", "ng.le(ng.tensor([1, 2, 3]), 2.5)\ntensor([ True,  True, False])")
gt = _compare(_e.gt, ">", "ng.gt(ng.tensor([0.5, 1.5]), ng.tensor([1, 1]))\ntensor([False,  True])")
ge = _compare(_e.ge, ">=", "ng.ge(ng.tensor([True, False]), 1)\ntensor([ True, False])")


def _bitwise(op: Any, symbol: str, example: str, more: str = "") -> Callable[[Any, Any], Tensor]:
    doc = f"""input {symbol} other, of integers and bools: elementwise, broadcast and promoted.
{more}
Raises
------
RuntimeError
    The dtype is floating point, or the shapes do not broadcast."""
    return _public(op, doc, example)


bitwise_and = _bitwise(_e.bitwise_and, "&", "ng.bitwise_and(ng.tensor([6, 5]), 3)\ntensor([2, 1])")
bitwise_or = _bitwise(_e.bitwise_or, "|", "ng.bitwise_or(ng.tensor([6, 5]), 3)\ntensor([7, 7])")
bitwise_xor = _bitwise(
    _e.bitwise_xor, "^", "ng.bitwise_xor(ng.tensor([True, False]), ng.tensor([True, True]))\ntensor([False,  True])"
)
_SHIFTED = "\nBits that are shifted out are lost. Shifts by less than 0 or by all bits shift everything out.\n"
bitwise_left_shift = _bitwise(
    _e.bitwise_left_shift, "<<", "ng.bitwise_left_shift(ng.tensor([1, 3]), 2)\ntensor([ 4, 12])", _SHIFTED
)
bitwise_right_shift = _bitwise(
    _e.bitwise_right_shift, ">>", "ng.bitwise_right_shift(ng.tensor([-8, 9]), 1)\ntensor([-4,  4])", _SHIFTED
)


@public("function", "method", "in_place", known=True)
def bitwise_not(input: Tensor) -> Tensor:
    """The complement of all bits of an integer; for bools, not.

    Raises
    ------
    RuntimeError
        The dtype is floating point.

    >>> import numgrad as ng
    >>> ng.bitwise_not(ng.tensor([0, 5])), ng.bitwise_not(ng.tensor([True, False]))
    (tensor([-1, -6]), tensor([False,  True]))
    """
    dtype = check_tensor("bitwise_not", "input", input)._spec.dtype
    if dtype.is_floating_point:
        raise DtypeError(f"\"bitwise_not\" not implemented for '{dtype.torch_name}'; it is for integers and bools")
    return _e.logical_not(input) if dtype.is_bool else bitwise_xor(input, -1 if dtype.smallest else dtype.largest)


@public("function", "method")
def equal(input: Tensor, other: Tensor) -> builtins.bool:
    """Whether two tensors have the same shape and the same elements, as a bool. A NaN equals nothing; dtypes may differ.

    Raises
    ------
    TypeError
        An argument is not a tensor.

    >>> import numgrad as ng
    >>> ng.equal(ng.tensor([1, 2]), ng.tensor([1.0, 2.0])), ng.equal(ng.ones(2), ng.ones(1, 2))
    (True, False)
    """
    one, two = check_tensor("equal", "input", input)._spec, check_tensor("equal", "other", other)._spec
    if one.shape != two.shape:
        return False
    if one.numel > _AT_ONCE and one.kind.is_exact and two.kind.is_exact:
        return _are_equal(*[ops.view.view(each.detach(), size=(each._spec.numel,)) for each in (input, other)])
    if one.numel > _AT_ONCE and one.shape[0] > 1:  # most unequal tensors differ in their first part
        first = [ops.view.narrow(each.detach(), 0, 0, 1) for each in (input, other)]
        if not equal(*first):
            return False
    return builtins.bool(_all_equal(input, other))


@known.knowing
def _all_equal(input: Tensor, other: Tensor) -> Tensor:
    return eq(input, other).all()


_AT_ONCE = 1 << 14  # elements: comparing them takes as long as asking for a part of them
_FIRST = 1 << 12  # elements that are compared before others, of which most unequal tensors differ in one


def _are_equal(input: Tensor, other: Tensor) -> builtins.bool:
    """Whether two vectors are equal, part by part up to the first difference; each part is larger than the one before."""
    begin, count, end = 0, _FIRST, input._spec.numel
    while begin < end:
        count = builtins.min(count, end - begin)
        parts = [ops.view.narrow(each, 0, begin, count) for each in (input, other)]
        if not _all_equal(*parts):
            return False
        begin, count = begin + count, count << 4
    return True


@public("function", "method")
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: builtins.bool = False
) -> builtins.bool:
    """Whether abs(input - other) <= atol + rtol * abs(other) everywhere, as a bool. With ``equal_nan``, NaNs are equal.

    Raises
    ------
    RuntimeError
        The dtypes differ, or a tolerance is negative.

    >>> import numgrad as ng
    >>> ng.allclose(ng.tensor([1.0, 2.0]), ng.tensor([1.0, 2.00001]))
    True
    """
    for name, tensor in (("input", input), ("other", other)):
        check_tensor("allclose", name, tensor)
    if input.dtype is not other.dtype:
        raise RuntimeError(
            f"allclose: {input.dtype.torch_name} did not match {other.dtype.torch_name}; convert one with .to()"
        )
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if not tolerance >= 0:
            raise RuntimeError(f"allclose: {name} must be greater than or equal to zero, but got {tolerance}")
    try:
        np.broadcast_shapes(input._spec.shape, other._spec.shape)
    except ValueError:
        raise ShapeError(
            f"allclose: shapes {list(input.shape)} and {list(other.shape)} do not broadcast to one"
        ) from None
    from numgrad.tensor import predicates, reductions

    close = predicates.isclose(input.detach(), other.detach(), rtol, atol, equal_nan)
    return builtins.bool(reductions.all(close))
