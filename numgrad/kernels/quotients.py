"""Remainders, quotients, lengths and powers, which vectorise.

`fmod`, `remainder` and `floor_divide` give the bits of Python's where `is_exact` holds: there the quotient cut to an integer is
right, or too large by one, and what a fused multiply-add leaves of the dividend is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.kernels.vector_math import Floats
from numgrad.runtime.kernel import device, intrinsic

_MOST = 2.0**24  # has all its digits in float32


def _of_two(name: str, doc: str, reference: Callable[..., Any]) -> Any:
    """The intrinsic of two numbers that emits the method ``name`` of `_Quotients`."""

    def function(typing_context, x, y):
        def emit(context, builder, signature, args):
            return getattr(_Quotients(builder, args[0].type), name)(*args)

        return x(x, x), emit

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    intrinsic_function = intrinsic(function)
    intrinsic_function.reference = reference
    return intrinsic_function


class _Quotients(Floats):
    def fmod(self, x: Any, y: Any) -> Any:
        """What is left of x by the quotient cut to an integer, with the sign of x."""
        builder, call = self.builder, self.call
        quotient = call("trunc", builder.fdiv(x, y))
        rest = call("fma", builder.fneg(quotient), y, x)
        # A quotient that was rounded up to an integer has taken one too many.
        has_other_sign = builder.fcmp_ordered("<", builder.fmul(rest, call("copysign", self.number(1.0), x)), self.number(0.0))
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
            wide = self._wide()
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

    def _wide(self) -> Floats:
        from llvmlite import ir

        return Floats(self.builder, ir.DoubleType())

    def power(self, x: Any, y: Any) -> Any:
        """Of float32, in float64: 2 to the power y log2(abs(x)), with the sign of an odd power; the special cases are IEEE's.

        Of float64 it is the C library's.
        """
        if not self.single:
            return self.call("pow", x, y)
        builder, wide = self.builder, self._wide()
        number, call = wide.number, wide.call
        base, exponent = builder.fpext(x, wide.kind), builder.fpext(y, wide.kind)
        size = call("fabs", base)
        result = wide.exp2(builder.fmul(exponent, wide.log2(size)))
        is_whole = builder.fcmp_ordered("==", call("rint", exponent), exponent)
        half = builder.fmul(exponent, number(0.5))
        is_odd = builder.and_(is_whole, builder.fcmp_unordered("!=", call("rint", half), half))
        is_minus = builder.icmp_signed("<", builder.bitcast(base, wide.integer), wide.integer(0))
        result = builder.select(builder.and_(is_minus, is_odd), builder.fneg(result), result)
        has_none = builder.and_(
            builder.fcmp_ordered("<", base, number(0.0)), builder.fcmp_ordered("<", size, number(math.inf))
        )
        result = builder.select(builder.and_(has_none, builder.not_(is_whole)), number(math.nan), result)
        endless = builder.fcmp_ordered("==", call("fabs", exponent), number(math.inf))
        one = builder.and_(builder.fcmp_ordered("==", size, number(1.0)), endless)
        one = builder.or_(one, builder.fcmp_ordered("==", base, number(1.0)))
        one = builder.or_(one, builder.fcmp_ordered("==", exponent, number(0.0)))
        return builder.fptrunc(builder.select(one, number(1.0), result), self.kind)


fmod = _of_two("fmod", "The remainder of x / y cut to an integer, with the sign of x, where `is_exact` holds.", np.fmod)
remainder = _of_two("remainder", "The remainder of x / y with the sign of y, where `is_exact` holds.", np.remainder)
floor_divide = _of_two("floor_divide", "The floor of x / y, where `is_exact` holds.", np.floor_divide)
hypot = _of_two("hypot", "The length of (x, y), without overflow, to about one unit in the last place.", np.hypot)
power = _of_two("power", "x to the power y, to less than one unit in the last place.", np.power)


@device
def is_exact(x, y):
    """Whether `fmod` and the others are right: an integer quotient has all its digits, and y is neither 0 nor infinite."""
    return (abs(x / y) < type(x)(_MOST)) & (abs(y) < type(x)(np.inf))
