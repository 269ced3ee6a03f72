"""Remainders, quotients, lengths and powers, which vectorise.

`fmod`, `remainder` and `floor_divide` give the bits of Python's where `is_exact` holds: there the quotient cut to an integer is
right, or too large by one, and what a fused multiply-add leaves of the dividend is exact.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.kernels.vector_math import TO_INTEGER, Floats, intrinsic_of
from numgrad.runtime.kernel import device

_MOST = 2.0**24  # has all its digits in float32
_LOG2_OF_E = 1.4426950408889634, 2.0355273740931033e-17
_LN2_LOW = 2.3190468138462996e-17  # beside math.log(2)


class _Quotients(Floats):
    def fmod(self, x: Any, y: Any) -> Any:
        """What is left of x by the quotient cut to an integer, with the sign of x."""
        builder, call = self.builder, self.call
        quotient = call("trunc", builder.fdiv(x, y))
        rest = call("fma", builder.fneg(quotient), y, x)
        # A quotient that was rounded up to an integer has taken one too many.
        has_other_sign = builder.fcmp_ordered(
            "<", builder.fmul(rest, call("copysign", self.number(1.0), x)), self.number(0.0)
        )
        back = builder.fadd(rest, call("copysign", y, x))
        return call("copysign", builder.select(has_other_sign, back, rest), x)

    def _parts(self, x: Any, y: Any) -> tuple[Any, Any, Any]:
        """fmod, whether it is 0, and whether its sign is another than that of y."""
        builder, zero = self.builder, self.number(0.0)
        rest = self.fmod(x, y)
        is_zero = builder.fcmp_ordered("==", rest, zero)
        differs = builder.xor(builder.fcmp_ordered("<", rest, zero), builder.fcmp_ordered("<", y, zero))
        return rest, is_zero, builder.and_(differs, builder.not_(is_zero))

    def remainder(self, x: Any, y: Any) -> Any:
        """As Python's ``%``: fmod, moved to the sign of y."""
        builder = self.builder
        rest, is_zero, differs = self._parts(x, y)
        moved = builder.select(differs, builder.fadd(rest, y), rest)
        return builder.select(is_zero, self.call("copysign", self.number(0.0), y), moved)

    def floor_divide(self, x: Any, y: Any) -> Any:
        """As Python's ``//``: the quotient without the remainder, to the next integer."""
        builder, number = self.builder, self.number
        rest, _, differs = self._parts(x, y)
        quotient = builder.fdiv(builder.fsub(x, rest), y)
        quotient = builder.select(differs, builder.fsub(quotient, number(1.0)), quotient)
        floor = self.call("floor", quotient)
        over = builder.fcmp_ordered(">", builder.fsub(quotient, floor), number(0.5))
        floor = builder.select(over, builder.fadd(floor, number(1.0)), floor)
        zero = self.call("copysign", number(0.0), builder.fdiv(x, y))
        return builder.select(builder.fcmp_ordered("==", quotient, number(0.0)), zero, floor)

    def hypot(self, x: Any, y: Any) -> Any:
        """Of float32 the root of the squares in float64; of float64 the larger times the root of 1 + (smaller / larger)**2."""
        builder, call = self.builder, self.call
        across, up = call("fabs", x), call("fabs", y)
        if self.single:
            wide = self.wide()
            a, b = (builder.fpext(each, wide.kind) for each in (across, up))
            length = wide.call("sqrt", wide.call("fma", a, a, builder.fmul(b, b)))
            length = builder.fptrunc(length, self.kind)
        else:
            swapped = builder.fcmp_ordered(">", up, across)
            large, small = builder.select(swapped, up, across), builder.select(swapped, across, up)
            none = builder.fcmp_ordered("==", large, self.number(0.0))
            ratio = builder.fdiv(small, builder.select(none, self.number(1.0), large))
            length = builder.fmul(large, call("sqrt", call("fma", ratio, ratio, self.number(1.0))))
        infinite = self.number(math.inf)
        is_infinite = builder.or_(
            builder.fcmp_ordered("==", across, infinite), builder.fcmp_ordered("==", up, infinite)
        )
        return builder.select(is_infinite, infinite, length)

    def power(self, x: Any, y: Any) -> Any:
        """2 to the power y log2(abs(x)), with the sign of an odd power; the special cases are IEEE's.

        float32 is computed in float64. The logarithm of float64 is a sum of two numbers, since what is lost of it, times y,
        would be lost of the result.
        """
        builder = self.builder
        if self.single:
            wide = _Quotients(builder, self.wide().kind)
            size = builder.fpext(self.call("fabs", x), wide.kind)
            f, n = self.log_parts(self.call("fabs", x))
            log = wide.short_log2(builder.fpext(f, wide.kind), builder.fpext(n, wide.kind))
            base, exponent = builder.fpext(x, wide.kind), builder.fpext(y, wide.kind)
            result = wide.short_exp2(builder.fmul(exponent, log))
            return builder.fptrunc(wide.with_special_powers(base, size, exponent, result), self.kind)
        size = self.call("fabs", x)
        return self.with_special_powers(x, size, y, self._long_power(size, y))

    def short_log2(self, f: Any, n: Any) -> Any:
        """``n + log2(1 + f)`` to 40 bits."""
        builder, number = self.builder, self.number
        s = builder.fdiv(f, builder.fadd(f, number(2.0)))
        series = [2 / (power * math.log(2)) for power in range(13, 0, -2)]
        return self.call("fma", s, self.polynomial(builder.fmul(s, s), series), n)

    def short_exp2(self, x: Any) -> Any:
        """2 to the power x to 30 bits, for what float32 can hold; 0 or beyond float32 elsewhere."""
        builder, number = self.builder, self.number
        x = self._clipped(x, -200.0, 200.0)
        shifted = builder.fadd(x, number(TO_INTEGER))
        r = builder.fsub(x, builder.fsub(shifted, number(TO_INTEGER)))
        p = self.polynomial(r, [math.log(2) ** power / math.factorial(power) for power in range(8, -1, -1)])
        exponent = builder.shl(builder.bitcast(shifted, self.integer), self.integer(52))
        return builder.bitcast(builder.add(builder.bitcast(p, self.integer), exponent), self.kind)

    def _long_power(self, size: Any, y: Any) -> Any:
        """As in Sun's pow: the logarithm by ``s = f / (2 + f)``, in sums of two numbers where it matters."""
        builder, number, call = self.builder, self.number, self.call
        f, n = self.log_parts(size)
        below = builder.fadd(f, number(2.0))
        below_low = builder.fsub(f, builder.fsub(below, number(2.0)))
        s = builder.fdiv(f, below)
        rest = call("fma", builder.fneg(s), below_low, call("fma", builder.fneg(s), below, f))
        s_low = builder.fdiv(rest, below)
        # 2 + (2/3) z + (2/5) z**2 + ..., for z = s**2
        z, z_low = self._product(s, s)
        z_low = call("fma", builder.fadd(s, s), s_low, z_low)
        third, third_low = 2 / 3, 3.700743415417188e-17
        w, w_low = self._product(z, number(third))
        w_low = builder.fadd(w_low, call("fma", z, number(third_low), builder.fmul(z_low, number(third))))
        series = self.polynomial(z, [2 / power for power in range(21, 4, -2)])
        w_low = call("fma", builder.fmul(z, z), series, w_low)
        t = builder.fadd(w, number(2.0))
        t_low = builder.fadd(builder.fsub(w, builder.fsub(t, number(2.0))), w_low)
        log, log_low = self._product(s, t)
        log_low = builder.fadd(log_low, call("fma", s, t_low, builder.fmul(s_low, t)))
        m, m_low = self._product(log, number(_LOG2_OF_E[0]))
        m_low = builder.fadd(
            m_low, call("fma", log, number(_LOG2_OF_E[1]), builder.fmul(log_low, number(_LOG2_OF_E[0])))
        )
        total = builder.fadd(n, m)
        total_low = builder.fadd(builder.fsub(m, builder.fsub(total, n)), m_low)
        p, p_low = self._product(y, total)
        p_low = call("fma", y, total_low, p_low)
        inside = builder.fcmp_ordered("<", call("fabs", p), number(1100.0))
        p_low = builder.select(inside, p_low, number(0.0))
        p = self._clipped(p, -1080.0, 1030.0)
        whole = call("rint", p)
        r = builder.fsub(p, whole)
        e, e_low = self._product(r, number(math.log(2)))
        e_low = builder.fadd(e_low, call("fma", r, number(_LN2_LOW), builder.fmul(p_low, number(math.log(2)))))
        return self._times_power(self._exp_series(builder.fadd(e, e_low)), builder.fadd(whole, number(TO_INTEGER)))

    def _product(self, x: Any, y: Any) -> tuple[Any, Any]:
        """A product, and what its rounding has lost."""
        product = self.builder.fmul(x, y)
        return product, self.call("fma", x, y, self.builder.fneg(product))

    def with_special_powers(self, base: Any, size: Any, exponent: Any, result: Any) -> Any:
        """The result, with its sign, and with zeros, infinities and NaN handled."""
        builder, number, call = self.builder, self.number, self.call
        zero, infinite = number(0.0), number(math.inf)
        is_empty = builder.fcmp_ordered("==", size, zero)
        at_end = builder.or_(is_empty, builder.fcmp_ordered("==", size, infinite))
        falls = builder.xor(is_empty, builder.fcmp_ordered("<", exponent, zero))
        result = builder.select(at_end, builder.select(falls, zero, infinite), result)
        endless = builder.fcmp_ordered("==", call("fabs", exponent), infinite)
        falls = builder.xor(builder.fcmp_ordered("<", size, number(1.0)), builder.fcmp_ordered("<", exponent, zero))
        result = builder.select(endless, builder.select(falls, zero, infinite), result)
        is_whole = builder.fcmp_ordered("==", call("rint", exponent), exponent)
        half = builder.fmul(exponent, number(0.5))
        is_odd = builder.and_(is_whole, builder.fcmp_unordered("!=", call("rint", half), half))
        is_minus = builder.icmp_signed("<", builder.bitcast(base, self.integer), self.integer(0))
        result = builder.select(builder.and_(is_minus, is_odd), builder.fneg(result), result)
        has_none = builder.and_(builder.fcmp_ordered("<", base, zero), builder.fcmp_ordered("<", size, infinite))
        result = builder.select(builder.and_(has_none, builder.not_(is_whole)), number(math.nan), result)
        unordered = builder.fcmp_unordered("uno", base, exponent)
        result = builder.select(unordered, number(math.nan), result)
        one = builder.and_(builder.fcmp_ordered("==", size, number(1.0)), endless)
        one = builder.or_(one, builder.fcmp_ordered("==", base, number(1.0)))
        one = builder.or_(one, builder.fcmp_ordered("==", exponent, zero))
        return builder.select(one, number(1.0), result)


fmod = intrinsic_of(
    "fmod",
    "The remainder of x / y cut to an integer, with the sign of x, where `is_exact` holds.",
    np.fmod,
    _Quotients,
    True,
)
remainder = intrinsic_of(
    "remainder", "The remainder of x / y with the sign of y, where `is_exact` holds.", np.remainder, _Quotients, True
)
floor_divide = intrinsic_of(
    "floor_divide", "The floor of x / y, where `is_exact` holds.", np.floor_divide, _Quotients, True
)
hypot = intrinsic_of(
    "hypot", "The length of (x, y), without overflow, to about one unit in the last place.", np.hypot, _Quotients, True
)
power = intrinsic_of("power", "x to the power y, to less than one unit in the last place.", np.power, _Quotients, True)


@device
def is_exact(x, y):
    """Whether `fmod` and the others are right: an integer quotient has all its digits, and y is neither 0 nor infinite."""
    return (abs(x / y) < type(x)(_MOST)) & (abs(y) < type(x)(np.inf))
