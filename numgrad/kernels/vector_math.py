"""Mathematical functions that vectorise: LLVM has no vector form of the C library's, and calls them one by one.

They are emitted as plain arithmetic on one value, with fused multiply-adds where the order must stay even in a kernel that
lets LLVM reassociate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.runtime.kernel import intrinsic

TO_INTEGER = 1.5 * 2.0**52  # plus a number below 2**51: its nearest integer, in the last bits
_SERIES = 0.55  # below it tanh is its series, above it comes from exp: there the difference from 1 loses no digits


def intrinsic_of(
    name: str, doc: str, reference: Any = None, emitter: Callable[..., Any] | None = None, of_two: bool = False
) -> Any:
    """The intrinsic of one number, or of two, that emits the method ``name`` of `Floats`, or of another class ``emitter``."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return getattr((emitter or Floats)(builder, args[0].type), name)(*args)

    def of_number(typing_context, x):
        return x(x), emit

    def of_numbers(typing_context, x, y):
        return x(x, x), emit

    function: Any = of_numbers if of_two else of_number
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    intrinsic_function = intrinsic(function)
    intrinsic_function.reference = reference or getattr(math, name)
    return intrinsic_function


exp = intrinsic_of("exp", "e to the power x, to about one unit in the last place.")
tanh = intrinsic_of("tanh", "The hyperbolic tangent of x, to about two units in the last place.")
log = intrinsic_of("log", "The natural logarithm of x, to about one unit in the last place.")
log1p = intrinsic_of("log1p", "log(1 + x), exact near 0, to about two units in the last place.")
expm1 = intrinsic_of("expm1", "exp(x) - 1, exact near 0, to about two units in the last place.")
exp2 = intrinsic_of("exp2", "2 to the power x, exact for integers, else to about one unit in the last place.", np.exp2)
log2 = intrinsic_of(
    "log2", "The logarithm to base 2, exact for powers of 2, else to about two units in the last place."
)
log10 = intrinsic_of("log10", "The logarithm to base 10, to about one unit in the last place.")
sinh = intrinsic_of("sinh", "The hyperbolic sine of x, to about two units in the last place.", np.sinh)
cosh = intrinsic_of("cosh", "The hyperbolic cosine of x, to about two units in the last place.", np.cosh)
atanh = intrinsic_of("atanh", "The inverse hyperbolic tangent of x, to about two units in the last place.", np.arctanh)
asinh = intrinsic_of("asinh", "The inverse hyperbolic sine of x, to about three units in the last place.", np.arcsinh)
acosh = intrinsic_of("acosh", "The inverse hyperbolic cosine of x, to about three units in the last place.", np.arccosh)
erfc = intrinsic_of("erfc", "1 - erf(x), exact where erf(x) is near 1, to about five units in the last place.")
rough_erf = intrinsic_of(
    "rough_erf", "The error function to three units in the last place in float32, as `erf` in float64.", math.erf
)
erf = intrinsic_of("erf", "The error function of x, to about one unit in the last place.")

