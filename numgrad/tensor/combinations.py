"""Functions of several tensors and numbers: interpolation, products added, distances, parts of floating-point numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase
from numgrad.errors import DtypeError, warn
from numgrad.tensor.arguments import as_input, as_number, as_operand, cast, check_tensor
from numgrad.tensor.in_place import assign, check_result, kept, named_result_type, overwrite
from numgrad.tensor.pointwise import mul, of_floats, pow, sub
from numgrad.tensor.reductions import norm
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_e = ops.elementwise


@public("function", "method", "in_place", known=True)
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input), elementwise and broadcast; with weight 1 it is end to the last digit.

    Parameters
    ----------
    input, end
        Tensors of one floating-point dtype.
    weight
        A number, or a tensor of the same dtype.

    Raises
    ------
    RuntimeError
        The dtypes differ or are not floating point, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.lerp(ng.tensor([1.0, 2.0]), ng.tensor([3.0, 10.0]), 0.25)
    tensor([1.5000, 4.0000])
    """
    dtype = check_tensor("lerp", "input", input)._spec.dtype
    tensors = {"end": check_tensor("lerp", "end", end)}
    if isinstance(weight, TensorBase):
        tensors["weight"] = weight
    elif as_number(weight) is None:
        raise TypeError(f"lerp(): argument 'weight' must be Tensor or Number, not {type(weight).__name__}")
    for name, tensor in tensors.items():
        if tensor._spec.dtype is not dtype:
            raise DtypeError(
                f"lerp: expected dtype {dtype} for `{name}` but got dtype {tensor._spec.dtype}; convert it with .to()"
            )
    return _e.lerp(input, end, as_operand(weight, dtype))  # type: ignore[no-any-return]


