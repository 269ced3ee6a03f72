"""Elementwise functions and their in-place forms: torch's names and type promotion over the ops."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import dtypes, ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase, modes
from numgrad.registry import OPS, chain
from numgrad.tensor.arguments import (
    as_element,
    as_input,
    as_number,
    as_operand,
    cast,
    check_tensor,
    compared_dtype,
)
from numgrad.tensor.checked import older_form
from numgrad.tensor.in_place import assign, check_result, joint_dtype, named_result_type, overwrite
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


_e = ops.elementwise


def binary(op: Any, x: Any, y: Any) -> Tensor:
    """Apply an op to two operands (tensors, numbers or arrays), promoted to one dtype."""
    try:
        if x._spec.dtype is y._spec.dtype:
            return chain.dispatch(op, (x, y), op.defaults)  # type: ignore[no-any-return]
    except AttributeError:  # not both are tensors
        for tensor, number in ((x, y), (y, x)):  # a shortcut for numbers that do not change the dtype
            if (number.__class__ is int or number.__class__ is float) and isinstance(tensor, TensorBase):
                dtype = tensor._spec.dtype
                if dtype.is_floating_point or (
                    dtype.smallest <= number <= dtype.largest and number.__class__ is int and dtype.category
                ):
                    operands = (constant(number, dtype), y) if number is x else (x, constant(number, dtype))
                    if number is x and op.commutes:  # torch's graphs have the tensor first
                        operands = operands[::-1]
                    return chain.dispatch(op, operands, op.defaults)  # type: ignore[no-any-return]
    dtype = named_result_type(op.name, x, y)
    if op.result == "bool" and dtype.category == 1:
        dtype = compared_dtype(dtype, (x, y))
    return op(as_input(op, 0, x, dtype), as_input(op, 1, y, dtype))  # type: ignore[no-any-return]


def of_floats(op: Any, input: Any, other: Any) -> Tensor:
    """Apply a floating-point op to two operands; integers and bools are converted to the default dtype."""
    if isinstance(input, TensorBase) and input._spec.dtype.is_floating_point:
        return binary(op, input, other)
    dtype = _float_result(op.name, input, other)
    return op(as_operand(input, dtype), as_operand(other, dtype))  # type: ignore[no-any-return]


def _float_result(name: str, *values: Any) -> Dtype:
    dtype = named_result_type(name, *values)
    return dtype if dtype.is_floating_point else dtypes.get_default_dtype()


# ---- functions --------------------------------------------------------------------------------------------------


@public("function", "method", asks=True, known=True)
def add(input: Any, other: Any, *further: Any, alpha: Any = 1) -> Tensor:
    """input + alpha * other, elementwise and broadcast, in the dtype to which both are promoted; for bools it is ``or``.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast, or alpha is a float and the result is not of floating point.
    TypeError
        An operand is not a tensor, number or array.

    >>> import numgrad as ng
    >>> ng.add(ng.tensor([1.0, 2.0]), 10, alpha=2)
    tensor([21., 22.])
    """
    if further:
        other, alpha = older_form("add", other, further, alpha)
    return binary(
        _e.add, input, other if alpha.__class__ is int and alpha == 1 else _scaled("add", input, other, alpha)
    )


@public("function", "method", asks=True, known=True)
def sub(input: Any, other: Any, *further: Any, alpha: Any = 1) -> Tensor:
    """input - alpha * other, elementwise and broadcast, in the dtype to which both are promoted.

    Raises
    ------
    RuntimeError
        An operand is of bools, or as `add`.
    TypeError
        As `add`.

    >>> import numgrad as ng
    >>> ng.sub(ng.tensor([5, 6]), ng.tensor([[1], [2]]))
    tensor([[4, 5],
            [3, 4]])
    """
    if further:
        other, alpha = older_form("sub", other, further, alpha)
    _refuse_bools(input, other)
    return binary(
        _e.sub, input, other if alpha.__class__ is int and alpha == 1 else _scaled("sub", input, other, alpha)
    )


def _refuse_bools(*values: Any) -> None:
    for value in values:
        if isinstance(value, (builtins.bool, np.bool_)) or (
            isinstance(value, TensorBase) and value._spec.dtype.is_bool
        ):
            raise RuntimeError(
                "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use "
                "the `~` or `logical_not()` operator instead."
            )


def _scaled(name: str, input: Any, other: Any, alpha: Any) -> Any:
    """alpha * other, in the dtype of the result with ``input``."""
    factor = as_number(alpha.item() if isinstance(alpha, TensorBase) and alpha._spec.ndim == 0 else alpha)  # type: ignore[attr-defined]
    if factor is None:
        raise TypeError(f"{name}(): argument 'alpha' must be Number, not {type(alpha).__name__}")
    dtype = named_result_type(name, input, other)
    if isinstance(factor, builtins.bool) and not dtype.is_bool:
        raise RuntimeError(f"{name}: Boolean alpha only supported for Boolean results, and this one is {dtype}")
    if isinstance(factor, builtins.float) and not dtype.is_floating_point:
        raise RuntimeError(f"{name}: For integral input tensors, argument alpha must not be a floating point number.")
    if dtype.is_bool:
        return mul(as_operand(other, dtype), builtins.bool(factor))
    number = as_number(other)
    if number is None and dtype.is_floating_point:  # not by a table: where a step size changes, two would be looked up
        return _e.mul(as_operand(other, dtype), as_operand(factor, dtype))
    return mul(as_operand(other, dtype), factor) if number is None else factor * number


@public("function", "method", "in_place", asks=True, known=True)
def mul(input: Any, other: Any) -> Tensor:
    """input * other, elementwise and broadcast, in the dtype to which both are promoted; for bools it is ``and``.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.
    TypeError
        An operand is not a tensor, number or array.

    >>> import numgrad as ng
    >>> ng.mul(ng.tensor([1, 2]), 1.5)
    tensor([1.5000, 3.0000])
    """
    return binary(_e.mul, input, other)


def _detached(value: Any) -> Any:
    return value.detach() if getattr(value, "requires_grad", False) else value


def _flat(result: Any, *operands: Any) -> Any:
    """The result with a gradient of 0 for each operand: of a quotient by 0, the product of slopes would be NaN."""
    for each in operands:
        if modes.grad_enabled and getattr(each, "requires_grad", False):
            result = _e.where(constant(True, dtypes.bool_), result, cast(each, result._spec.dtype))
    return result


@public("function", "method", "in_place", asks=True, known=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other, elementwise and broadcast; integers and bools give the default dtype.

    With ``rounding_mode`` 'floor' or 'trunc' the quotient is rounded down, or towards 0, in the dtype to which both are
    promoted.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast; there is no such rounding mode, or with one an integer is divided by 0.
    TypeError
        An operand is not a tensor, number or array.

    >>> import numgrad as ng
    >>> ng.div(ng.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    >>> ng.div(ng.tensor([-7, 7]), 2, rounding_mode="trunc")
    tensor([-3,  3])
    """
    if rounding_mode is None:
        return of_floats(_e.div, input, other)
    if rounding_mode == "floor":
        return _flat(binary(_e.floor_divide, _detached(input), _detached(other)), input, other)
    if rounding_mode != "trunc":
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}"
        )
    if named_result_type("div", input, other).is_floating_point:
        return _flat(_e.trunc(binary(_e.div, _detached(input), _detached(other))), input, other)
    return binary(_e.floor_divide, sub(input, binary(_e.fmod, input, other)), other)


