"""Special functions: of gamma's family, error functions, Bessel functions, entropies."""

from __future__ import annotations

import functools
import math

import numpy as np

from numgrad.kernels import scalar, special
from numgrad.ops.elementwise import oracles
from numgrad.ops.elementwise.unary import EVERYWHERE, floating
from numgrad.ops.family import elementwise
from numgrad.runtime.kernel import device

BOTH = ("input", "other")
_floating = functools.partial(
    floating,
    homes=("special",),
    cost=60,
    note="\n\n    It is computed in float64, and a float32 result is rounded once.",
)


# ---- error functions -------------------------------------------------------------------------------------------------

erfc = _floating(
    "erfc",
    oracles.each(math.erfc),
    "1 - erf(input), exact where that is small",
    "[0.0, 1.0]",
    "[1.0000, 0.1573]",
    homes=(*EVERYWHERE, "special"),
)


@erfc.forward
def _(x):
    return scalar.erfc(x)


@erfc.backward
def _(g, x):
    return g * -1.1283791670955126 * scalar.exp(-x * x)


erfcx = _floating(
    "erfcx", oracles.each(oracles.erfcx_of), "exp(input**2) * erfc(input)", "[0.0, 100.0]", "[1.0000, 0.0056]"
)


@erfcx.forward
def _(x):
    return special.erfcx(x)


@erfcx.backward
def _(g, x):
    return g * _erfcx_slope(x)


@device
def _erfcx_slope(x):
    # Far out all digits cancel, and an asymptotic series has them.
    far, near = scalar.where(x < 100, 100.0, x), scalar.where(x < 100, x, 0.0)
    u = 1.0 / far / far
    series = -0.5641895835477563 * u * (1.0 - u * (1.5 - u * (3.75 - u * (13.125 - u * 59.0625))))
    return scalar.where(
        x >= 100, series, scalar.where(x == x, 2.0 * near * special.erfcx(near) - 1.1283791670955126, x)
    )


erfinv = _floating(
    "erfinv",
    oracles.each(oracles.erfinv_of),
    "The inverse of erf, infinite at -1 and 1 and NaN beyond",
    "[0.0, 0.5]",
    "[0.0000, 0.4769]",
    homes=("function", "method", "in_place", "special"),
)


@erfinv.forward
def _(x):
    return special.erfinv(x)


@erfinv.backward
def _(g, out):
    return g * (0.886226925452758 * scalar.exp(out * out))


ndtr = _floating(
    "ndtr", oracles.each(oracles.ndtr_of), "The cumulative function of the standard normal distribution", "[0.0, 1.0]",
    "[0.5000, 0.8413]",
)  # fmt: skip


@ndtr.forward
def _(x):
    return special.ndtr(x)


@ndtr.backward
def _(g, x):
    return g * (0.3989422804014327 * scalar.exp(-0.5 * x * x))


log_ndtr = _floating(
    "log_ndtr", oracles.each(oracles.log_ndtr_of), "The logarithm of ndtr, exact where that is 0", "[0.0, -4.0]",
    "[ -0.6931, -10.3601]",
)  # fmt: skip


@log_ndtr.forward
def _(x):
    return special.log_ndtr(x)


@log_ndtr.backward
def _(g, x):
    return g * _log_ndtr_slope(x)


@device
def _log_ndtr_slope(x):
    # Far out erfcx is so large that its square, which the second derivative divides by, is none of float32.
    below, above = scalar.where(x < 1, x, 0), scalar.where(x < 1, 1, scalar.where(x < 40, x, 40))
    slope = 0.7978845608028654 / special.erfcx(below * -0.7071067811865476)
    far = 0.3989422804014327 * scalar.exp(-0.5 * above * above) / special.ndtr(above)
    return scalar.where(x < 1, slope, scalar.where(x == x, far, x))


ndtri = _floating(
    "ndtri", oracles.each(oracles.ndtri_of), "The inverse of ndtr, infinite at 0 and 1 and NaN beyond", "[0.5, 0.975]",
    "[0.0000, 1.9600]",
)  # fmt: skip


@ndtri.forward
def _(p):
    return special.ndtri(p)


