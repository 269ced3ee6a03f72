"""Elementwise functions, and the in-place forms: torch's names and promotion over the ops."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import dtypes, ops, registry
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase, modes
from numgrad.engine.views import change_in_place, check_in_place
from numgrad.errors import DtypeError, GradError, OperandError
from numgrad.registry import find
from numgrad.tensor.arguments import (
    as_element,
    as_input,
    as_int,
    as_number,
    as_operand,
    cast,
    check_tensor,
    compared_dtype,
    result_type,
)
from numgrad.tensor.checked import older_form

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


_e = ops.elementwise


def binary(op: Any, x: Any, y: Any) -> Tensor:
    """An op of two operands, tensors, numbers or arrays, in the dtype to which they are promoted."""
    try:
        if x._spec.dtype is y._spec.dtype:
            return registry.dispatch(op, (x, y), op.defaults)  # type: ignore[no-any-return]
    except AttributeError:  # not both are tensors
        for tensor, number in ((x, y), (y, x)):  # numbers that change no dtype, without asking for it
            if (number.__class__ is int or number.__class__ is float) and isinstance(tensor, TensorBase):
                dtype = tensor._spec.dtype
                if dtype.is_floating_point or (
                    dtype.smallest <= number <= dtype.largest and number.__class__ is int and dtype.category
                ):
                    operands = (constant(number, dtype), y) if number is x else (x, constant(number, dtype))
                    if number is x and op.commutes:  # as in torch, whose graphs have the tensor first
                        operands = operands[::-1]
                    return registry.dispatch(op, operands, op.defaults)  # type: ignore[no-any-return]
    dtype = _result_type(op.name, x, y)
    if op.result == "bool" and dtype.category == 1:
        dtype = compared_dtype(dtype, (x, y))
    return op(as_input(op, 0, x, dtype), as_input(op, 1, y, dtype))  # type: ignore[no-any-return]


def _result_type(name: str, *values: Any) -> Dtype:
    """As `result_type`; the error names the operation."""
    try:
        return result_type(*values)
    except OperandError as error:
        raise OperandError(f"{name}: {error}") from None


def joint_dtype(name: str, tensor: Tensor, *others: Any) -> Dtype:
    """The dtype of a tensor and what is combined with it: mostly its own, which is seen without asking for it."""
    dtype = tensor._spec.dtype
    for other in others:
        kind = other.__class__
        if (kind is int and dtype.category) or (kind is float and dtype.is_floating_point):
            continue
        if not isinstance(other, TensorBase) or other._spec.dtype is not dtype:
            return _result_type(name, tensor, *others)
    return dtype


def _float_result(name: str, *values: Any) -> Dtype:
    dtype = _result_type(name, *values)
    return dtype if dtype.is_floating_point else dtypes.get_default_dtype()


def _unary_float(op: Any, input: Tensor) -> Tensor:
    """An op of floating point on any tensor: integers are converted first, as in torch."""
    if not (isinstance(input, TensorBase) and input._spec.dtype.is_floating_point):
        input = cast(check_tensor(op.name, "input", input), dtypes.get_default_dtype())
    return registry.dispatch(op, (input,), op.defaults)  # type: ignore[no-any-return]


# ---- functions --------------------------------------------------------------------------------------------------


def add(input: Any, other: Any, *further: Any, alpha: Any = 1) -> Tensor:
    """input + alpha * other.

    Raises
    ------
    RuntimeError
        alpha is of floating point, and the result is not.

    >>> import numgrad as ng
    >>> ng.add(ng.tensor([1.0, 2.0]), 10, alpha=2)
    tensor([21., 22.])
    """
    if further:
        other, alpha = older_form("add", other, further, alpha)
    return binary(
        _e.add, input, other if alpha.__class__ is int and alpha == 1 else _scaled("add", input, other, alpha)
    )


def sub(input: Any, other: Any, *further: Any, alpha: Any = 1) -> Tensor:
    """input - alpha * other."""
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
    """alpha * other, in the dtype that the result with ``input`` will have."""
    factor = as_number(alpha.item() if isinstance(alpha, TensorBase) and alpha._spec.ndim == 0 else alpha)  # type: ignore[attr-defined]
    if factor is None:
        raise TypeError(f"{name}(): argument 'alpha' must be Number, not {type(alpha).__name__}")
    dtype = _result_type(name, input, other)
    if isinstance(factor, builtins.bool) and not dtype.is_bool:
        raise RuntimeError(f"{name}: Boolean alpha only supported for Boolean results, and this one is {dtype}")
    if isinstance(factor, builtins.float) and not dtype.is_floating_point:
        raise RuntimeError(f"{name}: For integral input tensors, argument alpha must not be a floating point number.")
    if dtype.is_bool:
        return mul(as_operand(other, dtype), builtins.bool(factor))
    number = as_number(other)
    return mul(as_operand(other, dtype), factor) if number is None else factor * number


def mul(input: Any, other: Any) -> Tensor:
    """input * other."""
    return binary(_e.mul, input, other)


def div(input: Any, other: Any) -> Tensor:
    """input / other; of integers in floating point.

    >>> import numgrad as ng
    >>> ng.div(ng.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    """
    if isinstance(input, TensorBase) and input._spec.dtype.is_floating_point:
        return binary(_e.div, input, other)
    dtype = _float_result("div", input, other)
    return _e.div(as_operand(input, dtype), as_operand(other, dtype))  # type: ignore[no-any-return]


def floor_divide(input: Any, other: Any) -> Tensor:
    """The floor of input / other."""
    return binary(_e.floor_divide, input, other)


def remainder(input: Any, other: Any) -> Tensor:
    """input - other * floor(input / other)."""
    return binary(_e.remainder, input, other)


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
            return _apart_from_its_node(_e.sqrt(input))
        if number == -1 and dtype.is_floating_point:
            return _apart_from_its_node(_e.reciprocal(input))
    if dtype.is_bool:
        base, power = as_operand(input, dtypes.bool_), as_operand(exponent, dtypes.bool_)
        return _e.bitwise_or(base, _e.logical_not(power))  # type: ignore[no-any-return]
    return binary(_e.pow, input, exponent)


def _apart_from_its_node(result: Tensor) -> Tensor:
    """A power that may be changed in place: the backward of a power reads its base, those of these ops the result."""
    return result if result._node is None else _e.clone(result)  # type: ignore[no-any-return]


def _checked_power(base: Any, exponent: Any) -> Dtype:
    """The dtype of a power, whose exponent may be a number."""
    is_tensor = isinstance(base, TensorBase)
    dtype = joint_dtype("pow", base, exponent) if is_tensor else _result_type("pow", base, exponent)  # type: ignore[arg-type]
    number = as_number(exponent)
    if number is not None and number < 0 and dtype.category == 1:
        raise RuntimeError("Integers to negative integer powers are not allowed; convert the base with .float()")
    return dtype


def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two, elementwise; NaN if either is."""
    return binary(_e.maximum, input, other)


def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two, elementwise; NaN if either is."""
    return binary(_e.minimum, input, other)


def leaky_relu(input: Tensor, slope: Any) -> Tensor:
    """input where it is positive, else slope * input."""
    return _activation(_e.leaky_relu, input, slope)


def elu(input: Tensor, alpha: Any) -> Tensor:
    """input where it is positive, else alpha * (exp(input) - 1)."""
    return _activation(_e.elu, input, alpha)


def _activation(op: Any, input: Tensor, number: Any) -> Tensor:
    dtype = check_tensor(op.name, "input", input)._spec.dtype
    if not dtype.is_floating_point:
        raise DtypeError(f"\"{op.name}\" not implemented for '{dtype.torch_name}'; convert with .float() first")
    return binary(op, input, number)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """input where the condition holds, else other."""
    check_tensor("where", "condition", condition)
    if not condition._spec.dtype.is_bool:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
        )
    dtype = _result_type("where", input, other)
    return _e.where(condition, as_element("where", input, dtype), as_element("where", other, dtype))  # type: ignore[no-any-return]


def _unary(op: Any, doc: str, floating: builtins.bool = False) -> Callable[[Tensor], Tensor]:
    def function(input: Tensor) -> Tensor:
        if not isinstance(input, TensorBase):
            check_tensor(op.name, "input", input)
        if floating and not input._spec.dtype.is_floating_point:
            input = cast(input, dtypes.get_default_dtype())
        return registry.dispatch(op, (input,), op.defaults)  # type: ignore[no-any-return]

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
relu = _unary(_e.relu, "max(0, input).")
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
silu = _unary(_e.silu, "input * sigmoid(input).")
log_sigmoid = _unary(_e.log_sigmoid, "log(sigmoid(input)).", floating=True)
softplus = _unary(_e.softplus, "log(1 + exp(input)).")
floor = _rounding(_e.floor, "Largest integer not above input.")
ceil = _rounding(_e.ceil, "Smallest integer not below input.")
trunc = _rounding(_e.trunc, "The integer part of input.")
_sign, _square = _unary(_e.sign, ""), _unary(_e.square, "")
_round = _rounding(_e.round, "")
isfinite = _unary(_e.isfinite, "True where input is neither NaN nor infinite.", floating=True)


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1; of bools themselves."""
    is_bool = check_tensor("sign", "input", input)._spec.dtype.is_bool
    return _e.clone(input) if is_bool else _sign(input)


def square(input: Tensor) -> Tensor:
    """input * input; of bools in int64."""
    is_bool = check_tensor("square", "input", input)._spec.dtype.is_bool
    return _square(cast(input, dtypes.int64) if is_bool else input)


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer, halves to even; or the nearest number of so many decimals, negative ones before the point.

    >>> import numgrad as ng
    >>> ng.round(ng.tensor([0.126, 7.5]), decimals=2)
    tensor([0.1300, 7.5000])
    """
    places = as_int("round", "decimals", decimals)
    if not places:
        return _round(input)
    if not check_tensor("round", "input", input)._spec.dtype.is_floating_point:
        raise DtypeError(
            f"round: decimals is {places} for {input.dtype}, expected floating point; convert with .float()"
        )
    power = 10.0 ** builtins.abs(places) if builtins.abs(places) <= 308 else math.inf
    return div(_e.round(mul(input, power)), power) if places > 0 else mul(_e.round(div(input, power)), power)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """GELU: input * Phi(input), by erf, or by the tanh approximation.

    Raises
    ------
    RuntimeError
        ``approximate`` is neither 'none' nor 'tanh'.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")
    return (_e.gelu if approximate == "none" else _e.gelu_tanh)(check_tensor("gelu", "input", input))  # type: ignore[no-any-return]


# ---- in place ---------------------------------------------------------------------------------------------------


def in_place(name: str, target: Tensor, *others: Any) -> Tensor:
    """Apply an elementwise op and write its result over ``target``.

    It is computed in the dtype to which all are promoted, which has to be of the target's category or a lower one.

    Raises
    ------
    RuntimeError
        The change would make a gradient wrong: the target is a leaf that requires one, or a view that is part of a
        graph; or the result does not fit the target's dtype or shape. Nothing has been changed then.
    """
    op: Any = find(name)
    dtype = target._spec.dtype
    is_alike = len(others) == 1 and isinstance(others[0], TensorBase) and others[0]._spec.dtype is dtype
    if is_alike and dtype.is_floating_point and op.differentiable and op.result == "same" and op.in_place is not None:
        return change_in_place(op.in_place, target, apart(target, others[0]))  # type: ignore[no-any-return]
    common = joint_dtype(f"{name}_", target, *others)
    if op.accepts == "f" and not common.is_floating_point:
        common = dtypes.get_default_dtype()
    if op.result == "same":  # a comparison's is 1 or 0 in any dtype, and flat
        check_result(f"{name}_", target, common)
        if not op.differentiable and modes.grad_enabled and target.requires_grad:
            raise GradError(
                f"derivative for {name}_ is not implemented; do it in no_grad(), or on a detach() of the tensor"
            )
    if common is not dtype or op.in_place is None:
        operands = [as_input(op, place, other, common) for place, other in enumerate(others, 1)]
        return assign(f"{name}_", target, op(cast(target, common), *operands))
    operands = [apart(target, as_input(op, place, other, dtype)) for place, other in enumerate(others, 1)]
    return change_in_place(op.in_place, target, *operands)  # type: ignore[no-any-return]


def check_result(name: str, target: Tensor, result: Dtype) -> None:
    """Refuse to write a result into a tensor whose dtype is of a lower category."""
    dtype = target._spec.dtype
    if result.category > dtype.category:
        raise RuntimeError(
            f"{name}: result type {result.torch_name} can't be cast to the desired output type {dtype.torch_name}"
        )


def add_(target: Tensor, other: Any, alpha: Any = 1) -> Tensor:
    """target += alpha * other."""
    whole = alpha.__class__ is int and alpha == 1
    return in_place("add", target, other if whole else _scaled("add_", target, other, alpha))


def sub_(target: Tensor, other: Any, alpha: Any = 1) -> Tensor:
    """target -= alpha * other."""
    _refuse_bools(target, other)
    whole = alpha.__class__ is int and alpha == 1
    return in_place("sub", target, other if whole else _scaled("sub_", target, other, alpha))


def rounded_(name: str, target: Tensor) -> Tensor:
    """A rounding in place; integers are what they are, and are changed to that."""
    return assign(f"{name}_", target, target) if target._spec.dtype.category == 1 else in_place(name, target)


def pow_(target: Tensor, exponent: Any) -> Tensor:
    """target **= exponent."""
    dtype = _checked_power(target, exponent)
    check_result("pow_", target, dtype)
    if dtype.is_bool or as_number(exponent) == 0.5:  # which is a root: of -inf there is none, and -0.0 has itself
        return assign("pow_", target, pow(target, exponent))
    return in_place("pow", target, exponent)


def leaky_relu_(target: Tensor, slope: float) -> Tensor:
    """`leaky_relu` in place; only a negative slope takes a copy of the old values for the backward."""
    if not target._spec.dtype.is_floating_point or slope < 0:
        return in_place("leaky_relu", target, slope)
    return change_in_place(_e.leaky_relu_of_rising, target, constant(slope, target._spec.dtype))  # type: ignore[no-any-return]


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
    return copy_(target, as_element("fill_", value, spec.dtype))


def apart(target: Tensor, other: Tensor) -> Tensor:
    """``other``, or a copy if it is another view of the target's memory, which would be read while it is written."""
    one, two = target._storage, other._storage
    if one is not two and (one._owner is two._owner is None or one.root is not two.root):
        return other
    same = other._address == target._address and other._spec is target._spec
    return other if same else _e.clone(other)


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
    check_result(name, target, result._spec.dtype)
    return copy_(target, result)


def copy_(target: Tensor, src: Any) -> Tensor:
    """Copy ``src``, broadcast and converted, into ``target``'s memory."""
    if not isinstance(src, TensorBase):
        if as_number(src) is not None:
            return fill_(target, src)
        check_tensor("copy_", "src", src)
    return change_in_place(ops.creation.copy_, target, apart(target, src))  # type: ignore[no-any-return]
