"""Sine, cosine, tangent and their inverses, which vectorise. Of float32 `atan2` alone is computed in float64, and so rounded once.

`sin`, `cos` and `tan` are right where `is_near` holds: beyond, taking off the multiples of pi/2 needs more digits of pi than three
numbers have, and a loop of its own. The inverses are right everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.kernels.vector_math import Floats, intrinsic_of
from numgrad.runtime.kernel import device

LARGEST = 2.0**28
LARGEST_SINGLE = 2.0**13  # in arithmetic of float32

# pi/2 and pi/4 as sums of numbers.
_HALF_PI = 1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33
_HALF_PI_SINGLE = 1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15
_QUARTER_PI = 0.7853981633974483, 3.061616997868383e-17
_TURNED = math.tan(math.pi / 8)

# (atan(t) / t - 1) / t**2 for abs(t) <= tan(pi / 8), and (asin(t) / t - 1) / t**2 for abs(t) <= 1/2, in powers of t**2, from the
# highest down, for float32 and float64: as in `vector_series`, with relative errors below 2**-30 and 2**-59.
_ATAN = (
    [-0.06065839520364922, 0.1058848440550741, -0.14242732967307536, 0.19998423128638385, -0.33333314239851797],
    [-0.01786905652285145, 0.0380279970012062, -0.050377899637251304, 0.05847534238145304, -0.06663052289364611,
     0.07692055359523009, -0.09090897464727138, 0.11111110772424995, -0.14285714279954434, 0.19999999999950893,
     -0.33333333333333187],
)  # fmt: skip
_SIN = (  # ((sin(r) / r - 1) / r**2 + c) / r**2 for abs(r) <= pi / 2, with 1/6 in the dtype as c
    [-2.503166224752131e-08, 2.760036361184073e-06, -0.00019842610726584454, 0.008333347784534473],
    [2.7214088573175266e-15, -7.643018898486522e-13, 1.6058941006015223e-10, -2.5052106904945922e-08, 2.755731921157998e-06,
     -0.00019841269841212563, 0.008333333333333207],
)  # fmt: skip
_TAN = (  # (tan(r) / r - 1) / r**2 for abs(r) <= pi / 4
    [0.004371265599046982, 0.00010094989598934489, 0.010825904598899245, 0.021286279180962493, 0.05405910622372268,
     0.133326699507421, 0.3333334963074726],
    [2.085892009901227e-05, -4.484792161029044e-05, 8.937905014393218e-05, -2.6283825585986787e-05, 0.00013643659222718245,
     0.00022243099598839768, 0.0005950446981045248, 0.001454763334263975, 0.0035922881104071217, 0.008863219277874706,
     0.02186948960090617, 0.05396825392697332, 0.133333333334142, 0.33333333333332776],
)  # fmt: skip
_ATAN_SINGLE = (  # for abs(t) <= 1, to 2**-28
    -0.0017448575743284893, 0.010694263083234661, -0.03076297981027081, 0.05753647151784792, -0.08378559850416017,
    0.10943566087275305, -0.1426257646291735, 0.19998390513910072, -0.3333329383818146,
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
    """Functions of angles in the arithmetic of x itself, with the rounding of what is left of x beside quarter turns."""

    rounds = False  # whether float32 is what is wanted of float64's arithmetic

    @property
    def half_pi(self) -> tuple[float, float, float]:
        """Half of pi as a sum of numbers."""
        return _HALF_PI_SINGLE if self.single else _HALF_PI

    # ---- sine, cosine and tangent -------------------------------------------------------------------------------

    def _rest(self, x: Any, n: Any, parts: tuple[float, ...]) -> tuple[Any, Any]:
        """``(high, low)``: x less n times a part of a turn, which is the sum of three numbers; n is an integer or half of one.

        n times the first of them is a multiple of its last digit, as x is unless it is small, and so is the rest, which is at
        most 2 and therefore exact. The second one is taken off with the error of that (two-sum).
        """
        builder, call = self.builder, self.call
        first, second, third = map(self.number, parts)
        back = builder.fneg(n)
        rest = call("fma", back, first, x)
        if self.rounds:
            return call("fma", back, second, rest), None
        off = builder.fmul(back, second)
        lost = call("fma", back, second, builder.fneg(off))
        high = builder.fadd(rest, off)
        part = builder.fsub(high, rest)
        error = builder.fadd(builder.fsub(rest, builder.fsub(high, part)), builder.fsub(off, part))
        return high, call("fma", back, third, builder.fadd(error, lost))

    def _quarter_turns(self, x: Any) -> tuple[Any, Any, Any]:
        """``(n, high, low)``: x is n pi/2 + high + low, with abs(high) <= pi/4 or hardly more, and n as an integer's last bits."""
        shifted = self.call("fma", x, self.number(2 / math.pi), self.number(self.shift))
        n = self.builder.fsub(shifted, self.number(self.shift))
        return self.builder.bitcast(shifted, self.integer), *self._rest(x, n, self.half_pi)

    def _after_half_turns(self, x: Any, shifted: Any, n: Any) -> Any:
        """sin(x - n pi), for at most pi/2 or hardly more, with the sign after so many half turns as the last bits tell."""
        builder, number, call = self.builder, self.number, self.call
        high, low = self._rest(x, n, tuple(2 * part for part in self.half_pi))
        square = builder.fmul(high, high)
        cosine = call("fma", call("fma", square, number(1 / 24), number(-0.5)), square, number(1.0))
        cube, curve = builder.fmul(high, square), self.polynomial(square, _SIN[self.precision])
        rest = call("fma", builder.fmul(cube, square), curve, builder.fmul(low, cosine))
        sine = builder.fadd(high, call("fma", cube, number(-1 / 6), rest))
        sign = builder.shl(builder.bitcast(shifted, self.integer), self.integer(self.integer.width - 1))
        return builder.bitcast(builder.xor(builder.bitcast(sine, self.integer), sign), self.kind)

    def sin(self, x: Any) -> Any:
        """A polynomial of what is left of x beside half turns."""
        builder, number = self.builder, self.number
        shifted = self.call("fma", x, number(1 / math.pi), number(self.shift))
        sine = self._after_half_turns(x, shifted, builder.fsub(shifted, number(self.shift)))
        return builder.select(builder.fcmp_ordered("==", x, number(0.0)), x, sine)  # the sums lose its sign

    def cos(self, x: Any) -> Any:
        """As `sin`, a quarter turn later, and so the other sign."""
        builder, number = self.builder, self.number
        shifted = builder.fadd(self.call("fma", x, number(1 / math.pi), number(-0.5)), number(self.shift))
        n = builder.fadd(builder.fsub(shifted, number(self.shift)), number(0.5))
        return builder.fneg(self._after_half_turns(x, shifted, n))

    def tan(self, x: Any) -> Any:
        """A polynomial of what is left of x beside quarter turns; after an odd number of them minus 1 by it."""
        builder, number, call = self.builder, self.number, self.call
        bits, high, low = self._quarter_turns(x)
        square = builder.fmul(high, high)
        cube, curve = builder.fmul(high, square), self.polynomial(square, _TAN[self.precision])
        near = call("fma", cube, curve, high)
        slope = call("fma", near, near, number(1.0))
        tangent = builder.fadd(high, call("fma", cube, curve, builder.fmul(low, slope)))
        is_odd = builder.icmp_unsigned("!=", builder.and_(bits, self.integer(1)), self.integer(0))
        ratio = builder.select(is_odd, builder.fdiv(number(-1.0), tangent), tangent)
        return builder.select(builder.fcmp_ordered("==", x, number(0.0)), x, ratio)

    # ---- their inverses -----------------------------------------------------------------------------------------

    def atan(self, x: Any) -> Any:
        """Of float64 the angle of (1, x); of float32 the series of abs(x), or pi/2 minus that of 1 / abs(x)."""
        if not self.single:
            return Angles(self.builder, self.kind).atan2(x, self.number(1.0))
        builder, number = self.builder, self.number
        size, one = self.call("fabs", x), number(1.0)
        far = builder.fcmp_ordered(">", size, one)
        t = builder.fdiv(builder.select(far, one, size), builder.select(far, size, one))
        square = builder.fmul(t, t)
        rest = builder.fmul(builder.fmul(t, square), self.polynomial(square, list(_ATAN_SINGLE)))
        high, low, _ = self.half_pi
        first = builder.fsub(number(high), t)
        lost = builder.fsub(builder.fsub(number(high), first), t)
        beyond = builder.fadd(first, builder.fsub(lost, builder.fsub(rest, number(low))))
        return self.call("copysign", builder.select(far, beyond, builder.fadd(t, rest)), x)

    def _arc(self, x: Any) -> tuple[Any, Any, Any]:
        """``(far, t, rest)``: asin(t) is t + rest, with x as t, or from abs(x) > 1/2 on the root of (1 - abs(x)) / 2."""
        builder, number = self.builder, self.number
        size = self.call("fabs", x)
        far = builder.fcmp_ordered(">", size, number(0.5))
        half = builder.fmul(builder.fsub(number(1.0), size), number(0.5))
        square = builder.select(far, half, builder.fmul(x, x))
        t = builder.select(far, self.call("sqrt", half), x)
        return far, t, builder.fmul(builder.fmul(t, square), self.polynomial(square, _ASIN[self.precision]))

    def asin(self, x: Any) -> Any:
        """The series up to 1/2; beyond, pi/2 - 2 asin(sqrt((1 - x) / 2)) with the sign of x."""
        builder, number = self.builder, self.number
        far, t, rest = self._arc(x)
        high, low, _ = self.half_pi
        first = builder.fsub(number(high), builder.fadd(t, t))  # exact from about 0.7 down
        beyond = builder.fsub(first, self.call("fma", rest, number(2.0), number(-low)))
        return builder.select(far, self.call("copysign", beyond, x), builder.fadd(t, rest))

    def acos(self, x: Any) -> Any:
        """pi/2 - asin(x) up to 1/2; beyond, 2 asin(sqrt((1 - abs(x)) / 2)), or pi minus it for x < 0."""
        builder, number = self.builder, self.number
        far, t, rest = self._arc(x)
        high, low, _ = self.half_pi
        near = builder.fsub(number(high), builder.fsub(t, builder.fsub(number(low), rest)))
        twice = builder.fadd(t, rest)
        twice = builder.fadd(twice, twice)
        below = builder.fsub(number(2 * high), builder.fsub(twice, number(2 * low)))
        beyond = builder.select(builder.fcmp_ordered("<", x, number(0.0)), below, twice)
        return builder.select(far, beyond, near)

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

    def _sine(self, high: Any, low: Any, square: Any) -> Any:
        """Taylor's series of sin(high + low)."""
        builder, number = self.builder, self.number
        terms = range(9 if self.rounds else 17, 1, -2)
        series = self.polynomial(square, [(-1) ** (power // 2) / math.factorial(power) for power in terms])
        rest = builder.fmul(builder.fmul(high, square), series)
        if low is not None:
            rest = self.call("fma", low, self.call("fma", square, number(-0.5), number(1.0)), rest)
        return builder.fadd(high, rest)

    def _cosine(self, high: Any, low: Any, square: Any) -> Any:
        """Taylor's series of cos(high + low), with the rounding of its first two terms."""
        builder, number = self.builder, self.number
        terms = range(10 if self.rounds else 16, 3, -2)
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
        bits, high, low = self._quarter_turns(x)
        square = self.builder.fmul(high, high)
        return bits, self._sine(high, low, square), self._cosine(high, low, square)

    def _turned(self, bits: Any, even: Any, odd: Any) -> Any:
        """``even`` after an even number of quarter turns, else ``odd``, with the sign of a sine after so many."""
        builder, integer = self.builder, self.integer
        is_odd = builder.icmp_unsigned("!=", builder.and_(bits, integer(1)), integer(0))
        value = builder.bitcast(builder.select(is_odd, odd, even), integer)
        sign = builder.shl(builder.and_(bits, integer(2)), integer(62))
        return builder.bitcast(builder.xor(value, sign), self.kind)

    def short_sin(self, x: Any) -> Any:
        """The series alone."""
        wide = self._in(x)
        return self._out(self._sine(wide, None, self.builder.fmul(wide, wide)))

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


short_sin = intrinsic_of(
    "short_sin", "The sine of x for abs(x) <= pi / 4, to less than one unit in the last place.", math.sin, Angles
)
sin = intrinsic_of("sin", "The sine of x where `is_near`, to less than two units in the last place.", emitter=Turns)
cos = intrinsic_of("cos", "The cosine of x where `is_near`, to less than two units in the last place.", emitter=Turns)
reach = intrinsic_of(
    "reach", "Up to where `sin`, `cos` and `tan` are right.", lambda x: _reach(isinstance(x, np.float32)), Turns
)
tan = intrinsic_of("tan", "The tangent of x where `is_near`, to about two units in the last place.", emitter=Turns)
atan = intrinsic_of("atan", "The angle whose tangent is x, to less than two units in the last place.", emitter=Turns)
asin = intrinsic_of("asin", "The angle whose sine is x, to less than two units in the last place.", np.arcsin, Turns)
acos = intrinsic_of("acos", "The angle whose cosine is x, to about one unit in the last place.", np.arccos, Turns)
atan2 = intrinsic_of("atan2", "The angle of (x, y), to about one unit in the last place.", np.arctan2, Angles, True)


@device
def is_small(x):
    """Whether a function that takes off turns in float64 is right for x; NaN is."""
    return not abs(x) > type(x)(LARGEST)


@device
def is_near(x):
    """Whether `sin`, `cos` and `tan` are right for x; NaN is."""
    return not abs(x) > reach(x)