@ndtri.backward
def _(g, out):
    return g * (2.5066282746310002 * scalar.exp(0.5 * out * out))


# ---- gamma and its relatives -----------------------------------------------------------------------------------------


lgamma = _floating(
    "lgamma",
    oracles.each(oracles.lgamma_of),
    "The logarithm of the absolute value of the gamma function",
    "[1.0, 5.0]",
    "[0.0000, 3.1781]",
    homes=("function", "method", "in_place"),
)


@lgamma.forward
def _(x):
    return special.lgamma(x)


@lgamma.backward
def _(g, x):
    return g * special.digamma(x)


digamma = _floating(
    "digamma",
    oracles.each(oracles.digamma_of),
    "The derivative of lgamma: infinite at 0, NaN at negative integers",
    "[1.0, 5.0]",
    "[-0.5772,  1.5061]",
    homes=("function", "method", "in_place", "special"),
)


@digamma.forward
def _(x):
    return special.digamma(x)


@digamma.backward
def _(g, x):
    return g * special.polygamma(x, 1)


zeta = elementwise(
    "zeta",
    inputs=BOTH,
    homes=("special",),
    promotes=True,
    cost=200,
    oracle=oracles.each(oracles.zeta_of),
    doc="""Hurwitz's zeta: the sum of (other + k)**-input over k = 0, 1, ..., elementwise and broadcast.

    Infinite for input 1 and at other = 0, -1, -2, ..., NaN for a smaller input. Integers are converted to floating point.
    There is no gradient for input.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.special.zeta(ng.tensor([2.0, 4.0]), 1.0)
    tensor([1.6449, 1.0823])
    """,
)


@zeta.forward
def _(x, q):
    return special.zeta(x, q)


@zeta.backward
def _(g, x, q):
    return None, g * (-x * special.zeta(x + 1, q))


polygamma = elementwise(
    "polygamma",
    inputs=("input", "n"),
    cost=200,
    oracle=oracles.each(oracles.polygamma_of),
    doc="The derivative of digamma of order n, which is a whole number of floating point. The gradient for n is none.",
)


@polygamma.forward
def _(x, n):
    return special.polygamma(x, n)


@polygamma.backward
def _(g, x, n):
    return g * special.polygamma(x, n + 1), None


# ---- modified Bessel functions ---------------------------------------------------------------------------------------


i0 = _floating(
    "i0",
    oracles.each(oracles.grown(oracles.bessel0)),
    "The modified Bessel function of the first kind of order 0",
    "[0.0, 1.0]",
    "[1.0000, 1.2661]",
    homes=(*EVERYWHERE, "special"),
)
i0e = _floating(
    "i0e", oracles.each(oracles.bessel0), "exp(-abs(input)) * i0(input)", "[0.0, 1000.0]", "[1.0000, 0.0126]"
)
i1 = _floating(
    "i1", oracles.each(oracles.grown(oracles.bessel1)), "The modified Bessel function of the first kind of order 1", "[0.0, 1.0]",
    "[0.0000, 0.5652]",
)  # fmt: skip
i1e = _floating(
    "i1e", oracles.each(oracles.bessel1), "exp(-abs(input)) * i1(input)", "[0.0, 1000.0]", "[0.0000, 0.0126]"
)


@i0.forward
def _(x):
    return special.i0(x)


@i0.backward
def _(g, x):
    return g * special.i1(x)


@i0e.forward
def _(x):
    return special.i0e(x)


@i0e.backward
def _(g, x):
    return g * _i0e_slope(x)


@device
def _i0e_slope(x):
    return special.i1e(x) - scalar.sign(x) * special.i0e(x)


@i1.forward
def _(x):
    return special.i1(x)


@i1.backward
def _(g, x):
    return g * _i1_slope(x)


@device
def _i1_slope(x):
    near, safe = scalar.where(x * x < 0.01, x, 0.0), scalar.where(x * x < 0.01, 1.0, x)  # i1(x) / x of next to nothing
    return scalar.where(x * x < 0.01, _i1_series(near * near), special.i0(x) - special.i1(safe) / safe)