# Polynomials, from the highest power down, for float32 and for float64: least squares at Chebyshev's nodes in 60 digits,
# weighted to minimise the error of the function's result.
_ERF_NEAR = (  # erf(x) / x - 1 in powers of x**2, for abs(x) < 1
    [7.847259126965687e-05, -0.0008008189323165635, 0.005188098889400459, -0.026853691099714645, 0.11283582247992896,
     -0.3761262556739925, 0.1283791656893225],
    [-7.77682913736281e-10, 1.3709519207384055e-08, -1.6205964194101388e-07, 1.6447084274239356e-06,
     -1.4924708324571507e-05, 0.00012055293361789941, -0.0008548325921832884, 0.005223977605955977,
     -0.026866170643090832, 0.1128379167094405, -0.37612638903183515, 0.1283791670955126],
)  # fmt: skip
_ERF_FAR = (  # -log(1 - erf(x)) in powers of x - 1, from 1 up to where erf(x) is 1
    [2.1785139842945792e-05, -0.0002900518964772626, 0.0020130251764982833, -0.010047478519269569,
     0.04156397748140326, 0.843106968762824, 2.638967524472896, 1.8496055098791706],
    [-1.6874898359543336e-11, 3.5226205742719595e-10, -3.108462145228009e-09, 1.337089948472237e-08,
     -6.281457536447218e-09, -3.008932262327385e-07, 2.2620545472382444e-06, -9.800343934099766e-06,
     2.729209059145662e-05, -2.6344662596256393e-05, -0.0002372988037238149, 0.001977896853585708,
     -0.010033824485399393, 0.04156109795990898, 0.8431072563625465, 2.638967514234718, 1.8496055099332485],
)  # fmt: skip
_ERF_ROUGH = (  # erf(x) / x in x**2 / 7.80125 - 1, for abs(x) < 3.95 and float32
    0.0003986795939213622, -0.0010652218998413775, 0.0008243908525617927, -0.0011410430045149676, 0.0044145260035628586,
    -0.008742883447250507, 0.013137898419180677, -0.02047139614061039, 0.031460015044972485, -0.04448538901487911,
    0.05886942508711841, -0.07429163775872791, 0.09048949551765507, -0.1086402594540869, 0.13317665637705375,
    -0.17876947263010168, 0.35800076876415515
)  # fmt: skip
_ERF_END = 3.95, 5.95
_ERFC = (  # exp(x**2) * erfc(x) * (x + a) in powers of (x - a) / (x + a), from 0 up to where erfc(x) is 0: a is below
    [-2.7903458717438156e-05, -9.95293395238102e-05, 7.055373787083171e-05, 0.0007003005647317609,
     -0.0004441862655404889, -0.004819042822456915, 0.008393902497023457, 0.02836165309431054, -0.17125120651718817,
     0.45391410997587867, -0.8046518481636851, 1.0540318203632784],
    [3.1950245722804835e-09, 8.79427360274526e-09, -2.163637941667417e-08, -8.28012086922021e-08,
     1.1630378117468504e-07, 5.496671482856903e-07, -7.967950332938364e-07, -3.3914478505935613e-06,
     7.244505075755273e-06, 1.8646954228807994e-05, -7.47772370494612e-05, -4.2062104390394215e-05,
     0.0007145317222314075, -0.0013053547014067347, -0.0031770503479306607, 0.02651861988256481,
     -0.09231870663807377, 0.22573862164736652, -0.43525602671690344, 0.6941136466346453, -0.9377997245671118,
     1.0870555892622602],
)  # fmt: skip
_ERFC_MIDDLE, _ERFC_END = (2.5, 3.5), (10.1, 27.3)
_LOG = (  # 2 * (artanh(s) / s - 1) / s**2 in powers of s**2, for the s of numbers between the roots of 1/2 and of 2
    [0.23585545965015192, 0.2853710101506706, 0.40000339162671755, 0.6666666562231266],
    [0.14797591019761697, 0.15313873289414076, 0.18183571927081435, 0.2222219840942572, 0.28571428744227106,
     0.3999999999940471, 0.6666666666666736],
)  # fmt: skip


# The high part of ln 2 has zeros at its end, so that a small integer times it is exact.
_LN2_HIGH = 0.693359375, 0.69314718036912381649
_LN2_LOW = -2.12194440054690583e-4, 1.90821492927058770002e-10
_LOG10_OF_2_HIGH = 0.301025390625, 0.30102999566361177
_LOG10_OF_2_LOW = 4.605038981195214e-06, 3.694239077158931e-13
_LOG10_OF_E = (  # and what their rounding loses
    (0.4342944920063019, -1.0103050052231683e-08),
    (0.4342944819032518, 1.098319650216765e-17),
)


