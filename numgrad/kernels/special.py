"""Special functions as words of elementwise ops. All of them compute in float64, and a float32 result is rounded once.

Chebyshev series have the highest coefficient first and half of the usual first term last; they interpolate 50-digit
values at 64 nodes, and stop where the coefficients are below 1e-18 of the largest.
"""

from __future__ import annotations

import math

from numgrad.kernels import bessel_vectors, scalar
from numgrad.runtime.kernel import device

_ERFCX = (  # exp(x**2) erfc(x) (1 + 2 x) in (x - 3.75) / (x + 3.75), from 0
    5.068148904796111e-17, 7.418235256624044e-17, -1.2507950530688648e-15, -1.864562880419313e-15,
    3.3478119482868056e-14, 3.25254814814874e-14, -9.65469674843344e-13, 1.9455868545777347e-13, 2.86879501093067e-11,
    -6.318088340886684e-11, -7.754400208831351e-10, 4.521959811218287e-09, 1.076499946567091e-08,
    -2.1886401049234397e-07, 7.74038306619849e-07, 4.13902798607301e-06, -6.916973302501207e-05,
    0.0004907758365258086, -0.002413163540417608, 0.009074997670705265, -0.026658668435305753, 0.05920993999819189,
    -0.08424913336651792, -0.004590054580646478, 1.1775789345674017,
)  # fmt: skip
_DIGAMMA = (  # digamma(x) / (x - root) in 2 x - 3, from 1 to 2
    -2.3877901082188625e-18, 1.391707769474154e-17, -8.11148420346509e-17, 4.727736178601912e-16,
    -2.7555431377438815e-15, 1.606064636295075e-14, -9.360993131036438e-14, 5.456147570322795e-13,
    -3.18023536582553e-12, 1.853735192053638e-11, -1.080593028883266e-10, 6.299717236108931e-10,
    -3.673295918565179e-09, 2.1425009322359472e-08, -1.2502886813559594e-07, 7.302769272465923e-07,
    -4.2721034029993324e-06, 2.5060543468359146e-05, -0.00014773492650606044, 0.0008788656937820505,
    -0.005320077271596548, 0.03336889902393011, -0.2270640863346444, 0.983570260441567,
)  # fmt: skip
_DIGAMMA_ROOT = 1.4616321449683622, 9.549995429965697e-17  # its float64, and what that lacks
_ROOT_OF_2 = 1.4142135623730951
_ROOT_OF_PI = 1.7724538509055159

# Wichura's PPND16 (Algorithm AS 241, Applied Statistics 37, 1988): the normal quantile to about 1e-16, by rational functions
# of 0.180625 - q**2 near the middle, and of sqrt(-log(p)) - 1.6 or - 5 at the ends; the highest powers first.
_MIDDLE = (
    2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
    1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0,
)  # fmt: skip
_MIDDLE_BELOW = (
    5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
    5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0,
)  # fmt: skip
_END = (
    7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
    3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0,
)  # fmt: skip
_END_BELOW = (
    1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
    6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0,
)  # fmt: skip
_FAR_END = (
    2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
    2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0,
)  # fmt: skip
_FAR_END_BELOW = (
    2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
    1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0,
)  # fmt: skip
# (2 k)! / B(2 k), of Euler and Maclaurin's formula for zeta; Cephes's zeta has the same twelve.
_EULER_MACLAURIN = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1.8924375803183791606e9, 7.47242496e10, -2.950130727918164224e12,
    1.1646782814350067249e14, -4.5979787224074726105e15, 1.8152105401943546773e17, -7.1661652561756670113e18,
)  # fmt: skip


@device
def _polynomial(x, coefficients):
    """The highest power first."""
    result = 0.0
    for coefficient in coefficients:
        result = result * x + coefficient
    return result


@device
def _chebyshev(x, coefficients):
    """A Chebyshev series for x from -1 to 1, by Clenshaw's recurrence."""
    last, before = 0.0, 0.0
    for coefficient in coefficients:
        last, before = coefficient + 2.0 * x * last - before, last
    return last - x * before


@device
def _exp_of_square(x, factor):
    """exp(factor * x**2): the rounding of the square would cost x**2 units in the last place."""
    high = scalar.floor(x * 64.0) / 64.0
    return scalar.exp(factor * (high * high)) * scalar.exp(factor * ((x - high) * (x + high)))


# ---- gamma and its relatives -------------------------------------------------------------------------------------


@device
def lgamma(x):
    """The logarithm of the absolute value of the gamma function; infinite at 0, -1, -2, ..."""
    return math.lgamma(float(x))


@device
def digamma(x):
    """The derivative of lgamma: an infinity against the sign of x at 0, NaN at -1, -2, ..."""
    x = float(x)
    if x == 0.0:
        return scalar.copysign(math.inf, -x)
    if x < 0.0:
        fraction = x - scalar.floor(x + 0.5)  # of both signs: that of a small x is x
        if x == scalar.floor(x):
            return math.nan
        return _digamma_above(1.0 - x) - math.pi / math.tan(math.pi * fraction)
    return _digamma_above(x)


@device
def _digamma_above(x):
    """Of positive x: by its asymptotic series from 10 on, below that by the recurrence to between 1 and 2."""
    result = 0.0
    if x >= 10.0:
        if x < 1e17:
            z = 1.0 / (x * x)
            # B(2 k) / (2 k)
            result = z * (
                1 / 12
                - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132 - z * (691 / 32760 - z * (1 / 12))))))
            )
        return scalar.log(x) - 0.5 / x - result
    if x != x:
        return x
    if x < 1.0:
        result = -1.0 / x
        x = x + 1.0
    while x > 2.0:
        x = x - 1.0
        result += 1.0 / x
    return result + ((x - _DIGAMMA_ROOT[0]) - _DIGAMMA_ROOT[1]) * _chebyshev(2.0 * x - 3.0, _DIGAMMA)


