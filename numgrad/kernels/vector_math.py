"""Mathematical functions that vectorise: LLVM knows no vector form of the C library's, and calls them one by one.

They are emitted as plain arithmetic on one value, with fused multiply-adds where the order must stand even in a kernel
that lets LLVM reassociate.
"""

from __future__ import annotations

import math
from typing import Any

from numgrad.runtime.kernel import intrinsic

_SERIES = 0.55  # below it tanh is its series, above it comes from exp: there the difference from 1 loses no digits


@intrinsic
def exp(typing_context, x):
    """e to the power x, to about one unit in the last place."""

    def emit(context, builder, signature, args):
        return _Floats(builder, args[0].type).exp(args[0])

    return x(x), emit


@intrinsic
def tanh(typing_context, x):
    """The hyperbolic tangent of x, to about two units in the last place."""

    def emit(context, builder, signature, args):
        return _Floats(builder, args[0].type).tanh(args[0])

    return x(x), emit


exp.reference = math.exp
tanh.reference = math.tanh


class _Floats:
    """Arithmetic on values of one floating-point type, as LLVM IR."""

    def __init__(self, builder: Any, kind: Any) -> None:
        from llvmlite import ir

        self.builder = builder
        self.kind = kind
        self.single = isinstance(kind, ir.FloatType)
        self.integer = ir.IntType(32 if self.single else 64)

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
        """With ``x = n ln 2 + r`` it is ``2**n`` by its bits times the Taylor polynomial of exp(r), |r| <= ln 2 / 2.

        The power is applied in two halves, since ``2**n`` itself may lie outside the range in which the result lies.
        """
        builder, number, call = self.builder, self.number, self.call
        mantissa, bias, degree = (23, 127, 7) if self.single else (52, 1023, 13)
        lowest, highest = (-104.0, 89.0) if self.single else (-746.0, 710.0)
        # The high part of ln 2 has zeros at its end, so that n times it is exact.
        high = 0.693359375 if self.single else 0.69314718036912381649
        low = -2.12194440054690583e-4 if self.single else 1.90821492927058770002e-10
        tiny = builder.fcmp_ordered("<", x, number(lowest))
        clipped = builder.select(tiny, number(lowest), x)
        clipped = builder.select(builder.fcmp_ordered(">", clipped, number(highest)), number(highest), clipped)
        n = call("rint", builder.fmul(clipped, number(math.log2(math.e))))
        r = call("fma", n, number(-low), call("fma", n, number(-high), clipped))
        p = self.polynomial(r, [1 / math.factorial(power) for power in range(degree, -1, -1)])
        whole = builder.select(builder.fcmp_ordered("ord", n, n), n, number(0.0))  # NaN has no integer
        whole = builder.fptosi(whole, self.integer)
        half = builder.ashr(whole, self.integer(1))

        def power_of_two(exponent: Any) -> Any:
            biased = builder.add(exponent, self.integer(bias))
            return builder.bitcast(builder.shl(biased, self.integer(mantissa)), self.kind)

        scaled = builder.fmul(builder.fmul(p, power_of_two(half)), power_of_two(builder.sub(whole, half)))
        # Below the range the polynomial would still round to the smallest number.
        return builder.select(tiny, number(0.0), scaled)

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


def _tanh_series(terms: int) -> list[float]:
    """Coefficients of tanh(x) / x in powers of x**2, the highest first; from ``tanh' = 1 - tanh**2``."""
    series = [1.0]
    for k in range(1, terms):
        series.append(-sum(series[i] * series[k - 1 - i] for i in range(k)) / (2 * k + 1))
    return series[::-1]
