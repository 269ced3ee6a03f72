"""`Operators`, the base of Tensor that defines Python's operators, with their reflected and in-place forms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad import ops
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase
from numgrad.errors import OperandError
from numgrad.registry import chain, find
from numgrad.tensor import arguments, comparison, in_place, layers, pointwise

_e = ops.elementwise


def _operator(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A function as an operator's method. Unknown operands are left to the other operand's class, and then to Python."""

    def operator(self: Any, other: Any) -> Any:
        try:
            return function(self, other)
        except OperandError:
            return NotImplemented

    return operator


def _arithmetic(name: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """As `_operator`, with a shortcut for floating point and a tensor of the same dtype or a Python number."""
    op = find(name)

    def operator(self: Any, other: Any) -> Any:
        if isinstance(other, TensorBase):
            dtype = self._spec.dtype
            if dtype is other._spec.dtype and dtype.is_floating_point:
                return chain.dispatch(op, (self, other), op.defaults)
        elif other.__class__ is float or other.__class__ is int:
            dtype = self._spec.dtype
            if dtype.is_floating_point:
                return chain.dispatch(op, (self, constant(other, dtype)), op.defaults)
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


def _in_place(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return _operator(in_place.form_of(function.__name__, function))


def _matmul(x: Any, y: Any) -> Any:
    if not (isinstance(x, TensorBase) and isinstance(y, TensorBase)):
        for value in (x, y):
            if not isinstance(value, (TensorBase, np.ndarray)):
                raise OperandError(f"matmul: expected a Tensor or a NumPy array, got {type(value).__name__}")
        dtype = arguments.result_type(x, y)
        x, y = arguments.as_operand(x, dtype), arguments.as_operand(y, dtype)
    return layers.matmul(x, y)


def _matmul_(target: Any, other: Any) -> Any:
    """``target @= other``, in place as in NumPy. In torch the name gets a new tensor, and views keep the old values."""
    product = _matmul(in_place.kept(target, other), other)
    if product.shape != target.shape:
        raise RuntimeError(
            f"@=: the product has shape {list(product.shape)}, expected that of the target, {list(target.shape)}; write "
            "x = x @ y"
        )
    return in_place.assign("@=", target, product)


class _NumpyFunctions:
    """Where NumPy's functions and ufuncs are looked up: `numgrad` says it, since they are written over tensors, a floor above."""

    look_up: Callable[[Any], Callable[..., Any]]


numpy_functions = _NumpyFunctions()

_OPERANDS = (TensorBase, np.ndarray, np.generic, bool, int, float)


@functools.cache
def _of_numpy() -> dict[Any, Callable[[Any, Any], Any]]:
    """The functions for NumPy's operators."""
    return {
        np.add: pointwise.add,
        np.subtract: pointwise.sub,
        np.multiply: pointwise.mul,
        np.true_divide: pointwise.div,
        np.floor_divide: pointwise.floor_divide,
        np.remainder: pointwise.remainder,
        np.power: pointwise.pow,
        np.matmul: _matmul,
        np.bitwise_and: comparison.bitwise_and,
        np.bitwise_or: comparison.bitwise_or,
        np.bitwise_xor: comparison.bitwise_xor,
        np.left_shift: comparison.bitwise_left_shift,
        np.right_shift: comparison.bitwise_right_shift,
        np.equal: comparison.eq,
        np.not_equal: comparison.ne,
        np.less: comparison.lt,
        np.less_equal: comparison.le,
        np.greater: comparison.gt,
        np.greater_equal: comparison.ge,
    }


def _negative(self: Any) -> Any:
    return _e.neg(self)


def _positive(self: Any) -> Any:
    if self._spec.dtype.is_bool:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported; convert with .long()")
    return self


def _absolute(self: Any) -> Any:
    return _e.absolute(self)


def _inverted(self: Any) -> Any:
    if self._spec.dtype.is_floating_point:
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return comparison.bitwise_not(self)


def operators() -> dict[str, Callable[..., Any]]:
    """The methods behind Python's operators."""
    named = {
        "add": (_arithmetic("add", pointwise.add), pointwise.add, _operator(pointwise.add_)),
        "sub": (_arithmetic("sub", pointwise.sub), pointwise.sub, _operator(pointwise.sub_)),
        "mul": (_arithmetic("mul", pointwise.mul), pointwise.mul, _in_place(pointwise.mul)),
        "truediv": (_arithmetic("div", pointwise.div), pointwise.div, _in_place(pointwise.div)),
        "floordiv": (_operator(pointwise.floor_divide), pointwise.floor_divide, _in_place(pointwise.floor_divide)),
        "mod": (_operator(pointwise.remainder), pointwise.remainder, _in_place(pointwise.remainder)),
        "pow": (_operator(pointwise.pow), pointwise.pow, _operator(pointwise.pow_)),
        "matmul": (_operator(_matmul), _matmul, _operator(_matmul_)),
    }
    bits = {
        "and": comparison.bitwise_and,
        "or": comparison.bitwise_or,
        "xor": comparison.bitwise_xor,
        "lshift": comparison.bitwise_left_shift,
        "rshift": comparison.bitwise_right_shift,
    }
    named |= {name: (_operator(function), function, _in_place(function)) for name, function in bits.items()}
    methods: dict[str, Callable[..., Any]] = {
        "__neg__": _negative,
        "__pos__": _positive,
        "__abs__": _absolute,
        "__invert__": _inverted,
    }
    for name, (left, right, in_place_form) in named.items():
        methods |= {f"__{name}__": left, f"__r{name}__": _reflected(right), f"__i{name}__": in_place_form}
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        methods[f"__{name}__"] = _operator(getattr(comparison, name))
    return methods


class Operators(TensorBase):
    """The operators of a tensor."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        """NumPy's ufuncs, differentiable: its operators are those of tensors, all else is `numgrad.numpy`'s."""
        operator = _of_numpy().get(ufunc) if method == "__call__" and out is None and not options else None
        if operator is not None and all(isinstance(value, _OPERANDS) for value in inputs):
            return operator(*inputs)
        function = numpy_functions.look_up(ufunc)
        if out is not None:
            options["out"] = out
        return (function if method == "__call__" else getattr(function, method))(*inputs, **options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """NumPy's functions, differentiable: those of `numgrad.numpy`."""
        return numpy_functions.look_up(function)(*args, **kwargs)  # type: ignore[no-any-return]

    __hash__ = object.__hash__  # by identity, not by value


# Set outside of the class, since a type checker would need all functions before it knows Tensor; methods.pyi lists them.
for _name, _method in operators().items():
    setattr(Operators, _name, _method)