@public("function", "method", known=True)
def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *further: Any, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2, elementwise and broadcast, in the dtype to which the tensors are promoted.

    Raises
    ------
    RuntimeError
        The tensors are of bools, or the shapes do not broadcast.
    TypeError
        An operand is not a tensor, or ``value`` not a number.

    >>> import numgrad as ng
    >>> ng.addcmul(ng.tensor([1.0, 2.0]), ng.tensor([3.0, 4.0]), ng.tensor([10.0, 10.0]), value=0.5)
    tensor([16., 22.])
    """
    return _e.addcmul(*_terms("addcmul", input, tensor1, tensor2, further, value))  # type: ignore[no-any-return]


@public("method", known=True)
def addcmul_(input: Tensor, tensor1: Any, tensor2: Any, *further: Any, value: Any = 1) -> Tensor:
    """`addcmul`, written over this tensor, which is returned.

    Raises
    ------
    RuntimeError, TypeError
        As `addcmul`, the sum has another shape or a dtype of a higher category, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.tensor([1.0, 2.0]).addcmul_(ng.tensor([3.0, 4.0]), ng.tensor([10.0, 10.0]), value=0.5)
    tensor([16., 22.])
    """
    return _over("addcmul", input, _terms("addcmul_", input, tensor1, tensor2, further, value))


@public("function", "method", known=True)
def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *further: Any, value: Any = 1) -> Tensor:
    """input + value * tensor1 / tensor2, elementwise and broadcast, in the dtype to which the tensors are promoted.

    Raises
    ------
    RuntimeError
        An integer would be divided by an integer, or the shapes do not broadcast.
    TypeError
        An operand is not a tensor, or ``value`` not a number.

    >>> import numgrad as ng
    >>> ng.addcdiv(ng.tensor([1.0, 2.0]), ng.tensor([3.0, 4.0]), ng.tensor([2.0, 2.0]), value=10)
    tensor([16., 22.])
    """
    return _e.addcdiv(*_quotients("addcdiv", input, tensor1, tensor2, further, value))  # type: ignore[no-any-return]


@public("method", known=True)
def addcdiv_(input: Tensor, tensor1: Any, tensor2: Any, *further: Any, value: Any = 1) -> Tensor:
    """`addcdiv`, written over this tensor, which is returned.

    Raises
    ------
    RuntimeError, TypeError
        As `addcdiv`, the sum has another shape or a dtype of a higher category, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.tensor([1.0, 2.0]).addcdiv_(ng.tensor([3.0, 4.0]), ng.tensor([2.0, 2.0]), value=10)
    tensor([16., 22.])
    """
    return _over("addcdiv", input, _quotients("addcdiv_", input, tensor1, tensor2, further, value))


def _terms(name: str, input: Tensor, tensor1: Any, tensor2: Any, further: tuple[Any, ...], value: Any) -> list[Tensor]:
    """The operands of `addcmul` and `addcdiv` in one dtype; the older form has ``value`` in the second place."""
    if further:
        if len(further) != 1 or as_number(tensor1) is None or value.__class__ is not int or value != 1:
            raise TypeError(
                f"{name}(): got {2 + len(further)} operands, expected (tensor1, tensor2, *, value) or the older (value, "
                "tensor1, tensor2)"
            )
        warn(
            f"This overload of {name} is deprecated: {name}(Number value, Tensor tensor1, Tensor tensor2). Consider using "
            f"{name}(Tensor tensor1, Tensor tensor2, *, Number value)."
        )
        tensor1, tensor2, value = tensor2, further[0], tensor1
    tensors = {"input": input, "tensor1": tensor1, "tensor2": tensor2}
    for parameter, tensor in tensors.items():
        check_tensor(name, parameter, tensor)
    number = as_number(value.item() if isinstance(value, TensorBase) and value._spec.ndim == 0 else value)  # type: ignore[attr-defined]
    if number is None:
        raise TypeError(f"{name}(): argument 'value' must be Number, not {type(value).__name__}")
    dtype = named_result_type(name, *tensors.values())
    factor = as_input(_e.addcmul, 3, number if dtype.is_floating_point else math.trunc(number), dtype)
    return [*[cast(tensor, dtype) for tensor in tensors.values()], factor]


def _quotients(
    name: str, input: Tensor, tensor1: Any, tensor2: Any, further: tuple[Any, ...], value: Any
) -> list[Tensor]:
    divided = (tensor2, *further)[-2:] if further else (tensor1, tensor2)
    if not any(isinstance(each, TensorBase) and each._spec.dtype.is_floating_point for each in divided):
        for each in divided:
            check_tensor(name, "tensor1", each)
        raise DtypeError(
            f"{name}: Integer division with addcdiv is not supported; convert one of tensor1 and tensor2 with .float()"
        )
    return _terms(name, input, tensor1, tensor2, further, value)


def _over(name: str, input: Tensor, terms: list[Tensor]) -> Tensor:
    check_result(f"{name}_", input, terms[0]._spec.dtype)
    return overwrite(name, input, *terms[1:])


@public("function", "method", known=True)
def nan_to_num(input: Tensor, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
    """input with numbers in the place of NaN, of infinity, and of minus infinity; integers and bools are copied.

    ``posinf`` and ``neginf`` are the largest and the smallest number of the dtype, if they are not given. The gradient
    is 0 where an element was replaced.

    Raises
    ------
    TypeError
        A value is not a number.

    >>> import numgrad as ng
    >>> ng.nan_to_num(ng.tensor([1.0, ng.nan, ng.inf]), posinf=9)
    tensor([1., 0., 9.])
    """
    values = _replacements("nan_to_num", input, nan, posinf, neginf)
    return _e.nan_to_num(input, *values) if values else _e.clone(input)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def nan_to_num_(input: Tensor, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
    """`nan_to_num`, written over this tensor, which is returned.

    Raises
    ------
    TypeError
        As `nan_to_num`.
    RuntimeError
        Autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.tensor([1.0, ng.nan]).nan_to_num_(2.0)
    tensor([1., 2.])
    """
    values = _replacements("nan_to_num_", input, nan, posinf, neginf)
    return overwrite("nan_to_num", input, *values) if values else assign("nan_to_num_", input, input)


def _replacements(name: str, input: Tensor, nan: Any, posinf: Any, neginf: Any) -> list[Any]:
    """The numbers that replace NaN and the infinities, as tensors; none for integers."""
    dtype = check_tensor(name, "input", input)._spec.dtype
    values = []
    defaults = (("nan", nan, 0.0), ("posinf", posinf, dtype.largest), ("neginf", neginf, dtype.smallest))
    for parameter, value, default in defaults:
        number = as_number(default if value is None else value)
        if number is None:
            raise TypeError(f"{name}(): argument '{parameter}' must be float, not {type(value).__name__}")
        beyond = not dtype.smallest <= number <= dtype.largest and number == number
        values.append(math.copysign(math.inf, number) if beyond else float(number))
    return [constant(value, dtype) for value in values] if dtype.is_floating_point else []


@public("function", "method", "in_place", known=True)
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where input is negative or NaN, 1 where it is positive, ``values`` where it is 0; elementwise and broadcast.

    Raises
    ------
    RuntimeError
        The dtypes differ, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.heaviside(ng.tensor([-1.5, 0.0, 2.0]), ng.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    dtype = check_tensor("heaviside", "input", input)._spec.dtype
    if check_tensor("heaviside", "values", values)._spec.dtype is not dtype:
        raise DtypeError(
            f"heaviside is not yet implemented for tensors with different dtypes: got {dtype} and {values._spec.dtype}; "
            "convert one with .to()"
        )
    if dtype.is_bool:
        return _e.bitwise_or(input, values)  # type: ignore[no-any-return]
    return _e.heaviside(input, values)  # type: ignore[no-any-return]


@public("function", "method", "in_place", "in_place_function", known=True)
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2**other, elementwise and broadcast; integers are converted to floating point.

    Raises
    ------
    TypeError
        An argument is not a tensor.
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.ldexp(ng.tensor([1.0, 3.0]), ng.tensor([4, -1]))
    tensor([16.0000,  1.5000])
    """
    power = check_tensor("ldexp", "other", other)
    if not power._spec.dtype.is_floating_point:
        power = cast(power, dtypes.get_default_dtype())
    return mul(check_tensor("ldexp", "input", input), _e.exp2(power))


