"""Elementwise functions, and the in-place forms: torch's names and promotion over the ops."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import dtypes, ops, registry
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase
from numgrad.engine.views import change_in_place, check_in_place
from numgrad.registry import find
from numgrad.tensor.arguments import as_operand, cast, check_tensor, result_type

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


_e = ops.elementwise


def _binary(op: Any, x: Any, y: Any) -> Tensor:
    try:
        if x._spec.dtype is y._spec.dtype:
            return registry.dispatch(op, (x, y), op.defaults)  # type: ignore[no-any-return]
    except AttributeError:  # not both are tensors
        for tensor, number in ((x, y), (y, x)):  # numbers that change no dtype, without asking for it
            if (number.__class__ is int or number.__class__ is float) and isinstance(tensor, TensorBase):
                dtype = tensor._spec.dtype
                if dtype.is_floating_point:
                    operands = (constant(number, dtype), y) if number is x else (x, constant(number, dtype))
                    return registry.dispatch(op, operands, op.defaults)  # type: ignore[no-any-return]
        for value in (x, y):
            if not isinstance(value, (TensorBase, builtins.bool, builtins.int, builtins.float, np.generic, np.ndarray)):
                raise TypeError(
                    f"{op.name}: got an operand of type {type(value).__name__}, expected a Tensor, a number or a NumPy array"
                ) from None
    dtype = result_type(x, y)
    return op(as_operand(x, dtype), as_operand(y, dtype))  # type: ignore[no-any-return]


def _float_result(*values: Any) -> Dtype:
    dtype = result_type(*values)
    return dtype if dtype.is_floating_point else dtypes.get_default_dtype()


def _unary_float(op: Any, input: Tensor) -> Tensor:
    """An op of floating point on any tensor: integers are converted first, as in torch."""
    if not (isinstance(input, TensorBase) and input._spec.dtype.is_floating_point):
        input = cast(check_tensor(op.name, "input", input), dtypes.get_default_dtype())
    return registry.dispatch(op, (input,), op.defaults)  # type: ignore[no-any-return]


# ---- functions --------------------------------------------------------------------------------------------------


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input + alpha * other.

    >>> import numgrad as ng
    >>> ng.add(ng.tensor([1.0, 2.0]), 10, alpha=2)
    tensor([21., 22.])
    """
    return _binary(_e.add, input, other if alpha == 1 else mul(other, alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input - alpha * other."""
    for value in (input, other):
        if isinstance(value, builtins.bool) or (isinstance(value, TensorBase) and value._spec.dtype.is_bool):
            raise RuntimeError(
                "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use "
                "the `~` or `logical_not()` operator instead."
            )
    return _binary(_e.sub, input, other if alpha == 1 else mul(other, alpha))


def mul(input: Any, other: Any) -> Tensor:
    """input * other."""
    return _binary(_e.mul, input, other)


def div(input: Any, other: Any) -> Tensor:
    """input / other; of integers in floating point.

    >>> import numgrad as ng
    >>> ng.div(ng.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    """
    dtype = _float_result(input, other)
    return _e.div(as_operand(input, dtype), as_operand(other, dtype))  # type: ignore[no-any-return]


def floor_divide(input: Any, other: Any) -> Tensor:
    """The floor of input / other."""
    return _binary(_e.floor_divide, input, other)


def remainder(input: Any, other: Any) -> Tensor:
    """input - other * floor(input / other)."""
    return _binary(_e.remainder, input, other)


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
    if isinstance(exponent, (builtins.int, builtins.float)) and isinstance(input, TensorBase):
        if exponent == 2:
            return _e.square(input)  # type: ignore[no-any-return]
        if exponent == 3:
            return _e.cube(input)  # type: ignore[no-any-return]
        if exponent == 0.5 and input._spec.dtype.is_floating_point:
            return _e.sqrt(input)  # type: ignore[no-any-return]
        if exponent == -1 and input._spec.dtype.is_floating_point:
            return _e.reciprocal(input)  # type: ignore[no-any-return]
        if exponent < 0 and result_type(input, exponent).category == 1:
            raise RuntimeError("Integers to negative integer powers are not allowed; convert the base with .float()")
    return _binary(_e.pow, input, exponent)


def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two, elementwise; NaN if either is."""
    return _binary(_e.maximum, input, other)


def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two, elementwise; NaN if either is."""
    return _binary(_e.minimum, input, other)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input, at least min and at most max.

    Raises
    ------
    RuntimeError
        Neither bound is given.
    """
    if min is None and max is None:
        raise RuntimeError("clamp: At least one of 'min' or 'max' must not be None")
    if min is not None:
        input = _binary(_e.clamp_min, input, min)
    if max is not None:
        input = _binary(_e.clamp_max, input, max)
    return input


def leaky_relu(input: Tensor, slope: Any) -> Tensor:
    """input where it is positive, else slope * input."""
    return _binary(_e.leaky_relu, input, slope)


def elu(input: Tensor, alpha: Any) -> Tensor:
    """input where it is positive, else alpha * (exp(input) - 1)."""
    return _binary(_e.elu, input, alpha)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """input where the condition holds, else other."""
    check_tensor("where", "condition", condition)
    if not condition._spec.dtype.is_bool:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
        )
    dtype = result_type(input, other)
    return _e.where(condition, as_operand(input, dtype), as_operand(other, dtype))  # type: ignore[no-any-return]


def _unary(op: Any, doc: str, floating: builtins.bool = False) -> Callable[[Tensor], Tensor]:
    def function(input: Tensor) -> Tensor:
        return _unary_float(op, input) if floating else op(check_tensor(op.name, "input", input))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = doc
    return function


def _rounding(op: Any, doc: str) -> Callable[[Tensor], Tensor]:
    """Integers are what they are; a copy of them is the result."""

    def function(input: Tensor) -> Tensor:
        category = check_tensor(op.name, "input", input)._spec.dtype.category
        return _e.clone(input) if category == 1 else op(input)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = doc
    return function


neg = _unary(_e.neg, "-input.")
abs = _unary(_e.absolute, "Absolute value.")
sign = _unary(_e.sign, "-1, 0 or 1.")
square = _unary(_e.square, "input * input.")
relu = _unary(_e.relu, "max(0, input).")
clone = _unary(_e.clone, "A copy; gradients flow through it.")
isnan = _unary(_e.isnan, "True where input is NaN.")
logical_not = _unary(_e.logical_not, "True where input is 0.")
reciprocal = _unary(_e.reciprocal, "1 / input.", floating=True)
sqrt = _unary(_e.sqrt, "Square root.", floating=True)
rsqrt = _unary(_e.rsqrt, "1 / sqrt(input).", floating=True)
exp = _unary(_e.exp, "e to the power input.", floating=True)
expm1 = _unary(_e.expm1, "exp(input) - 1.", floating=True)
log = _unary(_e.log, "Natural logarithm.", floating=True)
log1p = _unary(_e.log1p, "log(1 + input).", floating=True)
sin = _unary(_e.sin, "Sine.", floating=True)
cos = _unary(_e.cos, "Cosine.", floating=True)
erf = _unary(_e.erf, "Error function.", floating=True)
tanh = _unary(_e.tanh, "Hyperbolic tangent.", floating=True)
sigmoid = _unary(_e.sigmoid, "1 / (1 + exp(-input)).", floating=True)
silu = _unary(_e.silu, "input * sigmoid(input).", floating=True)
log_sigmoid = _unary(_e.log_sigmoid, "log(sigmoid(input)).", floating=True)
softplus = _unary(_e.softplus, "log(1 + exp(input)).", floating=True)
floor = _rounding(_e.floor, "Largest integer not above input.")
ceil = _rounding(_e.ceil, "Smallest integer not below input.")
trunc = _rounding(_e.trunc, "The integer part of input.")
round = _rounding(_e.round, "Nearest integer, halves to even.")
isfinite = _unary(_e.isfinite, "True where input is neither NaN nor infinite.", floating=True)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """GELU: input * Phi(input), by erf, or by the tanh approximation.

    Raises
    ------
    RuntimeError
        ``approximate`` is neither 'none' nor 'tanh'.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")
    return _unary_float(_e.gelu if approximate == "none" else _e.gelu_tanh, input)


def _compare(op: Any, symbol: str) -> Callable[[Any, Any], Tensor]:
    def function(input: Any, other: Any) -> Tensor:
        return _binary(op, input, other)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"input {symbol} other, elementwise."
    return function


eq, ne = _compare(_e.eq, "=="), _compare(_e.ne, "!=")
lt, le = _compare(_e.lt, "<"), _compare(_e.le, "<=")
gt, ge = _compare(_e.gt, ">"), _compare(_e.ge, ">=")
bitwise_and, bitwise_or = _compare(_e.bitwise_and, "&"), _compare(_e.bitwise_or, "|")
bitwise_xor = _compare(_e.bitwise_xor, "^")


def equal(input: Tensor, other: Tensor) -> builtins.bool:
    """Whether two tensors have the same shape and the same elements."""
    return input.shape == other.shape and builtins.bool(eq(input, other).all())


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: builtins.bool = False
) -> builtins.bool:
    """Whether abs(input - other) <= atol + rtol * abs(other) everywhere."""
    return builtins.bool(np.allclose(input.detach().numpy(), other.detach().numpy(), rtol, atol, equal_nan))


# ---- in place ---------------------------------------------------------------------------------------------------


def in_place(name: str, target: Tensor, *others: Any) -> Tensor:
    """Apply an elementwise op and write its result over ``target``.

    Raises
    ------
    RuntimeError
        The change would make a gradient wrong: the target is a leaf that requires one, or a view that is part of a
        graph; or the result does not fit the target's dtype or shape. Nothing has been changed then.
    """
    _check_result(name, target, *others)
    op: Any = find(name)
    if len(others) == 1:
        return change_in_place(op.in_place, target, apart(target, as_operand(others[0], target._spec.dtype)))  # type: ignore[no-any-return]
    operands = [as_operand(other, target._spec.dtype) for other in others]
    return change_in_place(op.in_place, target, *[apart(target, operand) for operand in operands])  # type: ignore[no-any-return]


def _check_result(name: str, target: Tensor, *others: Any) -> None:
    dtype = target._spec.dtype
    category = dtype.category
    for other in others:
        if other.__class__ is int and category >= (2 if name == "div" else 1):
            continue
        found = result_type(target, other)
        if found.category > dtype.category or (name == "div" and not dtype.is_floating_point):
            raise RuntimeError(
                f"{name}_: result type {(found if name != 'div' else dtypes.get_default_dtype()).torch_name} can't be cast to "
                f"the desired output type {dtype.torch_name}"
            )


def leaky_relu_(target: Tensor, slope: float) -> Tensor:
    """`leaky_relu` in place; only a negative slope takes a copy of the old values for the backward."""
    _check_result("leaky_relu", target, slope)
    op: Any = _e.leaky_relu.in_place if slope < 0 else _e.leaky_relu_of_rising
    return change_in_place(op, target, as_operand(slope, target._spec.dtype))  # type: ignore[no-any-return]


def clamp_(target: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """`clamp` in place."""
    bounds = {name: bound for name, bound in (("clamp_min", min), ("clamp_max", max)) if bound is not None}
    if not bounds:
        raise RuntimeError("clamp_: At least one of 'min' or 'max' must not be None")
    _check_result("clamp", target, *bounds.values())
    for bound in bounds.values():  # all that can be refused is refused before the first of two changes
        if isinstance(bound, TensorBase):
            ops.view.expand(bound, size=tuple(target._spec.shape))
    for name, bound in bounds.items():
        in_place(name, target, bound)
    return target


def fill_(target: Tensor, value: Any) -> Tensor:
    """Set all elements to one value, a number or a tensor without dimensions."""
    if isinstance(value, TensorBase) and value._spec.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value._spec.ndim} dimensions."
        )
    spec = target._spec
    is_number = not isinstance(value, TensorBase)
    repeated = [n > 1 and s == 0 for n, s in zip(spec.shape, spec.strides, strict=True)]
    if is_number and True in repeated:  # one value may be written once to what an expanded view shows many times
        sizes = tuple(1 if twice else n for twice, n in zip(repeated, spec.shape, strict=True))
        fill_(ops.view.slice_(target, starts=(0,) * spec.ndim, steps=(1,) * spec.ndim, sizes=sizes), value)
        return target
    return copy_(target, as_operand(value, spec.dtype))


def apart(target: Tensor, other: Tensor) -> Tensor:
    """``other``, or a copy if it is another view of the target's memory, which would be read while it is written."""
    same = other._address == target._address and other._spec is target._spec
    return other if other._storage is not target._storage or same else clone(other)


def check_writable(name: str, target: Tensor) -> None:
    """Refuse what `copy_` would refuse, where something else is changed before it: the state of a generator."""
    check_in_place(name, target, ())
    if any(n > 1 and s == 0 for n, s in zip(target._spec.shape, target._spec.strides, strict=True)):
        raise RuntimeError(
            f"{name}: unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )


def assign(name: str, target: Tensor, result: Tensor) -> Tensor:
    """Write ``result``, the outcome of ``name`` on ``target``, over it; it has to fit shape and dtype."""
    if result._spec.shape != target._spec.shape:
        raise RuntimeError(
            f"{name}: output with shape {list(target.shape)} doesn't match the broadcast shape {list(result.shape)}"
        )
    if result._spec.dtype.category > target._spec.dtype.category:
        raise RuntimeError(
            f"{name}: result type {result.dtype.torch_name} can't be cast to the desired output type {target.dtype.torch_name}"
        )
    return copy_(target, result)


def copy_(target: Tensor, src: Any) -> Tensor:
    """Copy ``src``, broadcast and converted, into ``target``'s memory."""
    check_tensor("copy_", "src", src)
    return change_in_place(ops.creation.copy_, target, apart(target, src))  # type: ignore[no-any-return]