class Floats:
    """Arithmetic on values of one floating-point type, as LLVM IR."""

    def __init__(self, builder: Any, kind: Any) -> None:
        from llvmlite import ir

        self.builder = builder
        self.kind = kind
        self.single = isinstance(kind, ir.FloatType)
        self.integer = ir.IntType(32 if self.single else 64)
        self.precision = 0 if self.single else 1  # index of this type's constants
        self.exp_degree = 7 if self.single else 13

    def number(self, value: float) -> Any:
        return self.kind(value)

    def call(self, name: str, *values: Any) -> Any:
        from llvmlite import ir
        from numba.core import cgutils

        function_type = ir.FunctionType(self.kind, [self.kind] * len(values))
        name = f"llvm.{name}.{'f32' if self.single else 'f64'}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function_type, name), values)

    def polynomial(self, x: Any, coefficients: list[float]) -> Any:
        """The polynomial with these coefficients, from the highest power down."""
        result = self.number(coefficients[0])
        for coefficient in coefficients[1:]:
            result = self.call("fma", result, x, self.number(coefficient))
        return result

    def exp(self, x: Any) -> Any:
        """With ``x = n ln 2 + r`` it is ``2**n`` by its bits times the Taylor polynomial of exp(r), |r| <= ln 2 / 2."""
        lowest, highest = (-104.0, 89.0) if self.single else (-746.0, 710.0)
        return self._scaled_exp(x, lowest, highest, 0)

    def _scaled_exp(self, x: Any, lowest: float, highest: float, power: int) -> Any:
        """``2**power * exp(x)``; 0 below ``lowest``, infinity above ``highest``."""
        number, call = self.number, self.call
        high, low = _LN2_HIGH[self.precision], _LN2_LOW[self.precision]
        tiny, clipped = self._clipped(x, lowest, highest)
        n = call("rint", self.builder.fmul(clipped, number(math.log2(math.e))))
        r = call("fma", n, number(-low), call("fma", n, number(-high), clipped))
        # Below the range the polynomial would still round to the smallest number.
        return self.builder.select(tiny, number(0.0), self._exp_of_parts(n, r, power))

    def _clipped(self, x: Any, lowest: float, highest: float) -> tuple[Any, Any]:
        """Whether x is below, and x between the two."""
        builder, number = self.builder, self.number
        tiny = builder.fcmp_ordered("<", x, number(lowest))
        clipped = builder.select(tiny, number(lowest), x)
        return tiny, builder.select(builder.fcmp_ordered(">", clipped, number(highest)), number(highest), clipped)

    def _exp_of_parts(self, n: Any, r: Any, power: int) -> Any:
        """``2**(n + power) * exp(r)`` for |r| <= ln 2 / 2.

        The power is applied in two halves, since ``2**n`` itself may lie outside the range in which the result lies.
        """
        builder, number = self.builder, self.number
        p = self.polynomial(r, [1 / math.factorial(term) for term in range(self.exp_degree, -1, -1)])
        whole = builder.select(builder.fcmp_ordered("ord", n, n), n, number(0.0))  # NaN has no integer
        whole = builder.fptosi(whole, self.integer)
        if power:
            whole = builder.add(whole, self.integer(power))
        half = builder.ashr(whole, self.integer(1))
        return builder.fmul(builder.fmul(p, self._power_of_two(half)), self._power_of_two(builder.sub(whole, half)))

    def _power_of_two(self, exponent: Any) -> Any:
        """By its bits; the exponent is one of a normal number."""
        mantissa, bias = (23, 127) if self.single else (52, 1023)
        biased = self.builder.add(exponent, self.integer(bias))
        return self.builder.bitcast(self.builder.shl(biased, self.integer(mantissa)), self.kind)

    def exp2(self, x: Any) -> Any:
        """As `exp`, with ``n`` and ``r / ln 2`` the integer next to x and the rest, which is exact."""
        builder, number = self.builder, self.number
        lowest, highest = (-151.0, 129.0) if self.single else (-1076.0, 1025.0)
        tiny, clipped = self._clipped(x, lowest, highest)
        n = self.call("rint", clipped)
        r = builder.fmul(builder.fsub(clipped, n), number(math.log(2)))
        return builder.select(tiny, number(0.0), self._exp_of_parts(n, r, 0))

    def _half_of_exp(self, size: Any) -> Any:
        """exp(size) / 2 for a size of at least 0, up to where that is infinite."""
        return self._scaled_exp(size, -1.0, 90.0 if self.single else 711.0, -1)

    def sinh(self, x: Any) -> Any:
        """Taylor's series for abs(x) < 1, ``x + x**3 * p(x**2)``; else half of ``exp(abs(x)) - exp(-abs(x))``, with the sign."""
        builder, number = self.builder, self.number
        size, square = self.call("fabs", x), builder.fmul(x, x)
        terms = 11 if self.single else 19
        p = self.polynomial(square, [1 / math.factorial(power) for power in range(terms, 1, -2)])
        small = self.call("fma", builder.fmul(x, square), p, x)
        half = self._half_of_exp(size)
        large = builder.fsub(half, builder.fdiv(number(0.25), half))
        near = builder.fcmp_ordered("<", size, number(1.0))
        return builder.select(near, small, self.call("copysign", large, x))

    def cosh(self, x: Any) -> Any:
        """Half of ``exp(abs(x)) + exp(-abs(x))``."""
        half = self._half_of_exp(self.call("fabs", x))
        return self.builder.fadd(half, self.builder.fdiv(self.number(0.25), half))

    def atanh(self, x: Any) -> Any:
        """``n ln 2 / 2 + artanh(s)`` for ``a = abs(x)``, with the sign of x: ``(1 + a) / (1 - a)`` is 2**n times a number between
        the roots of 1/2 and of 2, and s the number whose artanh is half of that one's logarithm. It is a itself for small a.
        """
        builder, number, call = self.builder, self.number, self.call
        size, one = call("fabs", x), number(1.0)
        above, below = builder.fadd(one, size), builder.fsub(one, size)
        _, n = self.log_parts(builder.fdiv(above, below))
        inside = builder.fcmp_ordered("<", size, one)
        n = builder.select(inside, n, number(0.0))
        q = self._power_of_two(builder.fptosi(n, self.integer))
        # Up to 1/2 one rounding, and beyond it 1 - a has none.
        near = call("fma", builder.fadd(q, one), size, builder.fsub(one, q))
        over = builder.select(
            builder.fcmp_ordered("<", size, number(0.5)), near, builder.fsub(above, builder.fmul(q, below))
        )
        s = builder.fdiv(over, call("fma", q, below, above))
        z = builder.fmul(s, s)
        series = builder.fmul(number(0.5), self.polynomial(z, _LOG[self.precision]))
        rest = call("fma", n, number(0.5 * _LN2_LOW[self.precision]), builder.fmul(builder.fmul(s, z), series))
        result = call("fma", n, number(0.5 * _LN2_HIGH[self.precision]), builder.fadd(s, rest))
        at_end = builder.select(builder.fcmp_ordered("==", size, one), number(math.inf), number(math.nan))
        return call("copysign", builder.select(inside, result, at_end), x)

    def asinh(self, x: Any) -> Any:
        """``log1p(a + a**2 / (1 + sqrt(1 + a**2)))`` for ``a = abs(x)``, with its sign; ``log(2 a)`` where squares overflow."""
        builder, number = self.builder, self.number
        size = self.call("fabs", x)
        large, most = self._large(size)
        square = builder.fmul(most, most)
        root = self.call("sqrt", builder.fadd(number(1.0), square))
        more = builder.fadd(most, builder.fdiv(square, builder.fadd(number(1.0), root)))
        result = builder.select(large, self._log_of_twice(size), self.log1p(more))
        return self.call("copysign", result, x)

    def acosh(self, x: Any) -> Any:
        """``log1p(t + sqrt(t * (t + 2)))`` for ``t = x - 1``, NaN for a negative one; ``log(2 x)`` where squares overflow."""
        builder, number = self.builder, self.number
        large, most = self._large(x)
        t = builder.fsub(most, number(1.0))
        root = self.call("sqrt", builder.fmul(t, builder.fadd(t, number(2.0))))
        small = self.log1p(builder.fadd(t, root))
        small = builder.select(builder.fcmp_ordered("<", x, number(1.0)), number(math.nan), small)
        return builder.select(large, self._log_of_twice(x), small)

    def _large(self, size: Any) -> tuple[Any, Any]:
        """Whether the square of a size may overflow, and a size whose square does not."""
        builder, limit = self.builder, self.number(2.0**60 if self.single else 2.0**500)
        large = builder.fcmp_ordered(">", size, limit)
        return large, builder.select(large, limit, size)

    def _log_of_twice(self, x: Any) -> Any:
        return self.builder.fadd(self.log(x), self.number(math.log(2)))

    def _exp_of_some(self, x: Any) -> Any:
        """exp(x) where neither x nor the result is near the ends of the range; anything for NaN."""
        builder, number, call = self.builder, self.number, self.call
        high, low, mantissa = _LN2_HIGH[self.precision], _LN2_LOW[self.precision], 23 if self.single else 52
        n = call("rint", builder.fmul(x, number(math.log2(math.e))))
        r = call("fma", n, number(-low), call("fma", n, number(-high), x))
        p = self.polynomial(r, [1 / math.factorial(power) for power in range(self.exp_degree, -1, -1)])
        shifted = builder.shl(builder.fptosi(n, self.integer), self.integer(mantissa))
        return builder.bitcast(builder.add(builder.bitcast(p, self.integer), shifted), self.kind)

    def tanh(self, x: Any) -> Any:
        """``x * series(x**2)`` near 0, else ``1 - 2 / (exp(2 abs(x)) + 1)`` with the sign of x."""
        builder, number = self.builder, self.number
        size = self.call("fabs", x)
        small = builder.fmul(x, self.polynomial(builder.fmul(x, x), _tanh_series(10 if self.single else 19)))
        doubled = self.exp(builder.fadd(size, size))
        large = builder.fsub(number(1.0), builder.fdiv(number(2.0), builder.fadd(doubled, number(1.0))))
        return builder.select(
            builder.fcmp_unordered("<", size, number(_SERIES)), small, self.call("copysign", large, x)
        )

    def erf(self, x: Any) -> Any:
        """``x + x * near(x**2)`` for abs(x) < 1, else ``1 - exp(-far(abs(x)))`` with the sign of x."""
        builder, number = self.builder, self.number
        size = self.call("fabs", x)
        small = self.call("fma", x, self.polynomial(builder.fmul(x, x), _ERF_NEAR[self.precision]), x)
        end = number(_ERF_END[self.precision])
        clipped = builder.select(builder.fcmp_ordered("<", size, end), size, end)
        far = self.polynomial(builder.fadd(clipped, number(-1.0)), _ERF_FAR[self.precision])
        large = builder.fsub(number(1.0), self._exp_of_some(builder.fneg(far)))
        large = self.call("copysign", large, x)
        return builder.select(builder.fcmp_unordered("<", size, number(1.0)), small, large)

    def rough_erf(self, x: Any) -> Any:
        """erf; of float32 x times one polynomial, which takes half of the time."""
        if not self.single:
            return self.erf(x)
        builder, number, call = self.builder, self.number, self.call
        t = call("fma", builder.fmul(x, x), number(2 / _ERF_END[0] ** 2), number(-1.0))
        result = builder.fmul(x, self.polynomial(t, list(_ERF_ROUGH)))
        # Beyond the end exactly 1: GELU multiplies what is missing by its argument.
        beyond = builder.fcmp_ordered(">=", call("fabs", x), number(_ERF_END[0]))
        return builder.select(beyond, call("copysign", number(1.0), x), result)

    def erfc(self, x: Any) -> Any:
        """``exp(-x**2) * p((x - a) / (x + a)) / (x + a)`` for x >= 0, and 2 minus that of -x; float32 is computed in float64."""
        if self.single:
            wide = self.wide()
            result = wide._erfc_of(self.builder.fpext(x, wide.kind), 0, False)
            return self.builder.fptrunc(result, self.kind)
        return self._erfc_of(x, 1, False)

    def normal_tail(self, x: Any, precision: int) -> Any:
        """erfc(x / sqrt(2)) in float64, with half of the square of x, which the root of 2 would round."""
        return self._erfc_of(x, precision, True)

    def _erfc_of(self, x: Any, precision: int, normal: bool) -> Any:
        builder, number, call = self.builder, self.number, self.call
        end, middle = _ERFC_END[precision], number(_ERFC_MIDDLE[precision])
        root = call("fabs", x)  # its square, or half of it, is in the exponent
        last = number(end * math.sqrt(2.0) if normal else end)
        root = builder.select(builder.fcmp_ordered(">", root, last), last, root)
        if normal:
            x = builder.fmul(x, number(math.sqrt(0.5)))
        size = call("fabs", x)
        size = builder.select(builder.fcmp_ordered(">", size, number(end)), number(end), size)
        above, below = builder.fadd(size, middle), builder.fsub(size, middle)
        inverse = builder.fdiv(number(1.0), above)
        t = builder.fmul(below, inverse)
        if precision:
            t = call("fma", call("fma", builder.fneg(t), above, below), inverse, t)
        p = builder.fmul(self.polynomial(t, _ERFC[precision]), inverse)
        other = builder.fmul(root, number(0.5)) if normal else root
        square = builder.fmul(root, other)
        if precision:
            lost = call(
                "fma", root, other, builder.fneg(square)
            )  # of the square, which the exponential would make much of
            p = call("fma", p, builder.fneg(lost), p)
            tail = builder.fmul(self.exp(builder.fneg(square)), p)
        else:
            tail = builder.fmul(self._exp_of_some(builder.fneg(square)), p)
        far = builder.select(builder.fcmp_ordered("<", x, number(0.0)), builder.fsub(number(2.0), tail), tail)
        if not precision:
            return builder.select(builder.fcmp_unordered("uno", x, x), x, far)
        # Near 0 all terms of the polynomial have one sign, and their roundings add up; there 1 - erf(x) loses nothing.
        curve = self.polynomial(builder.fmul(x, x), _ERF_NEAR[precision])
        near = call("fma", builder.fneg(x), curve, builder.fsub(number(1.0), x))
        return builder.select(builder.fcmp_ordered("<", call("fabs", x), number(0.5)), near, far)

    def wide(self) -> Floats:
        """The arithmetic of float64."""
        from llvmlite import ir

        wide = Floats(self.builder, ir.DoubleType())
        if self.single:
            wide.exp_degree = 8  # float32 is what is wanted
        return wide

    def log(self, x: Any) -> Any:
        """With ``x = 2**n * m``, m between the roots of 1/2 and of 2, it is ``n ln 2 + log(m)``."""
        return self._log_at_ends(x, self._log_of(*self.log_parts(x)))

    def log2(self, x: Any) -> Any:
        """``n + log(m) / ln 2``."""
        f, n = self.log_parts(x)
        scaled = self.builder.fmul(self._log_of(f, None), self.number(1 / math.log(2)))
        return self._log_at_ends(x, self.builder.fadd(n, scaled))

    def log10(self, x: Any) -> Any:
        """``n log10(2) + log(m) / ln 10``, where f, of which log(m) is little less, is scaled exactly."""
        builder, number, call = self.builder, self.number, self.call
        high, low = _LOG10_OF_2_HIGH[self.precision], _LOG10_OF_2_LOW[self.precision]
        first, second = map(number, _LOG10_OF_E[self.precision])
        f, n = self.log_parts(x)
        less = builder.fmul(builder.fneg(self._log_less(f)), first)
        rest = call("fma", f, second, call("fma", n, number(low), less))
        return self._log_at_ends(x, call("fma", n, number(high), call("fma", f, first, rest)))

    def log_parts(self, x: Any) -> tuple[Any, Any]:
        """``f = m - 1``, which is exact, and n, for ``x = 2**n * m`` with m between the roots of 1/2 and of 2."""
        builder, number, integer = self.builder, self.number, self.integer
        mantissa, smallest = (23, 2.0**-126) if self.single else (52, 2.0**-1022)
        root = 0x3F3504F3 if self.single else 0x3FE6A09E667F3BCD  # of 1/2
        tiny = builder.fcmp_ordered("<", x, number(smallest))
        scaled = builder.select(tiny, builder.fmul(x, number(2.0**mantissa)), x)
        bits = builder.bitcast(scaled, integer)
        power = builder.ashr(builder.sub(bits, integer(root)), integer(mantissa))
        m = builder.bitcast(builder.sub(bits, builder.shl(power, integer(mantissa))), self.kind)
        n = builder.sitofp(power, self.kind)
        n = builder.select(tiny, builder.fadd(n, number(-float(mantissa))), n)
        return builder.fadd(m, number(-1.0)), n

    def _log_of(self, f: Any, n: Any, short: bool = False) -> Any:
        """``n ln 2 + log(1 + f)`` for 1 + f between the roots of 1/2 and of 2; n is 0 if it is None.

        ``log(1 + f) = f - (h - s * (h + r))`` with ``h = f**2 / 2``, ``s = f / (2 + f)`` and r from artanh's series in
        s**2: f is exact, and only small terms are subtracted from it.
        """
        builder, number = self.builder, self.number
        if n is None:
            return builder.fsub(f, self._log_less(f))
        high, low = _LN2_HIGH[self.precision], _LN2_LOW[self.precision]
        s = builder.fdiv(f, builder.fadd(f, number(2.0)))
        z = builder.fmul(s, s)
        h = builder.fmul(builder.fmul(f, f), number(0.5))
        r = builder.fmul(z, self.polynomial(z, _LOG[0 if short else self.precision]))
        rest = self.call("fma", s, builder.fadd(h, r), builder.fmul(n, number(low)))
        return self.call("fma", n, number(high), builder.fsub(f, builder.fsub(h, rest)))

    def _log_less(self, f: Any) -> Any:
        """``f - log(1 + f)``, as in `_log_of`."""
        builder, number = self.builder, self.number
        s = builder.fdiv(f, builder.fadd(f, number(2.0)))
        z = builder.fmul(s, s)
        h = builder.fmul(builder.fmul(f, f), number(0.5))
        r = builder.fmul(z, self.polynomial(z, _LOG[self.precision]))
        return builder.fsub(h, builder.fmul(s, builder.fadd(h, r)))

    def log_of_some(self, x: Any) -> Any:
        """The logarithm of a normal positive number; of float64 for results in float32 with an error of 1e-9."""
        return self._log_of(*self.log_parts(x), short=True)

    def _log_at_ends(self, x: Any, result: Any) -> Any:
        """The result, with NaN, infinities and zero handled."""
        builder, number = self.builder, self.number
        infinite = builder.fcmp_unordered(">=", x, number(math.inf))
        result = builder.select(infinite, x, result)  # of infinity and NaN, those
        result = builder.select(builder.fcmp_ordered("<", x, number(0.0)), number(math.nan), result)
        return builder.select(builder.fcmp_ordered("==", x, number(0.0)), number(-math.inf), result)

    def log1p(self, x: Any) -> Any:
        """For 1 + x between the roots of 1/2 and of 2 as in `log`, with an f that is x; else log of the rounded sum."""
        builder, number = self.builder, self.number
        near = builder.and_(
            builder.fcmp_ordered(">", x, number(math.sqrt(0.5) - 1)),
            builder.fcmp_ordered("<", x, number(math.sqrt(2.0) - 1)),
        )
        f = builder.select(near, x, number(0.0))
        small = self._log_of(f, None)
        # The sum above loses the sign of 0.
        tiny = builder.fcmp_ordered("<", self.call("fabs", x), number(2.0**-30 if self.single else 2.0**-60))
        return builder.select(
            tiny, x, builder.select(near, small, self.log(builder.fadd(x, number(1.0))))
        )  # fmt: skip

    def expm1(self, x: Any) -> Any:
        """``2**n * (p + (1 - 2**-n))`` with n and r as in `exp`, and Taylor's series p of exp(r) - 1."""
        builder, number, call = self.builder, self.number, self.call
        high, low = _LN2_HIGH[self.precision], _LN2_LOW[self.precision]
        lowest, highest, terms = (-18.0, 89.0, 9) if self.single else (-40.0, 710.0, 15)
        _, clipped = self._clipped(x, lowest, highest)  # below, the result is -1
        n = call("rint", builder.fmul(clipped, number(math.log2(math.e))))
        r = call("fma", n, number(-low), call("fma", n, number(-high), clipped))
        series = self.polynomial(r, [1 / math.factorial(power) for power in range(terms, 1, -1)])
        p = call("fma", builder.fmul(r, r), series, r)
        whole = builder.fptosi(builder.select(builder.fcmp_ordered("ord", n, n), n, number(0.0)), self.integer)
        half = builder.ashr(whole, self.integer(1))
        few = builder.select(builder.icmp_signed(">", whole, self.integer(64)), self.integer(64), whole)
        rest = builder.fsub(number(1.0), self._power_of_two(builder.neg(few)))
        scaled = builder.fmul(builder.fadd(p, rest), self._power_of_two(half))
        scaled = builder.fmul(scaled, self._power_of_two(builder.sub(whole, half)))
        return builder.select(builder.fcmp_ordered("==", x, number(0.0)), x, scaled)  # the sum loses the sign of 0


def _tanh_series(terms: int) -> list[float]:
    """Coefficients of tanh(x) / x in powers of x**2, the highest first; from ``tanh' = 1 - tanh**2``."""
    series = [1.0]
    for k in range(1, terms):
        series.append(-sum(series[i] * series[k - 1 - i] for i in range(k)) / (2 * k + 1))
    return series[::-1]
