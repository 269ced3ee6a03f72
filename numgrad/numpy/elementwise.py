"""The elementwise functions of NumPy's, each a row: its name, what computes it, and how its arguments are promoted."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.numpy import products, table
from numgrad.numpy.arrays import as_floats, cast, dtype_of, ng, tensor
from numgrad.numpy.ufuncs import ufunc
from numgrad.tensor.tensor import Tensor


def cbrt(x: Tensor) -> Tensor:
    return ng.copysign(ng.pow(ng.abs(x), 1 / 3), x)  # type: ignore[no-any-return]


def _truth(x: Tensor) -> Tensor:
    return x if x.dtype.is_bool else ng.ne(x, 0)


def logical(function: Any) -> Any:
    return lambda *args: function(*(_truth(a) for a in args))


def whole(function: Any) -> Any:
    """floor, ceil and trunc: integers stay as they are."""
    return lambda x: function(x) if x.dtype.is_floating_point else ng.clone(x)


def spacing(x: Tensor) -> Tensor:
    away = ng.nextafter(x, ng.copysign(ng.full_like(x, float("inf")), x))
    return away.detach() - x.detach()


def divide_integers(function: Any, numpy_function: Any) -> Any:
    """Quotients of integers where a divisor is 0 are NumPy's 0, with its warning."""

    def computed(x: Tensor, y: Tensor) -> Tensor:
        if not x.dtype.is_floating_point and bool((y == 0).any()):
            return tensor(numpy_function(x.numpy(), y.numpy()))
        if x.dtype.is_bool:
            return tensor(numpy_function(x.numpy(), y.numpy()))
        return function(x, y)  # type: ignore[no-any-return]

    return computed


floor_divide = divide_integers(ng.floor_divide, np.floor_divide)
remainder = divide_integers(ng.remainder, np.remainder)
fmod = divide_integers(ng.fmod, np.fmod)


def positive(x: Tensor) -> Tensor:
    if x.dtype.is_bool:
        raise TypeError("ufunc 'positive' did not contain a loop with signature matching types bool -> None")
    return ng.clone(x)  # type: ignore[no-any-return]


def multiply(x: Tensor, y: Tensor) -> Tensor:
    return ng.logical_and(x, y) if x.dtype.is_bool else ng.mul(x, y)  # type: ignore[no-any-return]


def add(x: Tensor, y: Tensor) -> Tensor:
    return ng.logical_or(x, y) if x.dtype.is_bool else ng.add(x, y)  # type: ignore[no-any-return]


def subtract(x: Tensor, y: Tensor) -> Tensor:
    if x.dtype.is_bool:
        raise TypeError(
            "numpy boolean subtract, the `-` operator, is not supported, use the bitwise_xor, the `^` operator, or the logical_xor "
            "function instead."
        )
    return ng.sub(x, y)  # type: ignore[no-any-return]


def negative(x: Tensor) -> Tensor:
    if x.dtype.is_bool:
        raise TypeError(
            "The numpy boolean negative, the `-` operator, is not supported, use the `~` operator or logical_not"
        )
    return ng.neg(x)  # type: ignore[no-any-return]


def power(x: Tensor, y: Tensor) -> Tensor:
    if not x.dtype.is_floating_point:
        if bool((y < 0).any()):
            raise ValueError("Integers to negative integer powers are not allowed.")
        if x.dtype.is_bool:
            return tensor(np.power(x.numpy(), y.numpy()))
    return ng.pow(x, y)  # type: ignore[no-any-return]


def float_power(x: Any, y: Any) -> Tensor:
    return ng.pow(tensor(x, np.float64), tensor(y, np.float64))  # type: ignore[no-any-return]


def sign(x: Tensor) -> Tensor:
    """Of NaN NaN, as in NumPy."""
    return ng.where(ng.isnan(x), x.detach(), ng.sign(x)) if x.dtype.is_floating_point else ng.sign(x)  # type: ignore[no-any-return]


def reciprocal(x: Any) -> Tensor:
    x = tensor(x)
    return ng.reciprocal(x) if x.dtype.is_floating_point else tensor(np.reciprocal(x.numpy()))  # type: ignore[no-any-return]


def square(x: Tensor) -> Tensor:
    return multiply(x, x)


def ldexp(x: Any, exponent: Any) -> Tensor:
    x, exponent = as_floats(x), tensor(exponent)
    if exponent.dtype.is_floating_point:
        raise TypeError("ldexp: the exponent has to be integers")
    return ng.mul(x, cast(ng.pow(2.0, cast(exponent, np.float64)), dtype_of(x)))  # type: ignore[no-any-return]


def frexp(x: Tensor) -> tuple[Tensor, Tensor]:
    """The fraction has the gradient of ``x * 2 ** -exponent``."""
    _, exponent = np.frexp(x.detach().numpy())
    exponents = tensor(np.asarray(exponent, np.int32))
    half = exponents // 2  # in two factors, neither of which overflows
    scaled = ng.mul(x, cast(ng.pow(2.0, cast(-half, np.float64)), dtype_of(x)))
    return ng.mul(scaled, cast(ng.pow(2.0, cast(half - exponents, np.float64)), dtype_of(x))), exponents


