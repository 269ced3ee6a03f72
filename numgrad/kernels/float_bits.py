"""The neighbour and the exponent of a number, by its bits; both vectorise."""

from __future__ import annotations

import numpy as np

from numgrad.kernels.vector_math import Floats
from numgrad.runtime.kernel import intrinsic


@intrinsic
def nextafter(typing_context, x, y):
    """The neighbour of x in the direction of y; y itself where they are equal. The numbers of one sign are as their bits."""

    def emit(context, builder, signature, args):
        first, second = args
        floats = Floats(builder, first.type)
        number, integer = floats.number, floats.integer
        bits = builder.bitcast(first, integer)
        away = builder.icmp_signed(
            "==", builder.fcmp_ordered("<", first, second), builder.fcmp_ordered(">", first, number(0.0))
        )
        moved = builder.bitcast(builder.add(bits, builder.select(away, integer(1), integer(-1))), first.type)
        smallest = floats.call("copysign", builder.bitcast(integer(1), first.type), second)
        moved = builder.select(builder.fcmp_ordered("==", first, number(0.0)), smallest, moved)
        moved = builder.select(builder.fcmp_ordered("==", first, second), second, moved)
        return builder.select(builder.fcmp_unordered("uno", first, second), builder.fadd(first, second), moved)

    return x(x, x), emit


nextafter.in_python(np.nextafter)


@intrinsic
def exponent(typing_context, x):
    """The exponent that leaves a mantissa from 1/2 up to 1; 0 for 0, infinities and NaN."""

    def emit(context, builder, signature, args):
        [value] = args
        floats = Floats(builder, value.type)
        number, integer = floats.number, floats.integer
        mantissa, bias, biggest = (23, 126, 0xFF) if floats.single else (52, 1022, 0x7FF)
        smallest = number(2.0**-126 if floats.single else 2.0**-1022)
        size = floats.call("fabs", value)
        tiny = builder.fcmp_ordered("<", size, smallest)
        scaled = builder.select(tiny, builder.fmul(size, number(2.0**mantissa)), size)
        biased = builder.lshr(builder.bitcast(scaled, integer), integer(mantissa))
        power = builder.sub(biased, builder.select(tiny, integer(bias + mantissa), integer(bias)))
        none = builder.or_(
            builder.icmp_signed("==", biased, integer(biggest)), builder.fcmp_ordered("==", value, number(0.0))
        )
        return builder.select(none, number(0.0), builder.sitofp(power, value.type))

    return x(x), emit


@exponent.in_python
def _(x):
    return type(x)(np.frexp(x)[1] if np.isfinite(x) else 0)