@public("function", "method", "in_place", asks=True, known=True)
def floor_divide(input: Any, other: Any) -> Tensor:
    """The floor of input / other, in the dtype to which both are promoted; -7 / 2 gives -4.

    Raises
    ------
    RuntimeError
        An integer is divided by 0, both are of bools, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.floor_divide(ng.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return binary(_e.floor_divide, input, other)


@public("function", "method", "in_place", asks=True, known=True)
def remainder(input: Any, other: Any) -> Tensor:
    """input - other * floor(input / other), elementwise. It has the sign of other, like Python's %.

    Raises
    ------
    RuntimeError
        An integer is divided by 0, both are of bools, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.remainder(ng.tensor([7, -7]), 3)
    tensor([1, 2])
    """
    return binary(_e.remainder, input, other)


@public("function", "method", asks=True, known=True)
def pow(input: Any, exponent: Any) -> Tensor:
    """input to the power exponent.

    Raises
    ------
    RuntimeError
        An integer tensor has a negative integer exponent.

    >>> import numgrad as ng
    >>> ng.pow(ng.tensor([2.0, 3.0]), 3)
    tensor([ 8., 27.])
    """
    kind = exponent.__class__
    is_tensor = isinstance(input, TensorBase)
    if is_tensor and (kind is int or kind is float) and input._spec.dtype.is_floating_point:
        number, dtype = exponent, input._spec.dtype
    else:
        number, dtype = as_number(exponent), _checked_power(input, exponent)
    if is_tensor and number is not None:
        input = cast(input, dtype)
        if number == 2 and not dtype.is_bool:
            return _e.square(input)  # type: ignore[no-any-return]
        if number == 3 and not dtype.is_bool:
            return _e.cube(input)  # type: ignore[no-any-return]
        if number == 0.5 and dtype.is_floating_point:
            return _free_of_its_node(_e.sqrt(input))
        if number == -1 and dtype.is_floating_point:
            return _free_of_its_node(_e.reciprocal(input))
        if number == -2 and dtype.is_floating_point:
            return _e.inverse_square(input)  # type: ignore[no-any-return]
    if dtype.is_bool:
        base, power = as_operand(input, dtypes.bool_), as_operand(exponent, dtypes.bool_)
        return _e.bitwise_or(base, _e.logical_not(power))  # type: ignore[no-any-return]
    return binary(_e.pow, input, exponent)


def _free_of_its_node(result: Tensor) -> Tensor:
    """A power that may be changed in place. The backward of a power reads the base, but sqrt and reciprocal read the result."""
    return result if result._node is None else _e.clone(result)  # type: ignore[no-any-return]


def _checked_power(base: Any, exponent: Any) -> Dtype:
    """The dtype of a power. Negative integer powers of integers are refused."""
    is_tensor = isinstance(base, TensorBase)
    dtype = joint_dtype("pow", base, exponent) if is_tensor else named_result_type("pow", base, exponent)  # type: ignore[arg-type]
    number = as_number(exponent)
    if number is not None and number < 0 and dtype.category == 1:
        raise RuntimeError("Integers to negative integer powers are not allowed; convert the base with .float()")
    return dtype


@public("function", "method", asks=True, known=True)
def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two, elementwise and broadcast, in the dtype to which both are promoted; NaN if either is.

    Equal elements get half of the gradient each.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.maximum(ng.tensor([1.0, ng.nan]), ng.tensor([2.0, 0.0]))
    tensor([2., nan])
    """
    return binary(_e.maximum, input, other)