class _MantissaExponent(tuple["Tensor", "Tensor"]):
    """The result of `frexp`, with its parts as attributes."""

    __slots__ = ()

    @property
    def mantissa(self) -> Tensor:
        return self[0]

    @property
    def exponent(self) -> Tensor:
        return self[1]

    def __repr__(self) -> str:
        return f"numgrad.return_types.frexp(\nmantissa={self[0]!r},\nexponent={self[1]!r})"


@public("function", "method", known=True)
def frexp(input: Tensor) -> Any:
    """The pair (mantissa, exponent) with input = mantissa * 2**exponent and 0.5 <= abs(mantissa) < 1.

    The exponent is of int32. 0, infinities and NaN are their own mantissas, with exponent 0.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.

    >>> import numgrad as ng
    >>> mantissa, exponent = ng.frexp(ng.tensor([6.0, -0.25]))
    >>> mantissa, exponent.tolist()
    (tensor([ 0.7500, -0.5000]), [3, -1])
    """
    if not check_tensor("frexp", "input", input)._spec.dtype.is_floating_point:
        raise DtypeError("frexp() only supports floating-point dtypes; convert with .float()")
    power = _e.frexp_exponent(input)
    return _MantissaExponent((_e.frexp_mantissa(input, power), cast(power, dtypes.int32)))


@public("function", "method", asks=True, known=True)
def float_power(input: Any, exponent: Any) -> Tensor:
    """input to the power exponent, in float64; one of them may be a number.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.float_power(ng.tensor([2, 3]), -1)
    tensor([0.5000, 0.3333], dtype=numgrad.float64)
    """
    if not isinstance(input, TensorBase):
        return pow(input, cast(check_tensor("float_power", "exponent", exponent), dtypes.float64))
    power = cast(exponent, dtypes.float64) if isinstance(exponent, TensorBase) else exponent  # type: ignore[arg-type]
    return pow(cast(input, dtypes.float64), power)  # type: ignore[arg-type]


@public("method")
def float_power_(input: Tensor, exponent: Any) -> Tensor:
    """`float_power`, written over this tensor, which is returned.

    Raises
    ------
    RuntimeError
        This tensor is not of float64, the power has another shape, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.tensor([2.0, 3.0], dtype=ng.float64).float_power_(2)
    tensor([4., 9.], dtype=numgrad.float64)
    """
    if input._spec.dtype is not dtypes.float64:
        raise DtypeError(
            f"the base given to float_power_ has dtype {input._spec.dtype.torch_name} but the operation's result requires "
            "dtype Double"
        )
    return assign("float_power_", input, float_power(kept(input, exponent), exponent))


@public("function", "method", known=True)
def dist(input: Tensor, other: Tensor, p: Any = 2) -> Tensor:
    """The p-norm of input - other, a tensor without dimensions.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.dist(ng.tensor([1.0, 2.0]), ng.tensor([4.0, 6.0]))
    tensor(5.)
    """
    difference = sub(check_tensor("dist", "input", input), check_tensor("dist", "other", other))
    return norm(difference, p)


@public("function", asks=True, known=True)
def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input, elementwise and broadcast, in the dtype to which both are promoted.

    Raises
    ------
    RuntimeError
        As `sub`.

    >>> import numgrad as ng
    >>> ng.rsub(ng.tensor([1.0, 2.0]), 10, alpha=2)
    tensor([8., 6.])
    """
    return sub(other, check_tensor("rsub", "input", input), alpha=alpha)


def _converted(name: str, factor: float, what: str, shown: str) -> Any:
    def function(input: Tensor) -> Tensor:
        return of_floats(_e.mul, check_tensor(name, "input", input), factor)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Angles in {what}, elementwise. Integers are converted to floating point.

    >>> import numgrad as ng
    >>> {shown}
    """
    return public("function", "method", "in_place", "in_place_function", asks=True)(function)


rad2deg = _converted(
    "rad2deg", 180 / math.pi, "radians as degrees",
    "ng.rad2deg(ng.tensor([0.0, ng.pi]))\n    tensor([  0., 180.])",
)  # fmt: skip
deg2rad = _converted(
    "deg2rad", math.pi / 180, "degrees as radians",
    "ng.deg2rad(ng.tensor([0.0, 180.0]))\n    tensor([0.0000, 3.1416])",
)  # fmt: skip
