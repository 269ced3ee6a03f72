"""Mathematical functions that vectorise: LLVM has no vector form of the C library's, and calls them one by one.

They are emitted as plain arithmetic on one value, with fused multiply-adds where the order must stay even in a kernel that
lets LLVM reassociate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.kernels import vector_series as series
from numgrad.runtime.kernel import intrinsic

TO_INTEGER = 1.5 * 2.0**52  # plus a number below 2**51: its nearest integer, in the last bits


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
asinh = intrinsic_of("asinh", "The inverse hyperbolic sine of x, to 1.5 units in the last place.", np.arcsinh)
acosh = intrinsic_of("acosh", "The inverse hyperbolic cosine of x, to two units in the last place.", np.arccosh)
erfc = intrinsic_of("erfc", "1 - erf(x), exact where erf(x) is near 1, to about five units in the last place.")
rough_erf = intrinsic_of(
    "rough_erf", "The error function to three units in the last place in float32, as `erf` in float64.", math.erf
)
erf = intrinsic_of("erf", "The error function of x, to about one unit in the last place.")

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
        self.exp_row = self.precision
        self.mantissa, self.bias = (23, 127) if self.single else (52, 1023)
        self.shift, self.shift_bits = (1.5 * 2.0**23, 0x4B400000) if self.single else (TO_INTEGER, 0x4338 << 48)

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
        """With ``x = n ln 2 + r`` it is ``2**n`` by its bits times a polynomial of exp(r), |r| <= ln 2 / 2."""
        return self._scaled_exp(x, *((-104.0, 89.0) if self.single else (-746.0, 710.0)))

    def _scaled_exp(self, x: Any, lowest: float | None, highest: float, power: int = 0) -> Any:
        """``2**power * exp(x)``, as if x lay between the two; without a lowest one it may not be negative."""
        shifted, r = self._exp_parts(self._clipped(x, lowest, highest))
        return self._times_power(self._exp_series(r), shifted, power)

    def _clipped(self, x: Any, lowest: float | None, highest: float) -> Any:
        """The nearest number between the two, NaN for NaN; these are one instruction each."""
        builder, number = self.builder, self.number
        x = builder.select(builder.fcmp_ordered("<", number(highest), x), number(highest), x)
        return x if lowest is None else builder.select(builder.fcmp_ordered(">", number(lowest), x), number(lowest), x)

    def _near_multiple(self, x: Any) -> tuple[Any, Any, Any]:
        """For ``x = n ln 2 + r``: a number with n in its last bits, from a sum that has no room for more; n; and x less n times
        the high part of ln 2, which is exact."""
        number, call = self.number, self.call
        shifted = call("fma", x, number(math.log2(math.e)), number(self.shift))
        n = self.builder.fsub(shifted, number(self.shift))
        return shifted, n, call("fma", n, number(-_LN2_HIGH[self.precision]), x)

    def _exp_parts(self, x: Any) -> tuple[Any, Any]:
        """For ``x = n ln 2 + r`` a number with n in its last bits, and r."""
        shifted, n, near = self._near_multiple(x)
        return shifted, self.call("fma", n, self.number(-_LN2_LOW[self.precision]), near)

    def _exp_series(self, r: Any) -> Any:
        """exp(r) for |r| <= ln 2 / 2."""
        return self.polynomial(r, [*series.EXP[self.exp_row], 1.0, 1.0])

    def _expm1_series(self, r: Any) -> Any:
        """exp(r) - 1 for |r| <= ln 2 / 2."""
        return self.call("fma", self.builder.fmul(r, r), self.polynomial(r, list(series.EXPM1[self.precision])), r)

    def _biased(self, shifted: Any, bias: int) -> Any:
        """``n + bias``, an integer, of a number with n in its last bits."""
        return self.builder.add(self.builder.bitcast(shifted, self.integer), self.integer(bias - self.shift_bits))

    def _times_power(self, p: Any, shifted: Any, power: int = 0) -> Any:
        """``p * 2**(n + power)``, for an n in the last bits of ``shifted``; any number for NaN there.

        The power is applied in two halves, since ``2**n`` itself may lie outside the range in which the result lies.
        """
        builder = self.builder
        both = self._biased(shifted, 2 * self.bias + power)
        half = builder.lshr(both, self.integer(1))
        p = builder.fmul(p, self._power_of_two(half))
        return builder.fmul(p, self._power_of_two(builder.sub(both, half)))

    def _power_of_two(self, biased: Any) -> Any:
        """By its bits; the exponent, with the bias, is one of a normal number."""
        return self.builder.bitcast(self.builder.shl(biased, self.integer(self.mantissa)), self.kind)

    def exp2(self, x: Any) -> Any:
        """As `exp`, with ``n`` and ``r / ln 2`` the integer next to x and the rest, which is exact."""
        builder, number = self.builder, self.number
        clipped = self._clipped(x, *((-151.0, 129.0) if self.single else (-1076.0, 1025.0)))
        n = self.call("rint", clipped)
        r = builder.fmul(builder.fsub(clipped, n), number(math.log(2)))
        return self._times_power(self._exp_series(r), builder.fadd(n, number(self.shift)))

    def _half_of_exp(self, size: Any) -> Any:
        """exp(size) / 2 for a size of at least 0, up to where that is infinite."""
        return self._scaled_exp(size, None, 90.0 if self.single else 711.0, -1)

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
        q = self._power_of_two(builder.add(builder.fptosi(n, self.integer), self.integer(self.bias)))
        # Up to 1/2 one rounding, and beyond it 1 - a has none.
        near = call("fma", builder.fadd(q, one), size, builder.fsub(one, q))
        over = builder.select(
            builder.fcmp_ordered("<", size, number(0.5)), near, builder.fsub(above, builder.fmul(q, below))
        )
        s = builder.fdiv(over, call("fma", q, below, above))
        z = builder.fmul(s, s)
        curve = builder.fmul(number(0.5), self.polynomial(z, series.LOG[self.precision]))
        rest = call("fma", n, number(0.5 * _LN2_LOW[self.precision]), builder.fmul(builder.fmul(s, z), curve))
        result = call("fma", n, number(0.5 * _LN2_HIGH[self.precision]), builder.fadd(s, rest))
        at_end = builder.select(builder.fcmp_ordered("==", size, one), number(math.inf), number(math.nan))
        return call("copysign", builder.select(inside, result, at_end), x)

    def asinh(self, x: Any) -> Any:
        """``log(1 + a + a**2 / (1 + sqrt(1 + a**2)))`` for ``a = abs(x)``, with its sign; ``log(2 a)`` where squares overflow."""
        builder, number = self.builder, self.number
        size = self.call("fabs", x)
        large, most = self._large(size)
        square = builder.fmul(most, most)
        root = self.call("sqrt", builder.fadd(number(1.0), square))
        more = builder.fdiv(square, builder.fadd(number(1.0), root))
        result = builder.select(large, self._log_of_twice(size), self._log_of_sum(most, more))
        return self.call("copysign", result, x)

    def acosh(self, x: Any) -> Any:
        """``log(1 + t + sqrt(t**2 + 2 t))`` for ``t = x - 1``, NaN for a negative one; ``log(2 x)`` where squares overflow."""
        builder, number = self.builder, self.number
        large, most = self._large(x)
        t = builder.fsub(most, number(1.0))
        root = self.call("sqrt", self.call("fma", t, t, builder.fadd(t, t)))
        small = self._log_of_sum(root, t)
        small = builder.select(builder.fcmp_ordered("<", x, number(1.0)), number(math.nan), small)
        return builder.select(large, self._log_of_twice(x), small)

    def _log_of_sum(self, larger: Any, smaller: Any) -> Any:
        """``log(1 + larger + smaller)`` for ``larger >= smaller >= 0``, with what the sums lose: near 0 that is the result."""
        builder, one = self.builder, self.number(1.0)
        both = builder.fadd(larger, smaller)
        total = builder.fadd(one, both)
        lost = builder.fsub(smaller, builder.fsub(both, larger))
        lost = builder.fadd(builder.fsub(both, builder.fsub(total, one)), lost)
        f, n = self.log_parts(total)
        power = self._power_of_two(builder.sub(self.integer(self.bias), builder.fptosi(n, self.integer)))
        return self._log_of(f, n, lost=builder.fmul(lost, power))

    def _large(self, size: Any) -> tuple[Any, Any]:
        """Whether the square of a size may overflow, and a size whose square does not."""
        builder, limit = self.builder, self.number(2.0**60 if self.single else 2.0**500)
        large = builder.fcmp_ordered(">", size, limit)
        return large, builder.select(large, limit, size)

    def _log_of_twice(self, x: Any) -> Any:
        return self.builder.fadd(self.log(x), self.number(math.log(2)))

    def _exp_of_some(self, x: Any) -> Any:
        """exp(x) where neither x nor the result is near the ends of the range; anything for NaN."""
        builder = self.builder
        shifted, r = self._exp_parts(x)
        power = builder.shl(builder.bitcast(shifted, self.integer), self.integer(self.mantissa))
        return builder.bitcast(builder.add(builder.bitcast(self._exp_series(r), self.integer), power), self.kind)

    def tanh(self, x: Any) -> Any:
        """``e / (e + 2)`` for ``e = exp(2 abs(x)) - 1``, with the sign of x; with what the sum and the quotient lose."""
        builder, number, call = self.builder, self.number, self.call
        size = call("fabs", x)
        shifted, r = self._exp_parts(self._clipped(builder.fadd(size, size), None, 20.0 if self.single else 40.0))
        power = self._power_of_two(self._biased(shifted, self.bias))
        e = call("fma", power, self._expm1_series(r), builder.fadd(power, number(-1.0)))
        below = builder.fadd(e, number(2.0))
        inverse = builder.fdiv(number(1.0), below)
        quotient = builder.fmul(e, inverse)
        lost = builder.fsub(e, builder.fsub(below, number(2.0)))
        rest = call("fma", builder.fneg(quotient), lost, call("fma", builder.fneg(quotient), below, e))
        return call("copysign", call("fma", rest, inverse, quotient), x)

    def erf(self, x: Any) -> Any:
        """``x + x * near(x**2)`` for abs(x) < 1, else ``1 - exp(-far(abs(x)))`` with the sign of x."""
        builder, number = self.builder, self.number
        size = self.call("fabs", x)
        small = self.call("fma", x, self.polynomial(builder.fmul(x, x), series.ERF_NEAR[self.precision]), x)
        end = number(series.ERF_END[self.precision])
        clipped = builder.select(builder.fcmp_ordered("<", size, end), size, end)
        far = self.polynomial(builder.fadd(clipped, number(-1.0)), series.ERF_FAR[self.precision])
        large = builder.fsub(number(1.0), self._exp_of_some(builder.fneg(far)))
        large = self.call("copysign", large, x)
        return builder.select(builder.fcmp_unordered("<", size, number(1.0)), small, large)

    def rough_erf(self, x: Any) -> Any:
        """erf; of float32 x times one polynomial, which takes half of the time."""
        if not self.single:
            return self.erf(x)
        builder, number, call = self.builder, self.number, self.call
        t = call("fma", builder.fmul(x, x), number(2 / series.ERF_END[0] ** 2), number(-1.0))
        result = builder.fmul(x, self.polynomial(t, list(series.ERF_ROUGH)))
        # Beyond the end exactly 1: GELU multiplies what is missing by its argument.
        beyond = builder.fcmp_ordered(">=", call("fabs", x), number(series.ERF_END[0]))
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
        end, middle = series.ERFC_END[precision], number(series.ERFC_MIDDLE[precision])
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
        p = builder.fmul(self.polynomial(t, series.ERFC[precision]), inverse)
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
        curve = self.polynomial(builder.fmul(x, x), series.ERF_NEAR[precision])
        near = call("fma", builder.fneg(x), curve, builder.fsub(number(1.0), x))
        return builder.select(builder.fcmp_ordered("<", call("fabs", x), number(0.5)), near, far)

    def wide(self) -> Floats:
        """The arithmetic of float64."""
        from llvmlite import ir

        wide = Floats(self.builder, ir.DoubleType())
        if self.single:
            wide.exp_row = 2  # float32 is what is wanted
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
        mantissa, smallest = self.mantissa, 2.0**-126 if self.single else 2.0**-1022
        root = 0x3F3504F3 if self.single else 0x3FE6A09E667F3BCD  # of 1/2
        tiny = builder.fcmp_ordered("<", x, number(smallest))
        scaled = builder.select(tiny, builder.fmul(x, number(2.0**mantissa)), x)
        bits = builder.bitcast(scaled, integer)
        power = builder.ashr(builder.sub(bits, integer(root)), integer(mantissa))
        m = builder.bitcast(builder.sub(bits, builder.shl(power, integer(mantissa))), self.kind)
        n = builder.sitofp(power, self.kind)
        n = builder.select(tiny, builder.fadd(n, number(-float(mantissa))), n)
        return builder.fadd(m, number(-1.0)), n

    def _log_of(self, f: Any, n: Any, short: bool = False, lost: Any = None) -> Any:
        """``n ln 2 + log(1 + f)`` for 1 + f between the roots of 1/2 and of 2; n is 0 if it is None.

        ``log(1 + f) = f - (h - s * (h + r))`` with ``h = f**2 / 2``, ``s = f / (2 + f)`` and r from artanh's series in
        s**2: f is exact, and only small terms are subtracted from it. What f has lost counts by ``1 / (1 + f)``, which is
        ``1 - 2 s + 2 s**2`` but for a hundredth, and far less for a small f.
        """
        builder, number = self.builder, self.number
        if n is None:
            return builder.fsub(f, self._log_less(f))
        high, low = _LN2_HIGH[self.precision], _LN2_LOW[self.precision]
        s = builder.fdiv(f, builder.fadd(f, number(2.0)))
        z = builder.fmul(s, s)
        h = builder.fmul(builder.fmul(f, f), number(0.5))
        r = builder.fmul(z, self.polynomial(z, series.LOG[0 if short else self.precision]))
        rest = builder.fmul(n, number(low))
        if lost is not None:
            slope = self.call("fma", s, self.call("fma", s, number(2.0), number(-2.0)), number(1.0))
            rest = self.call("fma", lost, slope, rest)
        rest = self.call("fma", s, builder.fadd(h, r), rest)
        return self.call("fma", n, number(high), builder.fsub(f, builder.fsub(h, rest)))

    def _log_less(self, f: Any) -> Any:
        """``f - log(1 + f)``, as in `_log_of`."""
        builder, number = self.builder, self.number
        s = builder.fdiv(f, builder.fadd(f, number(2.0)))
        z = builder.fmul(s, s)
        h = builder.fmul(builder.fmul(f, f), number(0.5))
        r = builder.fmul(z, self.polynomial(z, series.LOG[self.precision]))
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
        """``2**n * ((1 - 2**-n) + r + p * r**2)`` with n and r as in `exp`, and what the first sum and r itself lose."""
        builder, number, call = self.builder, self.number, self.call
        x_inside = self._clipped(x, *((-18.0, 89.0) if self.single else (-40.0, 710.0)))  # below, the result is -1
        shifted, n, near = self._near_multiple(x_inside)
        r = call("fma", n, number(-_LN2_LOW[self.precision]), near)
        r_lost = call("fma", n, number(-_LN2_LOW[self.precision]), builder.fsub(near, r))
        curve = call("fma", builder.fmul(r, r), self.polynomial(r, list(series.EXPM1[self.precision])), r_lost)
        both = self._biased(shifted, 2 * self.bias)
        half = builder.lshr(both, self.integer(1))
        whole = self._biased(shifted, 0)
        few = builder.select(builder.icmp_signed(">", whole, self.integer(64)), self.integer(64), whole)
        rest = builder.fsub(number(1.0), self._power_of_two(builder.sub(self.integer(self.bias), few)))
        total = builder.fadd(rest, r)
        total_lost = builder.fsub(r, builder.fsub(total, rest))
        total = builder.fadd(total, builder.fadd(curve, total_lost))
        scaled = builder.fmul(total, self._power_of_two(half))
        scaled = builder.fmul(scaled, self._power_of_two(builder.sub(both, half)))
        return builder.select(builder.fcmp_ordered("==", x, number(0.0)), x, scaled)  # the sum loses the sign of 0