@device
def _i1_series(u):
    """The derivative of i1 at the root of u, below 0.1."""
    return 0.5 + u * (0.1875 + u * (5.0 / 384.0 + u * (7.0 / 18432.0 + u * (9.0 / 1474560.0))))


@i1e.forward
def _(x):
    return special.i1e(x)


@i1e.backward
def _(g, x):
    return g * _i1e_slope(x)


@device
def _i1e_slope(x):
    near, safe = scalar.where(x * x < 0.01, x, 0.0), scalar.where(x * x < 0.01, 1.0, x)
    size, u = scalar.absolute(near), near * near
    small = scalar.exp(-size) * (_i1_series(u) - size * (0.5 + 0.0625 * u * (1.0 + u / 24.0 * (1.0 + u / 48.0))))
    return scalar.where(x * x < 0.01, small, special.i0e(x) - special.i1e(safe) * (scalar.sign(x) + 1.0 / safe))


# ---- products with logarithms ----------------------------------------------------------------------------------------


def _xlogy_oracle(x, y):
    with np.errstate(all="ignore"):
        return np.where(np.isnan(y), y, np.where(x == 0, x.dtype.type(0), x * np.log(y)))


xlogy = elementwise(
    "xlogy",
    inputs=BOTH,
    homes=("function", "method", "in_place", "in_place_function", "special"),
    promotes=True,
    cost=20,
    oracle=_xlogy_oracle,
    doc="""input * log(other), and 0 where input is 0 and other no NaN; elementwise and broadcast.

    Integers are converted to floating point.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.xlogy(ng.tensor([0.0, 2.0]), ng.tensor([0.0, 10.0]))
    tensor([0.0000, 4.6052])
    """,
)


@xlogy.forward
def _(x, y):
    return scalar.where(y != y, y, scalar.where(x == 0, 0, x * scalar.log(y)))


@xlogy.backward
def _(g, x, y):
    return scalar.where((x == 0) & (y <= 0), 0, g * scalar.log(y)), g * (x / y)


def _xlog1py_oracle(x, y):
    with np.errstate(all="ignore"):
        return np.where(np.isnan(y), y, np.where(x == 0, x.dtype.type(0), x * np.log1p(y)))


xlog1py = elementwise(
    "xlog1py",
    inputs=BOTH,
    homes=("special",),
    promotes=True,
    cost=20,
    oracle=_xlog1py_oracle,
    doc="""input * log1p(other), and 0 where input is 0 and other no NaN; elementwise and broadcast.

    Integers are converted to floating point.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.special.xlog1py(ng.tensor([0.0, 2.0]), ng.tensor([-1.0, 9.0]))
    tensor([0.0000, 4.6052])
    """,
)


@xlog1py.forward
def _(x, y):
    return scalar.where(y != y, y, scalar.where(x == 0, 0, x * scalar.log1p(y)))


@xlog1py.backward
def _(g, x, y):
    return scalar.where((x == 0) & (y <= -1), 0, g * scalar.log1p(y)), g * (x / (1 + y))


def _entr_oracle(x):
    with np.errstate(all="ignore"):
        return np.where(x > 0, -x * np.log(x), np.where(x == 0, 0, np.where(x < 0, -np.inf, x))).astype(x.dtype)


entr = _floating(
    "entr", _entr_oracle, "-input * log(input), 0 at 0 and -inf below", "[0.0, 0.5, -1.0]", "[0.0000, 0.3466,   -inf]"
)


@entr.forward
def _(x):
    return scalar.where(x > 0, -x * scalar.log(x), scalar.where(x == 0, 0, scalar.where(x < 0, -1e999, x)))


@entr.backward
def _(g, x):
    return g * (-1 - scalar.log(x))


def _log_odds_oracle(x):
    with np.errstate(all="ignore"):
        return np.log(x / (1 - x))


log_odds = elementwise(
    "log_odds",
    cost=20,
    node_name="LogitBackward0",
    oracle=_log_odds_oracle,
    doc="log(input / (1 - input)); NaN below 0 and above 1, as its gradient is.",
)


@log_odds.forward
def _(x):
    return scalar.log(x / (1 - x))


@log_odds.backward
def _(g, x, out):
    return scalar.where(out == out, g / (x * (1 - x)), out)
