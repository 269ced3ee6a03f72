"""Airy's Ai, which vectorises where `is_small_for_airy` holds; float32 is computed in float64 by shorter polynomials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.kernels.angles import Angles
from numgrad.kernels.vector_math import intrinsic_of
from numgrad.runtime.kernel import device

_NOTHING = 110.0  # Ai is below the smallest number
_LARGEST = 1e5  # its waves have 2e7 in the argument of sine and cosine
_RATE = 1.25
_THIRDS = 2 / 3, 3.700743415417188e-17  # 2/3, and what its float64 lacks

# Polynomials, from the highest power down, for float32 and for float64: as in `bessel_vectors`.
_AIRY_BELOW = (  # ai(x) in x / 2 + 1, from -4 to 0
    [-6.395361205935004e-05, -0.00011398556363989439, 0.0011030073854063835, -0.0006372510919969205, -0.007201322910321532,
     0.017635263138062737, 0.00966814014640121, -0.10896224733656228, 0.13066420779796117, 0.23935222446387824,
     -0.7403316475434676, 0.17433520144080492, 1.4307651117286195, -1.3454804458436564, -0.9096297107021164,
     1.2365180337760096, 0.2274074281890017],
    [1.223933668102751e-10, -8.1404784961538e-10, 5.306345763417786e-11, 1.563408983047369e-08, -5.271571463940059e-08,
     -6.401483493561906e-08, 9.452327599679606e-07, -2.0760568978552044e-06, -5.467979075946951e-06, 3.940776964296839e-05,
     -4.931393824626808e-05, -0.00025844896228070145, 0.0010813965097974075, -0.00039802853771875237, -0.007182305912835966,
     0.01741946682162425, 0.009657908119992757, -0.1088501398826777, 0.13066752931833164, 0.2393189957262948,
     -0.7403322632628967, 0.17434044196090678, 1.4307651695267516, -1.3454808177089295, -0.9096297128067423,
     1.236518041483382, 0.22740742820168558],
)  # fmt: skip
_AIRY_ABOVE = (  # ai(x) exp(1.25 x) in x / 1.5 - 1, from 0 to 3
    [-1.566770933628659e-09, -3.3561087809242336e-09, 5.718730269666255e-08, -4.1448221591420006e-08,
     -1.1874959583597692e-06, 3.616491706710996e-06, 1.4178664400456912e-05, -9.004287672569377e-05,
     -4.3493651466316025e-05, 0.0012767093463269404, -0.0014810831848537614, -0.010713344766894803, 0.025315432621801612,
     0.04740820775629549, -0.17402417904885523, -0.07526793954407629, 0.46786549196452293],
    [-2.1548625234015986e-17, -3.357551266180875e-17, 1.3008416814890445e-15, -2.979245666154184e-15,
     -4.4322818945370143e-14, 2.865984141412897e-13, 6.574029521700788e-13, -1.2726575760745144e-11, 2.05138388264403e-11,
     3.4354504878905e-10, -1.685577148441322e-09, -4.6994949355445376e-09, 5.745718265568028e-08, -3.914429913418946e-08,
     -1.1878224245332556e-06, 3.614356828966559e-06, 1.4178894034158566e-05, -9.004173992880494e-05,
     -4.3493746598990136e-05, 0.00127670900075732, -0.001481083162569722, -0.010713344710862063, 0.02531543261915888,
     0.04740820775219, -0.17402417904873266, -0.07526793954398785, 0.467865491964522],
)  # fmt: skip
_AIRY_DECAY = (  # ai(x) 2 sqrt(pi) x**(1/4) exp(zeta) in zeta(3) / zeta, for zeta = 2/3 x**(3/2)
    [2.1969801783147564e-05, -0.00011696867417256212, 0.00034070518101437196, -0.0008961723510219095, 0.00309177210169591,
     -0.020046727356867078, 0.9999999984712981],
    [-3.474093900239942e-07, 3.354210756398198e-06, -1.5130702530023626e-05, 4.257306577924359e-05, -8.442047627090875e-05,
     0.00012705895835492316, -0.00015401158895257168, 0.00015967618758985303, -0.00015187712039847032,
     0.00014354631259183727, -0.00014566847911678214, 0.00016860897701839563, -0.00023272860027310786,
     0.00040034065290175144, -0.0009139709149316996, 0.003094457303634911, -0.020046884346854043, 1.0],
)  # fmt: skip
_AIRY_P = (  # in (zeta(4) / zeta)**2
    [-5.600624316684441e-07, 3.09184020180763e-06, -1.202056816397941e-05, 7.111979913368972e-05, -0.001305463767314525,
     0.9999999998636192],
    [-3.601860090854235e-08, 3.032009848116183e-07, -1.1751083143408377e-06, 2.792751041503292e-06, -4.5872348936670886e-06,
     5.598338844727831e-06, -5.393117312910596e-06, 4.401084597020533e-06, -3.3684372498923837e-06, 2.7960205827278837e-06,
     -2.9753884202497814e-06, 4.703208812737799e-06, -1.2670117603148459e-05, 7.125220237217113e-05, -0.0013054741753323442,
     1.0],
)  # fmt: skip
_AIRY_Q = (  # times zeta / zeta(4), in the same
    [1.0386077598874366e-06, -5.685658366952749e-06, 2.6472150416619105e-05, -0.0002503938214999429, 0.013020832421346874],
    [6.449076723721966e-08, -5.703146674049045e-07, 2.3260420408771114e-06, -5.819155845558372e-06, 1.0035330584009346e-05,
     -1.2749281234802064e-05, 1.2527193554398065e-05, -9.984647959409035e-06, 6.86791972940546e-06, -4.474783475410644e-06,
     3.153570545124735e-06, -2.792947623094889e-06, 3.534140612013382e-06, -7.150501108508874e-06, 2.6905128144630534e-05,
     -0.0002504425284219168, 0.01302083333333332],
)  # fmt: skip


def _zeta(x: float) -> float:
    return 2.0 / 3.0 * x * math.sqrt(x)


class Airy(Angles):
    """Computes in float64, as `Angles` do."""

    def airy_ai(self, x: Any) -> Any:
        """From -4 to 0 and from 0 to 3 polynomials, the second times exp(-1.25 x); below waves, above what decays.

        With ``zeta = 2/3 abs(x)**(3/2)`` the others are those of Bessel's functions of order 1/3.
        """
        builder, number, call = self.builder, self.number, self.call
        wide = self._in(x)
        size = call("fabs", wide)
        is_above = builder.fcmp_ordered(">", wide, number(0.0))
        decays = builder.fcmp_ordered(">", wide, number(3.0))
        waves = builder.fcmp_ordered("<", wide, number(-4.0))
        root = call("sqrt", size)
        cube = builder.fmul(size, root)
        zeta = builder.fmul(cube, number(_THIRDS[0]))
        # The middle.
        inside = builder.select(decays, number(3.0), builder.select(waves, number(-4.0), wide))
        t = builder.select(
            is_above,
            call("fma", inside, number(1 / 1.5), number(-1.0)),
            call("fma", inside, number(0.5), number(1.0)),
        )
        rows = zip(_AIRY_ABOVE[self.which], _AIRY_BELOW[self.which], strict=True)
        first, *others = [builder.select(is_above, number(above), number(below)) for above, below in rows]
        middle = first
        for coefficient in others:
            middle = call("fma", middle, t, coefficient)
        # What decays, and what both have to be multiplied by.
        inverse = builder.fdiv(number(1.0), builder.select(builder.or_(decays, waves), zeta, number(_zeta(4.0))))
        lost = self._lost(size, root, cube, zeta, inverse)
        decay = self.polynomial(builder.fmul(inverse, number(_zeta(3.0))), _AIRY_DECAY[self.which])
        far_root = builder.select(builder.or_(decays, waves), root, number(1.0))
        size_of = builder.fdiv(number(1 / math.sqrt(math.pi)), call("sqrt", far_root))
        exponent = builder.select(
            decays, zeta, builder.select(is_above, builder.fmul(inside, number(_RATE)), number(0.0))
        )
        falling = self.exp(builder.fneg(exponent))
        if lost is not None:
            decay = call("fma", decay, builder.fneg(lost), decay)
        decay = builder.fmul(builder.fmul(decay, builder.fmul(size_of, number(0.5))), falling)
        middle = builder.fmul(middle, falling)
        # Waves.
        ratio = builder.fmul(inverse, number(_zeta(4.0)))
        square = builder.fmul(ratio, ratio)
        p = self.polynomial(square, _AIRY_P[self.which])
        q = builder.fmul(ratio, self.polynomial(square, _AIRY_Q[self.which]))
        bits, even, odd = self._both(builder.select(waves, zeta, number(1.0)))
        sine = self._turned(bits, even, odd)
        cosine = self._turned(builder.add(bits, self.integer(1)), even, odd)
        ahead, behind = builder.fadd(cosine, sine), builder.fsub(sine, cosine)
        wave = call("fma", p, ahead, builder.fmul(q, behind))
        if lost is not None:
            wave = call("fma", lost, builder.fsub(builder.fmul(q, ahead), builder.fmul(p, behind)), wave)
        wave = builder.fmul(builder.fmul(wave, number(math.sqrt(0.5))), size_of)
        # Where nothing is left, the arithmetic of zeta may have overflowed.
        decay = builder.select(builder.fcmp_ordered(">", wide, number(_NOTHING)), number(0.0), decay)
        result = builder.select(decays, decay, builder.select(waves, wave, middle))
        return self._out(builder.select(builder.fcmp_unordered("uno", wide, wide), wide, result))

    def _lost(self, size: Any, root: Any, cube: Any, zeta: Any, inverse: Any) -> Any:
        """What the roundings of zeta have lost, of which exponential and waves would make much; None for float32."""
        if self.rounds:
            return None
        builder, number, call = self.builder, self.number, self.call
        half = builder.fmul(builder.fmul(size, inverse), number(1.0 / 3.0))  # 1 / (2 root)
        of_root = builder.fmul(call("fma", builder.fneg(root), root, size), half)
        of_cube = call("fma", size, of_root, call("fma", size, root, builder.fneg(cube)))
        of_zeta = call("fma", cube, number(_THIRDS[0]), builder.fneg(zeta))
        return call("fma", of_cube, number(_THIRDS[0]), call("fma", cube, number(_THIRDS[1]), of_zeta))


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)


def _airy_in_python(x: Any) -> Any:
    """The integral of exp(x s - s**3 / 3) along a line that leaves 0 at an angle of pi / 3 with the negative axis."""
    if x != x or math.isinf(x):
        return type(x)(x if x != x else 0.0)
    shift = math.sqrt(max(float(x), 0.0))
    turn = np.exp(1j * math.pi / 3)
    end = 12.0 + 2.0 * math.sqrt(abs(float(x)))
    s = (_NODES + 1.0) * (end / 2) * turn + shift
    values = np.exp(s**3 / 3 - float(x) * s) * turn
    return type(x)(float(np.sum(_WEIGHTS * values.imag)) * end / (2 * math.pi))


airy_ai = intrinsic_of(
    "airy_ai",
    "Airy's Ai where `is_small_for_airy` holds, to some units in the last place of its size.",
    _airy_in_python,
    Airy,
)


@device
def is_small_for_airy(x):
    """Whether `airy_ai` is right for x; NaN is."""
    return not x < -_LARGEST
