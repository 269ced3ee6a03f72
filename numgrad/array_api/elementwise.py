"""The standard's functions of elements. Two operands broadcast, and promote by `promotion`; all are differentiable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad.array_api import promotion
from numgrad.array_api.functions import ng
from numgrad.array_api.promotion import operands
from numgrad.tensor import arguments
from numgrad.tensor.tensor import Tensor


def _unary(name: str, what: str, example: str, of: str = "") -> Callable[[Tensor], Tensor]:
    function = getattr(ng, of or name)

    def call(x: Tensor, /) -> Tensor:
        return function(x)  # type: ignore[no-any-return]

    return _named(call, name, f"{what}, of each element.", example)


def _binary(name: str, what: str, example: str, of: str = "") -> Callable[[Any, Any], Tensor]:
    function = getattr(ng, of or name)

    def call(x1: Any, x2: Any, /) -> Tensor:
        x1, x2 = operands(name, x1, x2)
        return function(x1, x2)  # type: ignore[no-any-return]

    text = f"{what}, of each two elements.\n\n    One of the two may be a Python number; the other is an array."
    return _named(call, name, text, example)


def _named(function: Any, name: str, text: str, example: str) -> Any:
    call, _, result = example.partition(" -> ")
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{text}\n\n    >>> from numgrad import array_api as xp\n    >>> {call}\n    {result}\n    "
    return function


def _e(numbers: str) -> str:
    return f"xp.asarray([{numbers}])"


# ---- of one array ------------------------------------------------------------------------------------------------

abs = _unary("abs", "The magnitude", f"xp.abs({_e('-2, 3')}) -> tensor([2, 3])")
acos = _unary("acos", "The inverse cosine", f"xp.acos({_e('1.0')}) -> tensor([0.])")
acosh = _unary("acosh", "The inverse hyperbolic cosine", f"xp.acosh({_e('1.0')}) -> tensor([0.])")
asin = _unary("asin", "The inverse sine", f"xp.asin({_e('0.0')}) -> tensor([0.])")
asinh = _unary("asinh", "The inverse hyperbolic sine", f"xp.asinh({_e('0.0')}) -> tensor([0.])")
atan = _unary("atan", "The inverse tangent", f"xp.atan({_e('0.0')}) -> tensor([0.])")
atanh = _unary("atanh", "The inverse hyperbolic tangent", f"xp.atanh({_e('0.0')}) -> tensor([0.])")
bitwise_invert = _unary(
    "bitwise_invert", "All bits turned over", f"xp.bitwise_invert({_e('0, 1')}) -> tensor([-1, -2])", "bitwise_not"
)
ceil = _unary("ceil", "The next integer upwards", f"xp.ceil({_e('1.2')}) -> tensor([2.])")
conj = _unary(
    "conj", "The complex conjugate, which of a real number is the number", f"xp.conj({_e('1.5')}) -> tensor([1.5000])"
)
cos = _unary("cos", "The cosine", f"xp.cos({_e('0.0')}) -> tensor([1.])")
cosh = _unary("cosh", "The hyperbolic cosine", f"xp.cosh({_e('0.0')}) -> tensor([1.])")
exp = _unary("exp", "e to this power", f"xp.exp({_e('0.0')}) -> tensor([1.])")
expm1 = _unary("expm1", "e to this power less 1, with all digits near 0", f"xp.expm1({_e('0.0')}) -> tensor([0.])")
floor = _unary("floor", "The next integer downwards", f"xp.floor({_e('1.8')}) -> tensor([1.])")
isfinite = _unary("isfinite", "Whether it is a finite number", f"xp.isfinite({_e('1.0')}) -> tensor([True])")
isinf = _unary("isinf", "Whether it is infinite", f"xp.isinf({_e('xp.inf')}) -> tensor([True])")
isnan = _unary("isnan", "Whether it is NaN", f"xp.isnan({_e('xp.nan')}) -> tensor([True])")
log = _unary("log", "The natural logarithm", f"xp.log({_e('1.0')}) -> tensor([0.])")
log1p = _unary(
    "log1p", "The natural logarithm of 1 + x, with all digits near 0", f"xp.log1p({_e('0.0')}) -> tensor([0.])"
)
log2 = _unary("log2", "The logarithm to base 2", f"xp.log2({_e('8.0')}) -> tensor([3.])")
log10 = _unary("log10", "The logarithm to base 10", f"xp.log10({_e('100.0')}) -> tensor([2.])")
logical_not = _unary("logical_not", "Whether it is False", f"xp.logical_not({_e('True')}) -> tensor([False])")
negative = _unary("negative", "The number with the other sign", f"xp.negative({_e('1, -2')}) -> tensor([-1,  2])")
positive = _unary("positive", "The number itself", f"xp.positive({_e('1, -2')}) -> tensor([ 1, -2])")
real = _unary(
    "real", "The real part, which of a real number is the number", f"xp.real({_e('1.5')}) -> tensor([1.5000])"
)
reciprocal = _unary("reciprocal", "1 / x", f"xp.reciprocal({_e('2.0')}) -> tensor([0.5000])")
round = _unary("round", "The nearest integer, of two as near the even one", f"xp.round({_e('2.5')}) -> tensor([2.])")
signbit = _unary("signbit", "Whether the bit of the sign is set", f"xp.signbit({_e('-0.0')}) -> tensor([True])")
sin = _unary("sin", "The sine", f"xp.sin({_e('0.0')}) -> tensor([0.])")
sinh = _unary("sinh", "The hyperbolic sine", f"xp.sinh({_e('0.0')}) -> tensor([0.])")
square = _unary("square", "x * x", f"xp.square({_e('3')}) -> tensor([9])")
sqrt = _unary("sqrt", "The square root", f"xp.sqrt({_e('9.0')}) -> tensor([3.])")
tan = _unary("tan", "The tangent", f"xp.tan({_e('0.0')}) -> tensor([0.])")
tanh = _unary("tanh", "The hyperbolic tangent", f"xp.tanh({_e('0.0')}) -> tensor([0.])")
trunc = _unary("trunc", "The next integer towards 0", f"xp.trunc({_e('-1.8')}) -> tensor([-1.])")


def imag(x: Tensor, /) -> Tensor:
    """The imaginary part, which real arrays do not have.

    Raises
    ------
    RuntimeError
        Always: numgrad has no complex dtypes.

    >>> import numgrad as ng
    >>> imag(ng.ones(2))
    Traceback (most recent call last):
    RuntimeError: imag is not implemented for tensors with non-complex dtypes.
    """
    return arguments.check_tensor("imag", "x", x).imag  # type: ignore[no-any-return]


def sign(x: Tensor, /) -> Tensor:
    """-1, 0 or 1, by the sign of each element; NaN of NaN, where `numgrad.sign` has torch's 0.

    >>> from numgrad import array_api as xp
    >>> xp.sign(xp.asarray([-2.0, 0.0, xp.nan]))
    tensor([-1., 0., nan])
    """
    signs = ng.sign(x)
    return ng.where(ng.isnan(x), x.detach(), signs) if x.is_floating_point() else signs  # type: ignore[no-any-return]


# ---- of two arrays -----------------------------------------------------------------------------------------------

add = _binary("add", "The sum", f"xp.add({_e('1, 2')}, 3) -> tensor([4, 5])")
atan2 = _binary(
    "atan2", "The angle of the point (x2, x1) to the first axis", f"xp.atan2({_e('0.0')}, 1.0) -> tensor([0.])"
)
bitwise_and = _binary("bitwise_and", "The bits that both have", f"xp.bitwise_and({_e('6')}, 3) -> tensor([2])")
bitwise_left_shift = _binary(
    "bitwise_left_shift",
    "The bits of x1, moved x2 places to the left",
    f"xp.bitwise_left_shift({_e('3')}, 1) -> tensor([6])",
)
bitwise_or = _binary("bitwise_or", "The bits that either has", f"xp.bitwise_or({_e('6')}, 3) -> tensor([7])")
bitwise_right_shift = _binary(
    "bitwise_right_shift",
    "The bits of x1, moved x2 places to the right",
    f"xp.bitwise_right_shift({_e('6')}, 1) -> tensor([3])",
)
bitwise_xor = _binary("bitwise_xor", "The bits that one of the two has", f"xp.bitwise_xor({_e('6')}, 3) -> tensor([5])")
copysign = _binary("copysign", "x1 with the sign of x2", f"xp.copysign({_e('2.0')}, -1.0) -> tensor([-2.])")
divide = _binary("divide", "The quotient", f"xp.divide({_e('1.0')}, 2.0) -> tensor([0.5000])")
equal = _binary("equal", "Whether both are equal", f"xp.equal({_e('1, 2')}, 2) -> tensor([False,  True])", "eq")
greater = _binary("greater", "Whether x1 > x2", f"xp.greater({_e('1, 2')}, 1) -> tensor([False,  True])")
greater_equal = _binary(
    "greater_equal", "Whether x1 >= x2", f"xp.greater_equal({_e('1, 2')}, 2) -> tensor([False,  True])"
)
hypot = _binary(
    "hypot", "The square root of x1² + x2², without overflow", f"xp.hypot({_e('3.0')}, 4.0) -> tensor([5.])"
)
less = _binary("less", "Whether x1 < x2", f"xp.less({_e('1, 2')}, 2) -> tensor([ True, False])")
less_equal = _binary("less_equal", "Whether x1 <= x2", f"xp.less_equal({_e('1, 2')}, 1) -> tensor([ True, False])")
logaddexp = _binary(
    "logaddexp", "log(exp(x1) + exp(x2)), without overflow", f"xp.logaddexp({_e('0.0')}, -xp.inf) -> tensor([0.])"
)
logical_and = _binary("logical_and", "Whether both are True", f"xp.logical_and({_e('True')}, False) -> tensor([False])")
logical_or = _binary("logical_or", "Whether one is True", f"xp.logical_or({_e('True')}, False) -> tensor([True])")
logical_xor = _binary(
    "logical_xor", "Whether just one is True", f"xp.logical_xor({_e('True')}, False) -> tensor([True])"
)
maximum = _binary("maximum", "The larger one; NaN, if one is NaN", f"xp.maximum({_e('1, 3')}, 2) -> tensor([2, 3])")
minimum = _binary("minimum", "The smaller one; NaN, if one is NaN", f"xp.minimum({_e('1, 3')}, 2) -> tensor([1, 2])")
multiply = _binary("multiply", "The product", f"xp.multiply({_e('1, 2')}, 3) -> tensor([3, 6])")
nextafter = _binary(
    "nextafter", "The number next to x1 on the way to x2", f"xp.nextafter({_e('0.0')}, 1.0) > 0 -> tensor([True])"
)
not_equal = _binary("not_equal", "Whether both differ", f"xp.not_equal({_e('1, 2')}, 2) -> tensor([ True, False])")
pow = _binary("pow", "x1 to the power x2", f"xp.pow({_e('2.0, 3.0')}, 2) -> tensor([4., 9.])")
remainder = _binary(
    "remainder", "What floor_divide leaves, with the sign of x2", f"xp.remainder({_e('-3')}, 2) -> tensor([1])"
)
subtract = _binary("subtract", "The difference", f"xp.subtract({_e('1, 2')}, 3) -> tensor([-2, -1])")


def floor_divide(x1: Any, x2: Any, /) -> Tensor:
    """The quotient, rounded downwards, of each two elements; where one is infinite the quotient itself.

    `numgrad.floor_divide` has torch's numbers there: NaN for an infinite ``x1``, and -1 for ``1 // -inf``.

    One of the two may be a Python number; the other is an array.

    >>> from numgrad import array_api as xp
    >>> xp.floor_divide(xp.asarray([-3.0, xp.inf]), 2)
    tensor([-2., inf])
    """
    x1, x2 = operands("floor_divide", x1, x2)
    whole = ng.floor_divide(x1, x2)
    if not whole.is_floating_point():
        return whole  # type: ignore[no-any-return]
    x1, x2 = x1.detach(), x2.detach()  # as floor_divide, which has no gradient
    return ng.where(ng.isinf(x1) | ng.isinf(x2), ng.div(x1, x2), whole)  # type: ignore[no-any-return]


def clip(x: Tensor, /, min: Any = None, max: Any = None) -> Tensor:
    """The elements, none below ``min`` and none above ``max``, which are numbers, arrays that broadcast, or None.

    The result has the dtype of ``x``.

    >>> from numgrad import array_api as xp
    >>> xp.clip(xp.asarray([-2, 0, 2]), -1, 1)
    tensor([-1,  0,  1])
    """
    if min is None and max is None:
        return ng.clone(x)  # type: ignore[no-any-return]
    dtype = arguments.check_tensor("clip", "x", x)._spec.dtype
    bounds = [None if bound is None else operands("clip", x, bound)[1] for bound in (min, max)]
    common = promotion.result_type(x, *[bound for bound in bounds if bound is not None])
    low, high = (None if bound is None else arguments.cast(bound, common) for bound in bounds)
    return arguments.cast(ng.clamp(arguments.cast(x, common), low, high), dtype)