@public("function", "method", asks=True, known=True)
def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two, elementwise and broadcast, in the dtype to which both are promoted; NaN if either is.

    Equal elements get half of the gradient each.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.minimum(ng.tensor([1, 5]), 2.5)
    tensor([1.0000, 2.5000])
    """
    return binary(_e.minimum, input, other)


@public("function", asks=True, known=True)
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where the condition, a tensor of bools, is True, otherwise other; broadcast and promoted.

    With a condition alone, of any dtype, where it is not 0: ``nonzero(condition, as_tuple=True)``.

    Raises
    ------
    RuntimeError
        The condition is not of bools, or the shapes do not broadcast.
    TypeError
        The condition is not a tensor, or there is only one of input and other.

    >>> import numgrad as ng
    >>> x = ng.tensor([-1.0, 2.0])
    >>> ng.where(x > 0, x, 0)
    tensor([0., 2.])
    """
    check_tensor("where", "condition", condition)
    if input is None and other is None:
        from numgrad.tensor import nonzeros

        return nonzeros.nonzero(condition, as_tuple=True)
    if not condition._spec.dtype.is_bool:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
        )
    dtype = named_result_type("where", input, other)
    return _e.where(condition, as_element("where", input, dtype), as_element("where", other, dtype))  # type: ignore[no-any-return]


def _unary(op: Any) -> Callable[[Tensor], Tensor]:
    promotes = op.promotes

    def function(input: Tensor) -> Tensor:
        if not isinstance(input, TensorBase):
            check_tensor(op.name, "input", input)
        if promotes and not input._spec.dtype.is_floating_point:
            input = cast(input, dtypes.get_default_dtype())
        return chain.dispatch(op, (input,), op.defaults)  # type: ignore[no-any-return]

    return function