def modf(x: Tensor) -> tuple[Tensor, Tensor]:
    whole_part = ng.trunc(x)
    rest = ng.where(ng.isinf(x), ng.zeros_like(x), x - whole_part)
    return ng.copysign(ng.abs(rest), x.detach()) if not x.requires_grad else rest, whole_part


def both(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return floor_divide(x, y), remainder(x, y)


def integers_only(function: Any, name: str) -> Any:
    def computed(*args: Tensor) -> Tensor:
        if args[0].dtype.is_floating_point:
            raise TypeError(f"ufunc '{name}' not supported for the input types: they are floating point")
        return function(*args)  # type: ignore[no-any-return]

    return computed


# ---- the rows ---------------------------------------------------------------------------------------------------


def _row(names: str, function: Any, kind: str, **options: Any) -> None:
    """A ufunc under its names; this NumPy may not have all of them."""
    original = next(u for u in map(table.numpy_object, names.split()) if u is not None)
    table.add(ufunc(original, function, kind, **options), *names.split())


for _name in "sin cos tan sinh cosh tanh exp exp2 expm1 log log2 log10 log1p sqrt deg2rad rad2deg".split():
    _row(_name, getattr(ng, _name), "floats")
for _name in "sin cos tan sinh tanh".split():
    _row(f"arc{_name} a{_name}", getattr(ng, f"a{_name}"), "floats")
_row("arccosh acosh", ng.acosh, "floats", guard=2.0)
_row("degrees", ng.rad2deg, "floats")
_row("radians", ng.deg2rad, "floats")
_row("cbrt", cbrt, "floats")
_row("fabs", ng.abs, "floats")
_row("rint", ng.round, "floats")
_row("spacing", spacing, "floats")
_row("modf", modf, "floats")
_row("frexp", frexp, "floats")
_row("arctan2 atan2", ng.atan2, "floats")
_row("hypot", ng.hypot, "floats")
_row("logaddexp", ng.logaddexp, "floats")
_row("logaddexp2", ng.logaddexp2, "floats")
_row("copysign", ng.copysign, "floats")
_row("nextafter", ng.nextafter, "floats")
_row("heaviside", ng.heaviside, "floats")
_row("divide true_divide", ng.true_divide, "floats")
for _name in "isfinite isinf isnan signbit".split():
    _row(_name, getattr(ng, _name), "truths")
for _name in "floor ceil trunc".split():
    _row(_name, whole(getattr(ng, _name)), "numbers")
_row("absolute abs", lambda x: ng.clone(x) if x.dtype.is_bool else ng.abs(x), "numbers")
_row("sign", sign, "numbers")
_row("negative", negative, "numbers")
_row("positive", positive, "numbers")
_row("conjugate conj", ng.clone, "numbers")
_row("square", square, "numbers")
_row("reciprocal", reciprocal, "numbers")
_row("add", add, "numbers", reduced="sum", accumulated="cumsum")
_row("subtract", subtract, "numbers")
_row("multiply", multiply, "numbers", reduced="prod", accumulated="cumprod")
_row("floor_divide", floor_divide, "numbers")
_row("remainder mod", remainder, "numbers")
_row("fmod", fmod, "numbers")
_row("divmod", both, "numbers")
_row("power pow", power, "numbers", takes_numbers=True)
_row("float_power", float_power, "raw")
_row("ldexp", ldexp, "raw")
_row("maximum", ng.maximum, "numbers", reduced="max")
_row("minimum", ng.minimum, "numbers", reduced="min")
_row("fmax", ng.fmax, "numbers")
_row("fmin", ng.fmin, "numbers")
for _name in "gcd lcm".split():
    _row(_name, integers_only(getattr(ng, _name), _name), "numbers")
for _name in "and or xor".split():
    _row(f"bitwise_{_name}", integers_only(getattr(ng, f"bitwise_{_name}"), f"bitwise_{_name}"), "numbers")
_row("invert bitwise_not bitwise_invert", integers_only(ng.bitwise_not, "invert"), "numbers")
_row("left_shift bitwise_left_shift", integers_only(ng.bitwise_left_shift, "left_shift"), "numbers")
_row("right_shift bitwise_right_shift", integers_only(ng.bitwise_right_shift, "right_shift"), "numbers")
for _name, _function in (
    ("equal", ng.eq), ("not_equal", ng.ne), ("less", ng.lt), ("less_equal", ng.le), ("greater", ng.gt), ("greater_equal", ng.ge),
):  # fmt: skip
    _row(_name, _function, "compared")
_row("logical_and", logical(ng.logical_and), "truths", reduced="all")
_row("logical_or", logical(ng.logical_or), "truths", reduced="any")
_row("logical_xor", logical(ng.logical_xor), "truths")
_row("logical_not", logical(ng.logical_not), "truths")
_row("matmul", products.matmul, "raw")
for _name in "vecdot matvec vecmat".split():
    if hasattr(np, _name):  # the last two are of NumPy 2.2
        _row(_name, getattr(products, _name), "raw")
