"""Sine, cosine, tangent and their inverses, which vectorise; float32 is computed in float64, and so rounded once.

`sin` and `cos` are right where `is_near` holds, and `tan` where `is_small` does: beyond, taking off the multiples of pi/2 needs
more digits of pi than three numbers have, and a loop of its own. The inverses are right everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.kernels.vector_math import Floats, intrinsic_of
from numgrad.runtime.kernel import device

LARGEST = 2.0**28
LARGEST_SINGLE = 2.0**13  # in arithmetic of float32

# pi/2 and pi/4 as sums of numbers: n times the first part leaves a rest that is exact, see `Turns._reduced`.
_HALF_PI = 1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33
_HALF_PI_SINGLE = 1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15
_QUARTER_PI = 0.7853981633974483, 3.061616997868383e-17
_TURNED = math.tan(math.pi / 8)

# (atan(t) / t - 1) / t**2 for abs(t) <= tan(pi / 8), and (asin(t) / t - 1) / t**2 for abs(t) <= 1/2, in powers of t**2, from the
# highest down, for float32 and float64: as in `vector_math`, with relative errors below 2**-30 and 2**-59.
_ATAN = (
    [-0.06065839520364922, 0.1058848440550741, -0.14242732967307536, 0.19998423128638385, -0.33333314239851797],
    [-0.01786905652285145, 0.0380279970012062, -0.050377899637251304, 0.05847534238145304, -0.06663052289364611,
     0.07692055359523009, -0.09090897464727138, 0.11111110772424995, -0.14285714279954434, 0.19999999999950893,
     -0.33333333333333187],
)  # fmt: skip
_ASIN = (
    [0.037441026606535234, 0.014491950322236097, 0.03179392556186092, 0.044518523002895154, 0.0750049693199377,
     0.16666660079159082],
    [0.03252136677247292, -0.020827071058743086, 0.02158573066400365, 0.0037564183846150244, 0.010767050420922818,
     0.011401252713134224, 0.013980537778747016, 0.017351635152949317, 0.022372213738795926, 0.030381942749934335,
     0.04464285717380503, 0.07499999999971521, 0.16666666666666757],
)  # fmt: skip


def _reach(single: bool) -> float:
    return LARGEST_SINGLE if single else LARGEST


class Turns(Floats):
    """Sine and cosine in the arithmetic of x itself, with the rounding of what is left of x beside quarter turns."""

    rounds = False  # whether float32 is what is wanted of float64's arithmetic

    def _reduced(self, x: Any) -> tuple[Any, Any, Any]:
        """``(n, high, low)``: x is n pi/2 + high + low, with abs(high) <= pi/4 or hardly more, and n as an integer's last bits.

        n times the first part of pi/2 is a multiple of its last digit, as x is unless it is small, and so is the rest, which is at
        most 1 and therefore exact. The second part is taken off with the error of that (two-sum).
        """
        builder, number, call = self.builder, self.number, self.call
        first, second, third = _HALF_PI_SINGLE if self.single else _HALF_PI
        shifted = call("fma", x, number(2 / math.pi), number(self.shift))
        n = builder.fsub(shifted, number(self.shift))
        back = builder.fneg(n)
        rest = call("fma", back, number(first), x)
        bits = builder.bitcast(shifted, self.integer)
        if self.rounds:
            return bits, call("fma", back, number(second), rest), None
        off = builder.fmul(back, number(second))
        lost = call("fma", back, number(second), builder.fneg(off))
        high = builder.fadd(rest, off)
        part = builder.fsub(high, rest)
        error = builder.fadd(builder.fsub(rest, builder.fsub(high, part)), builder.fsub(off, part))
        return bits, high, call("fma", back, number(third), builder.fadd(error, lost))

    def _sine(self, high: Any, low: Any, square: Any) -> Any:
        """Taylor's series of sin(high + low)."""
        builder, number = self.builder, self.number
        terms = range(9 if self.rounds or self.single else 17, 1, -2)
        series = self.polynomial(square, [(-1) ** (power // 2) / math.factorial(power) for power in terms])
        rest = builder.fmul(builder.fmul(high, square), series)
        if low is not None:
            rest = self.call("fma", low, self.call("fma", square, number(-0.5), number(1.0)), rest)
        return builder.fadd(high, rest)

    def _cosine(self, high: Any, low: Any, square: Any) -> Any:
        """Taylor's series of cos(high + low), with the rounding of its first two terms."""
        builder, number = self.builder, self.number
        terms = range(10 if self.rounds or self.single else 16, 3, -2)
        series = self.polynomial(square, [(-1) ** (power // 2) / math.factorial(power) for power in terms])
        rest = builder.fmul(builder.fmul(square, square), series)
        half = builder.fmul(square, number(0.5))
        first = builder.fsub(number(1.0), half)
        if low is not None:
            lost = builder.fsub(builder.fsub(number(1.0), first), half)
            rest = builder.fadd(lost, self.call("fma", builder.fneg(high), low, rest))
        return builder.fadd(first, rest)

    def _both(self, x: Any) -> tuple[Any, Any, Any]:
        """The bits of the number of quarter turns, and the sine and cosine of what is left."""
        bits, high, low = self._reduced(x)
        square = self.builder.fmul(high, high)
        return bits, self._sine(high, low, square), self._cosine(high, low, square)

    def _turned(self, bits: Any, even: Any, odd: Any) -> Any:
        """``even`` after an even number of quarter turns, else ``odd``, with the sign of a sine after so many."""
        builder, integer = self.builder, self.integer
        is_odd = builder.icmp_unsigned("!=", builder.and_(bits, integer(1)), integer(0))
        value = builder.bitcast(builder.select(is_odd, odd, even), integer)
        sign = builder.shl(builder.and_(bits, integer(2)), integer(self.integer.width - 2))
        return builder.bitcast(builder.xor(value, sign), self.kind)

    def sin(self, x: Any) -> Any:
        """A polynomial of what is left of x beside quarter turns."""
        is_zero = self.builder.fcmp_ordered("==", x, self.number(0.0))  # the sums lose its sign
        return self.builder.select(is_zero, x, self._turned(*self._both(x)))

    def cos(self, x: Any) -> Any:
        """As `sin`, a quarter turn ahead."""
        bits, sine, cosine = self._both(x)
        return self._turned(self.builder.add(bits, self.integer(1)), sine, cosine)

    def reach(self, x: Any) -> Any:
        return self.number(_reach(self.single))


class Angles(Turns):
    """Computes in float64; ``rounds`` says that float32 is what is wanted, for which shorter series do."""

    def __init__(self, builder: Any, kind: Any) -> None:
        from llvmlite import ir

        super().__init__(builder, ir.DoubleType())
        self.narrow, self.rounds = kind, isinstance(kind, ir.FloatType)
        self.which = 0 if self.rounds else 1
        if self.rounds:
            self.exp_row = 2

    def _in(self, x: Any) -> Any:
        return self.builder.fpext(x, self.kind) if self.rounds else x

    def _out(self, x: Any) -> Any:
        return self.builder.fptrunc(x, self.narrow) if self.rounds else x

    def short_sin(self, x: Any) -> Any:
        """The series alone."""
        wide = self._in(x)
        return self._out(self._sine(wide, None, self.builder.fmul(wide, wide)))

    def tan(self, x: Any) -> Any:
        """The sine by the cosine of what is left; after a quarter turn minus the cosine by the sine."""
        builder, integer = self.builder, self.integer
        wide = self._in(x)
        bits, sine, cosine = self._both(wide)
        is_odd = builder.icmp_unsigned("!=", builder.and_(bits, integer(1)), integer(0))
        ratio = builder.fdiv(builder.select(is_odd, builder.fneg(cosine), sine), builder.select(is_odd, sine, cosine))
        is_zero = builder.fcmp_ordered("==", wide, self.number(0.0))
        return self._out(builder.select(is_zero, wide, ratio))

    # ---- their inverses -----------------------------------------------------------------------------------------

    def atan2(self, y: Any, x: Any) -> Any:
        """The angle of the point (x, y), from eighths of turns and the series of atan(t), abs(t) <= tan(pi / 8).

        With the shorter side over the longer one, r, it is atan(r), or pi/4 + atan((r - 1) / (r + 1)); then mirrored.
        """
        builder, number, call = self.builder, self.number, self.call
        wide_x, wide_y = self._in(x), self._in(y)
        across, up = call("fabs", wide_x), call("fabs", wide_y)
        if not self.rounds:  # smaller, lest their sum be infinite; larger, lest it be subnormal
            is_large = builder.fcmp_ordered(
                ">", builder.select(builder.fcmp_ordered(">", up, across), up, across), number(1.0)
            )
            scale = builder.select(is_large, number(0.25), number(2.0**54))
            across, up = builder.fmul(across, scale), builder.fmul(up, scale)
        steep = builder.fcmp_ordered(">", up, across)
        short, long = builder.select(steep, across, up), builder.select(steep, up, across)
        diagonal = builder.or_(
            builder.fcmp_ordered(">", short, builder.fmul(long, number(_TURNED))),
            builder.fcmp_ordered("==", short, number(math.inf)),
        )
        equal = builder.fcmp_ordered("==", short, long)  # also two zeros, and two infinities
        difference = builder.select(equal, number(0.0), builder.fsub(short, long))
        over = builder.select(diagonal, difference, short)
        under = builder.select(diagonal, builder.fadd(short, long), long)
        under = builder.select(builder.fcmp_ordered("==", under, number(0.0)), number(1.0), under)
        t = builder.fdiv(over, under)
        eighths = builder.select(diagonal, number(1.0), number(0.0))
        eighths, t = self._mirrored(steep, 2.0, eighths, t)
        behind = builder.icmp_signed("<", builder.bitcast(wide_x, self.integer), self.integer(0))
        eighths, t = self._mirrored(behind, 4.0, eighths, t)
        square = builder.fmul(t, t)
        rest = builder.fmul(builder.fmul(t, square), self.polynomial(square, _ATAN[self.which]))
        first = call("fma", eighths, number(_QUARTER_PI[0]), t)
        if not self.rounds:
            rest = call("fma", eighths, number(_QUARTER_PI[1]), rest)
            lost = builder.fsub(t, builder.fsub(first, builder.fmul(eighths, number(_QUARTER_PI[0]))))
            rest = builder.fadd(lost, rest)  # with the rounding of the first sum
        size = builder.fadd(first, rest)
        result = call("copysign", size, wide_y)
        unordered = builder.fcmp_unordered("uno", wide_x, wide_y)
        return self._out(builder.select(unordered, builder.fadd(wide_x, wide_y), result))

    def _mirrored(self, condition: Any, whole: float, eighths: Any, t: Any) -> tuple[Any, Any]:
        """``whole`` eighths of a half turn minus the angle, where the condition holds."""
        builder = self.builder
        turned = builder.fsub(self.number(whole), eighths)
        return builder.select(condition, turned, eighths), builder.select(condition, builder.fneg(t), t)

    def atan(self, x: Any) -> Any:
        """The angle of (1, x)."""
        return self.atan2(x, self.narrow(1.0))

    def _arc(self, x: Any) -> tuple[Any, Any, Any, Any]:
        """``(far, t, rest, x)``: asin(t) is t + rest, with x as t, or from abs(x) > 1/2 on the root of (1 - abs(x)) / 2."""
        builder, number = self.builder, self.number
        wide = self._in(x)
        size = self.call("fabs", wide)
        far = builder.fcmp_ordered(">", size, number(0.5))
        half = builder.fmul(builder.fsub(number(1.0), size), number(0.5))
        square = builder.select(far, half, builder.fmul(wide, wide))
        t = builder.select(far, self.call("sqrt", half), wide)
        return far, t, builder.fmul(builder.fmul(t, square), self.polynomial(square, _ASIN[self.which])), wide

    def asin(self, x: Any) -> Any:
        """The series up to 1/2; beyond, pi/2 - 2 asin(sqrt((1 - x) / 2)) with the sign of x."""
        builder, number = self.builder, self.number
        far, t, rest, wide = self._arc(x)
        # pi/4 - t is exact to half a unit, and so is twice the sum.
        near = builder.fadd(t, rest)
        beyond = builder.fsub(number(_HALF_PI[0]), builder.fsub(builder.fadd(near, near), number(_HALF_PI[1])))
        beyond = self.call("copysign", beyond, wide)
        return self._out(builder.select(far, beyond, near))

    def acos(self, x: Any) -> Any:
        """pi/2 - asin(x) up to 1/2; beyond, 2 asin(sqrt((1 - abs(x)) / 2)), or pi minus it for x < 0."""
        builder, number = self.builder, self.number
        far, t, rest, wide = self._arc(x)
        near = builder.fsub(number(_HALF_PI[0]), builder.fsub(t, builder.fsub(number(_HALF_PI[1]), rest)))
        twice = builder.fadd(t, rest)
        twice = builder.fadd(twice, twice)
        below = builder.fsub(number(2 * _HALF_PI[0]), builder.fsub(twice, number(2 * _HALF_PI[1])))
        beyond = builder.select(builder.fcmp_ordered("<", wide, number(0.0)), below, twice)
        return self._out(builder.select(far, beyond, near))


short_sin = intrinsic_of(
    "short_sin", "The sine of x for abs(x) <= pi / 4, to less than one unit in the last place.", math.sin, Angles
)
sin = intrinsic_of("sin", "The sine of x where `is_near`, to less than one unit in the last place.", emitter=Turns)
cos = intrinsic_of("cos", "The cosine of x where `is_near`, to less than one unit in the last place.", emitter=Turns)
reach = intrinsic_of(
    "reach", "Up to where `sin` and `cos` are right.", lambda x: _reach(isinstance(x, np.float32)), Turns
)
tan = intrinsic_of(
    "tan", "The tangent of x for abs(x) <= LARGEST, to about two units in the last place.", emitter=Angles
)
atan = intrinsic_of("atan", "The angle whose tangent is x, to about one unit in the last place.", emitter=Angles)
asin = intrinsic_of("asin", "The angle whose sine is x, to about one unit in the last place.", np.arcsin, Angles)
acos = intrinsic_of("acos", "The angle whose cosine is x, to about one unit in the last place.", np.arccos, Angles)
atan2 = intrinsic_of("atan2", "The angle of (x, y), to about one unit in the last place.", np.arctan2, Angles, True)


@device
def is_small(x):
    """Whether `tan`, and what else takes off turns in float64, is right for x; NaN is."""
    return not abs(x) > type(x)(LARGEST)


@device
def is_near(x):
    """Whether `sin` and `cos` are right for x; NaN is."""
    return not abs(x) > reach(x)