def _binary(op: Any) -> Callable[[Any, Any], Tensor]:
    applied = of_floats if op.promotes else binary

    def function(input: Any, other: Any) -> Tensor:
        return applied(op, input, other)

    def of_tensors(input: Tensor, other: Tensor) -> Tensor:
        return applied(op, check_tensor(op.name, "input", input), check_tensor(op.name, "other", other))

    return of_tensors if op.tensors else function


def _function_of(op: Any) -> Callable[..., Tensor]:
    """The public function of an elementwise op whose spec declares ``homes``."""
    function: Any = (_unary if len(op.inputs) == 1 else _binary)(op)
    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = op.doc
    return public(*op.homes, asks=True, known=True)(function)  # type: ignore[no-any-return]


of_specs = {op.name: _function_of(op) for op in OPS.values() if getattr(op, "homes", ())}


@public("function", "method", "in_place", asks=True, known=True)
def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1, elementwise, in the input's dtype; bools stay as they are. The gradient is 0.

    >>> import numgrad as ng
    >>> ng.sign(ng.tensor([-2.5, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
    """
    is_bool = check_tensor("sign", "input", input)._spec.dtype.is_bool
    return _e.clone(input) if is_bool else _e.sign(input)


@public("function", "method", "in_place", "in_place_function", asks=True, known=True)
def square(input: Tensor) -> Tensor:
    """input * input, elementwise, in the input's dtype; for bools in int64.

    >>> import numgrad as ng
    >>> ng.square(ng.tensor([3.0, -2.0]))
    tensor([9., 4.])
    """
    is_bool = check_tensor("square", "input", input)._spec.dtype.is_bool
    return _e.square(cast(input, dtypes.int64) if is_bool else input)


@public("function", "functional", asks=True, known=True)
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """GELU: input * Phi(input), by erf, or by the tanh approximation.

    Raises
    ------
    RuntimeError
        ``approximate`` is neither 'none' nor 'tanh', or the dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.gelu(ng.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")
    return (_e.gelu if approximate == "none" else _e.gelu_tanh)(check_tensor("gelu", "input", input))  # type: ignore[no-any-return]


# ---- in place ---------------------------------------------------------------------------------------------------


@public("method", asks=True, known=True)
def add_(input: Tensor, other: Any, *further: Any, alpha: Any = 1) -> Tensor:
    """This tensor += alpha * other. Returns this tensor; its shape and dtype stay.

    Raises
    ------
    RuntimeError
        As `add`; the sum has another shape or a dtype of a higher category; or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.tensor([1.0, 2.0]).add_(ng.tensor([1, 1]), alpha=3)
    tensor([4., 5.])
    """
    if further:
        other, alpha = older_form("add_", other, further, alpha)
    whole = alpha.__class__ is int and alpha == 1
    return overwrite("add", input, other if whole else _scaled("add_", input, other, alpha))


@public("method", asks=True, known=True)
def sub_(input: Tensor, other: Any, *further: Any, alpha: Any = 1) -> Tensor:
    """This tensor -= alpha * other. Returns this tensor; its shape and dtype stay.

    Raises
    ------
    RuntimeError
        As `sub`; the difference has another shape or a dtype of a higher category; or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.tensor([5, 6]).sub_(1)
    tensor([4, 5])
    """
    if further:
        other, alpha = older_form("sub_", other, further, alpha)
    _refuse_bools(input, other)
    whole = alpha.__class__ is int and alpha == 1
    return overwrite("sub", input, other if whole else _scaled("sub_", input, other, alpha))


@public("method", asks=True, known=True)
def pow_(input: Tensor, exponent: Any) -> Tensor:
    """This tensor **= exponent. Returns this tensor; its shape and dtype stay.

    Raises
    ------
    RuntimeError
        As `pow`; the power has another shape or a dtype of a higher category; or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.tensor([2.0, 3.0]).pow_(2)
    tensor([4., 9.])
    """
    dtype = _checked_power(input, exponent)
    check_result("pow_", input, dtype)
    if dtype.is_bool or as_number(exponent) == 0.5:  # a square root: NaN for -inf, and -0.0 for -0.0
        return assign("pow_", input, pow(input, exponent))
    return overwrite("pow", input, exponent)
