"""Mathematical functions that vectorise: LLVM knows no vector form of the C library's, and calls them one by one.

They are emitted as plain arithmetic on one value, with fused multiply-adds where the order must stand even in a kernel
that lets LLVM reassociate.
"""

from __future__ import annotations

import math
from typing import Any

from numgrad.runtime.kernel import intrinsic


@intrinsic
def exp(typing_context, x):
    """e to the power x, to about one unit in the last place.

    With ``x = n ln 2 + r`` it is ``2**n`` by its bits times the Taylor polynomial of exp(r), |r| <= ln 2 / 2. The
    power is applied in two halves, since ``2**n`` itself may lie outside the range in which the result still lies.
    """
    from llvmlite import ir
    from numba.core import cgutils

    def emit(context, builder, signature, args):
        x = args[0]
        kind = x.type
        single = isinstance(kind, ir.FloatType)
        bits, mantissa, bias, degree = (32, 23, 127, 7) if single else (64, 52, 1023, 13)
        lowest, highest = (-104.0, 89.0) if single else (-746.0, 710.0)
        # The high part of ln 2 has zeros at its end, so that n times it is exact.
        high = 0.693359375 if single else 0.69314718036912381649
        low = -2.12194440054690583e-4 if single else 1.90821492927058770002e-10
        integer = ir.IntType(bits)

        def number(value: float) -> Any:
            return ir.Constant(kind, value)

        def call(name: str, *values: Any) -> Any:
            function_type = ir.FunctionType(kind, [kind] * len(values))
            suffix = "f32" if single else "f64"
            function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.{suffix}")
            return builder.call(function, values)

        tiny = builder.fcmp_ordered("<", x, number(lowest))
        clipped = builder.select(tiny, number(lowest), x)
        clipped = builder.select(builder.fcmp_ordered(">", clipped, number(highest)), number(highest), clipped)
        n = call("rint", builder.fmul(clipped, number(math.log2(math.e))))
        r = call("fma", n, number(-low), call("fma", n, number(-high), clipped))
        p = number(1 / math.factorial(degree))
        for power in range(degree - 1, -1, -1):
            p = call("fma", p, r, number(1 / math.factorial(power)))
        whole = builder.select(builder.fcmp_ordered("ord", n, n), n, number(0.0))  # NaN has no integer
        whole = builder.fptosi(whole, integer)
        half = builder.ashr(whole, ir.Constant(integer, 1))

        def power_of_two(exponent: Any) -> Any:
            biased = builder.add(exponent, ir.Constant(integer, bias))
            return builder.bitcast(builder.shl(biased, ir.Constant(integer, mantissa)), kind)

        scaled = builder.fmul(builder.fmul(p, power_of_two(half)), power_of_two(builder.sub(whole, half)))
        # Below the range the polynomial would still round to the smallest number.
        return builder.select(tiny, number(0.0), scaled)

    return x(x), emit