@device
def zeta(x, q):
    """Hurwitz's zeta: the sum of (q + k)**-x over k = 0, 1, ..., for x > 1; infinite at q = 0, -1, -2, ...

    Of negative q there is a value for whole x alone: the sum over all integers, which depends on the fraction of q,
    without those below it.
    """
    x, q = float(x), float(q)
    if x == 1.0:
        return math.inf
    if not x > 1.0 or q != q:
        return math.nan
    if q > 0.0:
        return _zeta_above(x, q)
    whole = scalar.floor(q)
    if q == whole:
        return math.inf
    if x != scalar.floor(x):
        return math.nan
    fraction = q - whole
    sign = 1.0 - 2.0 * (x % 2.0)
    to_next = whole + 1.0 - q  # which 1 - fraction is but for its digits
    return _zeta_above(x, fraction) + sign * (_zeta_above(x, to_next) - _zeta_above(x, 1.0 - q))


@device
def _zeta_above(x, q):
    """Of positive q: the first terms, and the others by Euler and Maclaurin's formula."""
    if q > 1e9:
        return (1.0 / (x - 1.0) + 1.0 / (2.0 * q)) * q ** (1.0 - x)
    total, a = 0.0, q
    b = a**-x
    while a <= 10.0 + x and b > 1e-17 * total:
        total += b
        a += 1.0
        b = a**-x
    if b <= 1e-17 * total:  # also where both are infinite, or b has underflowed
        return total
    total += b * a / (x - 1.0) + 0.5 * b
    rising, k = x, 0.0
    b = b / a
    for divisor in _EULER_MACLAURIN:
        term = rising * b / divisor
        total += term
        if abs(term) < 1e-17 * total:
            break
        rising *= (x + k + 1.0) * (x + k + 2.0)
        b = b / (a * a)
        k += 2.0
    return total


@device
def polygamma(x, n):
    """The derivative of order n of digamma; n is a whole number from 0 on."""
    x, n = float(x), float(n)
    if n == 0.0:
        return digamma(x)
    if not n >= 0.0 or n != scalar.floor(n):
        return math.nan
    factorial, k = 1.0, 2.0
    while k <= n and k <= 171.0:
        factorial *= k
        k += 1.0
    sign = 2.0 * (n % 2.0) - 1.0
    return sign * (factorial * zeta(n + 1.0, x))


# ---- error functions -----------------------------------------------------------------------------------------------


@device
def erfcx(x):
    """exp(x**2) * erfc(x), which neither overflows nor underflows for positive x."""
    x = float(x)
    if x < 0.0:
        return 2.0 * _exp_of_square(x, 1.0) - _erfcx_above(-x) if x > -27.0 else math.inf
    return _erfcx_above(x)


@device
def _erfcx_above(x):
    if x > 1e8:
        return 1.0 / (x * _ROOT_OF_PI)
    return _chebyshev((x - 3.75) / (x + 3.75), _ERFCX) / (1.0 + 2.0 * x)


@device
def ndtr(x):
    """The normal distribution's cumulative function."""
    x = float(x)
    if x > -1.0:
        return 0.5 * math.erfc(-x / _ROOT_OF_2)
    return _ndtr_below(x)


@device
def _ndtr_below(x):
    """ndtr of negative x, to the last digits."""
    if x < -40.0:
        return 0.0
    return 0.5 * _erfcx_above(-x / _ROOT_OF_2) * _exp_of_square(x, -0.5)


@device
def log_ndtr(x):
    """The logarithm of ndtr."""
    x = float(x)
    if x < -1.0:
        return scalar.log(0.5 * _erfcx_above(-x / _ROOT_OF_2)) - 0.5 * x * x if x > -1e150 else -math.inf
    return scalar.log1p(-_ndtr_below(-x) if x > 1.0 else -0.5 * math.erfc(x / _ROOT_OF_2))


@device
def ndtri(p):
    """The inverse of ndtr: infinite at 0 and 1, NaN beyond."""
    p = float(p)
    return _quantile(p - 0.5, min(p, 1.0 - p))


@device
def erfinv(x):
    """The inverse of erf: infinite at -1 and 1, NaN beyond."""
    x = float(x)
    return _quantile(0.5 * x, 0.5 * (1.0 - abs(x))) / _ROOT_OF_2


@device
def _quantile(q, end):
    """The normal quantile for the probability q + 1/2; ``end`` is the smaller one of that and its complement."""
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _polynomial(r, _MIDDLE) / _polynomial(r, _MIDDLE_BELOW)
    if not end > 0.0:
        return scalar.copysign(math.inf, q) if end == 0.0 else math.nan
    r = math.sqrt(-scalar.log(end))
    if r <= 5.0:
        size = _polynomial(r - 1.6, _END) / _polynomial(r - 1.6, _END_BELOW)
    else:
        size = _polynomial(r - 5.0, _FAR_END) / _polynomial(r - 5.0, _FAR_END_BELOW)
    return scalar.copysign(size, q)


# ---- modified Bessel functions ---------------------------------------------------------------------------------------


@device
def i0e(x):
    """exp(-abs(x)) * i0(x)."""
    return bessel_vectors.i0e(x)


@device
def i0(x):
    """The modified Bessel function of the first kind of order 0."""
    return bessel_vectors.i0(x)


@device
def i1e(x):
    """exp(-abs(x)) * i1(x)."""
    return bessel_vectors.i1e(x)


@device
def i1(x):
    """The modified Bessel function of the first kind of order 1."""
    return bessel_vectors.i1(x)
