"""What Python's operators do with tensors, and the in-place forms that belong to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad import registry
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import OperandError
from numgrad.registry import find
from numgrad.tensor import functional as F
from numgrad.tensor import layers as L


def _operator(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A function as an operator's method: what it does not know is left to the other operand's class, and then to Python."""

    def operator(self: Any, other: Any) -> Any:
        try:
            return function(self, other)
        except OperandError:
            return NotImplemented

    return operator


def _arithmetic(name: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """As `_operator`, with the common case first: floating point, and a tensor of the same dtype or a Python number."""
    op = find(name)

    def operator(self: Any, other: Any) -> Any:
        if isinstance(other, TensorBase):
            dtype = self._spec.dtype
            if dtype is other._spec.dtype and dtype.is_floating_point:
                return registry.dispatch(op, (self, other), op.defaults)
        elif other.__class__ is float or other.__class__ is int:
            dtype = self._spec.dtype
            if dtype.is_floating_point:
                return registry.dispatch(op, (self, constant(other, dtype)), op.defaults)
        try:
            return function(self, other)
        except OperandError:
            return NotImplemented

    return operator


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """As `_operator`, for the operand on the right."""

    def operator(self: Any, other: Any) -> Any:
        try:
            return function(other, self)
        except OperandError:
            return NotImplemented

    return operator


def _matmul(x: Any, y: Any) -> Any:
    if not (isinstance(x, TensorBase) and isinstance(y, TensorBase)):
        for value in (x, y):
            if not isinstance(value, (TensorBase, np.ndarray)):
                raise OperandError(f"matmul: expected a Tensor or a NumPy array, got {type(value).__name__}")
        dtype = F.result_type(x, y)
        x, y = F.as_operand(x, dtype), F.as_operand(y, dtype)
    return L.matmul(x, y)


def _matmul_(target: Any, other: Any) -> Any:
    """``target @= other``. NumPy's rule, not torch's, which would leave the memory, and all views of it, as it is."""
    # The product keeps its left factor for the gradient of the right one.
    kept = F.clone(target) if modes.grad_enabled and getattr(other, "requires_grad", False) else target
    product = _matmul(kept, other)
    if product.shape != target.shape:
        raise RuntimeError(
            f"@=: the product has shape {list(product.shape)}, expected that of the target, {list(target.shape)}; write "
            "x = x @ y"
        )
    return F.assign("@=", target, product)


_OF_NUMPY: dict[Any, Callable[[Any, Any], Any]] = {
    np.add: F.add,
    np.subtract: F.sub,
    np.multiply: F.mul,
    np.true_divide: F.div,
    np.floor_divide: F.floor_divide,
    np.remainder: F.remainder,
    np.power: F.pow,
    np.matmul: _matmul,
    np.bitwise_and: F.bitwise_and,
    np.bitwise_or: F.bitwise_or,
    np.bitwise_xor: F.bitwise_xor,
    np.left_shift: F.bitwise_left_shift,
    np.right_shift: F.bitwise_right_shift,
    np.equal: F.eq,
    np.not_equal: F.ne,
    np.less: F.lt,
    np.less_equal: F.le,
    np.greater: F.gt,
    np.greater_equal: F.ge,
}


class Operators(TensorBase):
    """The operators of a tensor."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        """NumPy's operators: an array and a tensor give a tensor; ``array += tensor`` changes the array.

        What NumPy does element by element otherwise, such as ``np.sin(tensor)``, is refused: it would lose the gradient.
        """
        if method != "__call__":
            return NotImplemented
        if out is not None:
            if any(isinstance(target, TensorBase) for target in out):
                return NotImplemented
            arrays = [value.numpy() if isinstance(value, Operators) else value for value in inputs]  # type: ignore[attr-defined]
            return ufunc(*arrays, out=out, **options)
        function = _OF_NUMPY.get(ufunc)
        if function is None or options:
            raise TypeError(
                f"numpy.{ufunc.__name__} does not take Tensors: it would lose the gradient. Use numgrad's function of that name "
                "if there is one, or tensor.detach().numpy()"
            )
        return function(*inputs)

    # ---- arithmetic --------------------------------------------------------------------------------------------

    __add__, __radd__, __iadd__ = _arithmetic("add", F.add), _reflected(F.add), _operator(F.add_)
    __sub__, __rsub__, __isub__ = _arithmetic("sub", F.sub), _reflected(F.sub), _operator(F.sub_)
    __mul__, __rmul__ = _arithmetic("mul", F.mul), _reflected(F.mul)
    __truediv__, __rtruediv__ = _arithmetic("div", F.div), _reflected(F.div)
    __floordiv__, __rfloordiv__ = _operator(F.floor_divide), _reflected(F.floor_divide)
    __mod__, __rmod__ = _operator(F.remainder), _reflected(F.remainder)
    __pow__, __rpow__, __ipow__ = _operator(F.pow), _reflected(F.pow), _operator(F.pow_)
    __matmul__, __rmatmul__, __imatmul__ = _operator(_matmul), _reflected(_matmul), _operator(_matmul_)

    def __neg__(self) -> Any:
        return F.neg(self)  # type: ignore[arg-type]

    def __pos__(self) -> Any:
        if self._spec.dtype.is_bool:
            raise RuntimeError("The `+` operator, on a bool tensor is not supported; convert with .long()")
        return self

    def __abs__(self) -> Any:
        return F.abs(self)  # type: ignore[arg-type]

    def __invert__(self) -> Any:
        if self._spec.dtype.is_floating_point:
            raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
        return F.bitwise_not(self)  # type: ignore[arg-type]

    # ---- bits --------------------------------------------------------------------------------------------------

    __and__, __rand__ = _operator(F.bitwise_and), _reflected(F.bitwise_and)
    __or__, __ror__ = _operator(F.bitwise_or), _reflected(F.bitwise_or)
    __xor__, __rxor__ = _operator(F.bitwise_xor), _reflected(F.bitwise_xor)
    __lshift__, __rlshift__ = _operator(F.bitwise_left_shift), _reflected(F.bitwise_left_shift)
    __rshift__, __rrshift__ = _operator(F.bitwise_right_shift), _reflected(F.bitwise_right_shift)

    # ---- comparisons -------------------------------------------------------------------------------------------

    __eq__, __ne__ = _operator(F.eq), _operator(F.ne)  # type: ignore[assignment]
    __lt__, __le__, __gt__, __ge__ = _operator(F.lt), _operator(F.le), _operator(F.gt), _operator(F.ge)
    __hash__ = object.__hash__  # of its identity, not of its values

    # ---- as methods, and in place ------------------------------------------------------------------------------

    def floor_divide(self, other: Any) -> Any:
        return F.floor_divide(self, other)

    def floor_divide_(self, other: Any) -> Any:
        """`floor_divide` in place."""
        return F.in_place("floor_divide", self, other)  # type: ignore[arg-type]

    def remainder(self, other: Any) -> Any:
        return F.remainder(self, other)

    def remainder_(self, other: Any) -> Any:
        """`remainder` in place."""
        return F.in_place("remainder", self, other)  # type: ignore[arg-type]

    def bitwise_and(self, other: Any) -> Any:
        return F.bitwise_and(self, other)

    def bitwise_and_(self, other: Any) -> Any:
        """`bitwise_and` in place."""
        return F.in_place("bitwise_and", self, other)  # type: ignore[arg-type]

    def bitwise_or(self, other: Any) -> Any:
        return F.bitwise_or(self, other)

    def bitwise_or_(self, other: Any) -> Any:
        """`bitwise_or` in place."""
        return F.in_place("bitwise_or", self, other)  # type: ignore[arg-type]

    def bitwise_xor(self, other: Any) -> Any:
        return F.bitwise_xor(self, other)

    def bitwise_xor_(self, other: Any) -> Any:
        """`bitwise_xor` in place."""
        return F.in_place("bitwise_xor", self, other)  # type: ignore[arg-type]

    def bitwise_left_shift(self, other: Any) -> Any:
        return F.bitwise_left_shift(self, other)

    def bitwise_left_shift_(self, other: Any) -> Any:
        """`bitwise_left_shift` in place."""
        return F.in_place("bitwise_left_shift", self, other)  # type: ignore[arg-type]

    def bitwise_right_shift(self, other: Any) -> Any:
        return F.bitwise_right_shift(self, other)

    def bitwise_right_shift_(self, other: Any) -> Any:
        """`bitwise_right_shift` in place."""
        return F.in_place("bitwise_right_shift", self, other)  # type: ignore[arg-type]

    def eq_(self, other: Any) -> Any:
        """`eq` in place: 1 where it holds, else 0."""
        return F.assign("eq_", self, F.eq(self, other))  # type: ignore[arg-type]

    def ne_(self, other: Any) -> Any:
        """`ne` in place: 1 where it holds, else 0."""
        return F.assign("ne_", self, F.ne(self, other))  # type: ignore[arg-type]

    def lt_(self, other: Any) -> Any:
        """`lt` in place: 1 where it holds, else 0."""
        return F.assign("lt_", self, F.lt(self, other))  # type: ignore[arg-type]

    def le_(self, other: Any) -> Any:
        """`le` in place: 1 where it holds, else 0."""
        return F.assign("le_", self, F.le(self, other))  # type: ignore[arg-type]

    def gt_(self, other: Any) -> Any:
        """`gt` in place: 1 where it holds, else 0."""
        return F.assign("gt_", self, F.gt(self, other))  # type: ignore[arg-type]

    def ge_(self, other: Any) -> Any:
        """`ge` in place: 1 where it holds, else 0."""
        return F.assign("ge_", self, F.ge(self, other))  # type: ignore[arg-type]

    def bitwise_not(self) -> Any:
        return F.bitwise_not(self)  # type: ignore[arg-type]

    def bitwise_not_(self) -> Any:
        """`bitwise_not` in place."""
        return F.assign("bitwise_not_", self, F.bitwise_not(self))  # type: ignore[arg-type]

    def logical_not(self) -> Any:
        return F.logical_not(self)  # type: ignore[arg-type]

    def logical_not_(self) -> Any:
        """`logical_not` in place."""
        return F.assign("logical_not_", self, F.logical_not(self))  # type: ignore[arg-type]

    def clamp_min(self, min: Any) -> Any:
        return F.clamp_min(self, min)  # type: ignore[arg-type]

    def clamp_min_(self, min: Any) -> Any:
        """`clamp_min` in place."""
        return F.clamp_(self, min=min)  # type: ignore[arg-type]

    def clamp_max(self, max: Any) -> Any:
        return F.clamp_max(self, max)  # type: ignore[arg-type]

    def clamp_max_(self, max: Any) -> Any:
        """`clamp_max` in place."""
        return F.clamp_(self, max=max)  # type: ignore[arg-type]

    def floor_(self) -> Any:
        """`floor` in place."""
        return F.rounded_("floor", self)  # type: ignore[arg-type]

    def ceil_(self) -> Any:
        """`ceil` in place."""
        return F.rounded_("ceil", self)  # type: ignore[arg-type]

    def trunc_(self) -> Any:
        """`trunc` in place."""
        return F.rounded_("trunc", self)  # type: ignore[arg-type]

    def round_(self, *, decimals: int = 0) -> Any:
        """`round` in place."""
        rounded = F.round(self, decimals=decimals) if decimals else None  # type: ignore[arg-type]
        return F.rounded_("round", self) if rounded is None else F.assign("round_", self, rounded)  # type: ignore[arg-type]

    def sign_(self) -> Any:
        """`sign` in place."""
        if self._spec.dtype.is_bool:
            return F.assign("sign_", self, self)  # type: ignore[arg-type]
        return F.in_place("sign", self)  # type: ignore[arg-type]

    def expm1_(self) -> Any:
        """`expm1` in place."""
        return F.in_place("expm1", self)  # type: ignore[arg-type]

    def log1p_(self) -> Any:
        """`log1p` in place."""
        return F.in_place("log1p", self)  # type: ignore[arg-type]

    def rsqrt_(self) -> Any:
        """`rsqrt` in place."""
        return F.in_place("rsqrt", self)  # type: ignore[arg-type]

    def erf_(self) -> Any:
        """`erf` in place."""
        return F.in_place("erf", self)  # type: ignore[arg-type]

    __imul__, __itruediv__ = (
        _operator(lambda x, y: F.in_place("mul", x, y)),
        _operator(lambda x, y: F.in_place("div", x, y)),
    )
    __ifloordiv__, __imod__ = _operator(floor_divide_), _operator(remainder_)
    __iand__, __ior__, __ixor__ = _operator(bitwise_and_), _operator(bitwise_or_), _operator(bitwise_xor_)
    __ilshift__, __irshift__ = _operator(bitwise_left_shift_), _operator(bitwise_right_shift_)
